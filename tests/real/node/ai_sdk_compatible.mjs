// @ai-sdk/openai-compatible: chat completions.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { plays } from "./ai_sdk.mjs";
import { KEY, URL, WRONG_KEY } from "./scenario.mjs";

const make = (apiKey) =>
  createOpenAICompatible({ name: "samewire", baseURL: `${URL}/v1`, apiKey, includeUsage: true, supportsStructuredOutputs: true });

await plays({
  provider: make(KEY),
  stranger: make(WRONG_KEY),
  model: (provider, name) => provider(name),
  embedding: (provider, name) => provider.embeddingModel(name),
  reasoning: { samewire: { reasoningEffort: "low" } },
});
