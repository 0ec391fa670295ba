// openai (Node): chat completions with stream(), parse and runTools, embeddings, the model list.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { CITY_PARAMETERS, DESCRIPTIONS, KEY, NO_MODEL, PICTURE_URL, SEOUL, URL, WORDS, WRONG_KEY, all, breaks, holds, raises, run, same } from "./scenario.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20000 });
const tools = Object.entries(DESCRIPTIONS).map(([name, description]) => ({ type: "function", function: { name, description, parameters: CITY_PARAMETERS } }));
const asking = (text) => [{ role: "user", content: text }];
const chat = (model, text, more = {}) => client.chat.completions.create({ model, messages: asking(text), ...more });
const runnable = tools.map((tool) => ({
  type: "function",
  function: { ...tool.function, parse: JSON.parse, function: () => WORDS[tool.function.name] },
}));

await run({
  models: async (model) => {
    holds((await all(client.models.list())).map((one) => one.id), model);
    same((await client.models.retrieve(model)).id, model);
  },
  chat: async (model) => {
    const answer = await chat(model, "play: chat");
    same([answer.choices[0].message.content, answer.choices[0].finish_reason, answer.usage.total_tokens], [WORDS.text, "stop", 15]);
  },
  stream: async (model) => {
    const chunks = await all(await chat(model, "play: chat", { stream: true, stream_options: { include_usage: true } }));
    same(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""), WORDS.text);
    same(chunks.at(-1).usage.total_tokens, 15);
  },
  tool: async (model) => {
    const answer = await chat(model, "play: tool", { tools });
    same(answer.choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), [["weather", SEOUL]]);
  },
  tools: async (model) => {
    const answer = await client.chat.completions.stream({ model, messages: asking("play: tools"), tools }).finalChatCompletion();
    same(answer.choices[0].message.tool_calls.map((call) => call.function.name), ["weather", "time"]);
  },
  "round trip": async (model) => {
    for (const stream of [false, true]) {
      const runner = client.chat.completions.runTools({ model, stream, messages: asking("play: tools"), tools: runnable });
      holds(await runner.finalContent(), WORDS.weather, WORDS.time);
    }
  },
  structured: async (model) => {
    const format = zodResponseFormat(z.object({ city: z.string(), people: z.number() }), "city");
    const answer = await client.chat.completions.parse({ model, messages: asking("play: structured"), response_format: format });
    same(answer.choices[0].message.parsed, WORDS.city);
  },
  vision: async (model) => {
    const content = [{ type: "text", text: "play: vision" }, { type: "image_url", image_url: { url: PICTURE_URL } }];
    same((await client.chat.completions.create({ model, messages: [{ role: "user", content }] })).choices[0].message.content, WORDS.seen);
  },
  embeddings: async (model) => {
    const answer = await client.embeddings.create({ model, input: ["one", "two"] });
    same(answer.data.map((one) => Array.from(one.embedding)), [WORDS.vector, WORDS.vector]);
  },
  reasoning: async (model) => {
    const { message } = (await chat(model, "play: reasoning", { reasoning_effort: "low" })).choices[0];
    same([message.reasoning_content, message.content], [WORDS.thought, "4"]);
  },
  "reasoning kept": async (model) => {
    const messages = asking("play: thinking_tool");
    const more = { model, messages, tools, reasoning_effort: "low" };
    const { message } = (await client.chat.completions.create(more)).choices[0];
    messages.push(message, ...message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: WORDS.weather })));
    holds((await client.chat.completions.create(more)).choices[0].message.content, WORDS.weather, WORDS.remembered);
  },
  401: async (model) => {
    const error = await raises(() => client.withOptions({ apiKey: WRONG_KEY }).chat.completions.create({ model, messages: asking("Hi") }));
    same([error.constructor.name, error.code], ["AuthenticationError", "invalid_api_key"]);
  },
  404: async () => {
    const error = await raises(() => chat(NO_MODEL, "Hi"));
    same([error.constructor.name, error.code], ["NotFoundError", "model_not_found"]);
  },
  429: async (model) => {
    const error = await raises(() => chat(model, "play: error 429"));
    same([error.constructor.name, error.headers.get("retry-after")], ["RateLimitError", String(WORDS.retry_after)]);
  },
  "broken stream": async (model) => {
    const error = await breaks(() => chat(model, "play: cut", { stream: true }));
    same(error instanceof OpenAI.APIError, true);
  },
});
