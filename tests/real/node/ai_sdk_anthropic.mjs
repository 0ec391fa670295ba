// @ai-sdk/anthropic: messages. Its base URL ends in /v1.
import { createAnthropic } from "@ai-sdk/anthropic";
import { plays } from "./ai_sdk.mjs";
import { KEY, URL, WRONG_KEY } from "./scenario.mjs";

const make = (apiKey) => createAnthropic({ baseURL: `${URL}/v1`, apiKey });

await plays({
  provider: make(KEY),
  stranger: make(WRONG_KEY),
  model: (provider, name) => provider(name),
  reasoning: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
  without: ["embeddings"],
});
