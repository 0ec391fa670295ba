// @anthropic-ai/sdk: messages with stream(), the model list.
import Anthropic from "@anthropic-ai/sdk";
import { CITY_PARAMETERS, DESCRIPTIONS, KEY, NO_MODEL, SEOUL, URL, WORDS, WRONG_KEY, all, breaks, holds, raises, run, same } from "./scenario.mjs";

const client = new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0, timeout: 20000 });
const tools = Object.entries(DESCRIPTIONS).map(([name, description]) => ({ name, description, input_schema: CITY_PARAMETERS }));
const asking = (content) => [{ role: "user", content }];
const ask = (model, content, more = {}) => client.messages.create({ model, max_tokens: 4096, messages: asking(content), ...more });
const textOf = (answer) => answer.content.map((block) => block.text ?? "").join("");
const calls = (answer) => answer.content.filter((block) => block.type === "tool_use");

async function back(model, prompt, more = {}) {
  const messages = asking(prompt);
  const answer = await client.messages.create({ model, max_tokens: 4096, messages, tools, ...more });
  const results = calls(answer).map((block) => ({ type: "tool_result", tool_use_id: block.id, content: WORDS[block.name] }));
  messages.push({ role: "assistant", content: answer.content }, { role: "user", content: results });
  return textOf(await client.messages.create({ model, max_tokens: 4096, messages, tools, ...more }));
}

await run({
  models: async (model) => {
    holds((await all(client.models.list())).map((one) => one.id), model);
    same((await client.models.retrieve(model)).id, model);
  },
  chat: async (model) => {
    const answer = await ask(model, "play: chat");
    same([textOf(answer), answer.stop_reason, answer.usage.output_tokens], [WORDS.text, "end_turn", 5]);
  },
  stream: async (model) => {
    const pieces = [];
    const answer = await client.messages
      .stream({ model, max_tokens: 4096, messages: asking("play: chat") })
      .on("text", (text) => pieces.push(text))
      .finalMessage();
    same([pieces.join(""), textOf(answer), answer.stop_reason], [WORDS.text, WORDS.text, "end_turn"]);
  },
  tool: async (model) => same(calls(await ask(model, "play: tool", { tools })).map((block) => [block.name, block.input]), [["weather", SEOUL]]),
  tools: async (model) => {
    const answer = await client.messages.stream({ model, max_tokens: 4096, messages: asking("play: tools"), tools }).finalMessage();
    same(calls(answer).map((block) => [block.name, block.input]), [["weather", SEOUL], ["time", SEOUL]]);
  },
  "round trip": async (model) => holds(await back(model, "play: tools"), WORDS.weather, WORDS.time),
  structured: async (model) => {
    const schema = { type: "object", properties: { city: { type: "string" }, people: { type: "integer" } }, required: ["city", "people"], additionalProperties: false };
    const answer = await ask(model, "play: structured", { output_config: { format: { type: "json_schema", schema } } });
    same(JSON.parse(textOf(answer)), WORDS.city);
  },
  vision: async (model) => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: WORDS.picture } };
    same(textOf(await ask(model, [image, { type: "text", text: "play: vision" }])), WORDS.seen);
  },
  reasoning: async (model) => {
    const answer = await ask(model, "play: reasoning", { thinking: { type: "enabled", budget_tokens: 1024 } });
    same([answer.content.filter((block) => block.type === "thinking").map((block) => block.thinking), textOf(answer)], [[WORDS.thought], "4"]);
  },
  "reasoning kept": async (model) => holds(await back(model, "play: thinking_tool", { thinking: { type: "enabled", budget_tokens: 1024 } }), WORDS.weather, WORDS.remembered),
  401: async (model) => {
    const stranger = client.withOptions({ apiKey: WRONG_KEY });
    const error = await raises(() => stranger.messages.create({ model, max_tokens: 9, messages: asking("Hi") }));
    same([error.constructor.name, error.error.error.type], ["AuthenticationError", "authentication_error"]);
  },
  404: async () => {
    const error = await raises(() => ask(NO_MODEL, "Hi"));
    same([error.constructor.name, error.error.error.type], ["NotFoundError", "not_found_error"]);
  },
  429: async (model) => {
    const error = await raises(() => ask(model, "play: error 429"));
    same([error.constructor.name, error.headers.get("retry-after")], ["RateLimitError", String(WORDS.retry_after)]);
  },
  "broken stream": async (model) => {
    const error = await breaks(() => client.messages.stream({ model, max_tokens: 4096, messages: asking("play: cut") }));
    same(error instanceof Anthropic.AnthropicError, true);
  },
});
