"""What a chat request asks for, read independently from OpenAI's, Anthropic's and Gemini's body: nothing may be lost between them."""
