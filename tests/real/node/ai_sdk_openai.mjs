// @ai-sdk/openai: responses, its default.
import { createOpenAI } from "@ai-sdk/openai";
import { plays } from "./ai_sdk.mjs";
import { KEY, URL, WRONG_KEY } from "./scenario.mjs";

const make = (apiKey) => createOpenAI({ baseURL: `${URL}/v1`, apiKey });

await plays({
  provider: make(KEY),
  stranger: make(WRONG_KEY),
  model: (provider, name) => provider(name),
  embedding: (provider, name) => provider.embeddingModel(name),
  reasoning: { openai: { reasoningEffort: "low", reasoningSummary: "auto", forceReasoning: true, store: false } },
});
