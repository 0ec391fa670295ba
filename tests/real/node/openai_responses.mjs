// openai (Node): responses with stream() and parse.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { CITY_PARAMETERS, DESCRIPTIONS, KEY, NO_MODEL, PICTURE_URL, SEOUL, URL, WORDS, WRONG_KEY, all, holds, raises, run, same } from "./scenario.mjs";

const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, maxRetries: 0, timeout: 20000 });
const tools = Object.entries(DESCRIPTIONS).map(([name, description]) => ({ type: "function", name, description, parameters: CITY_PARAMETERS, strict: true }));
const ask = (model, input, more = {}) => client.responses.create({ model, input, ...more });
const calls = (answer) => answer.output.filter((item) => item.type === "function_call");

async function back(model, prompt, more = {}) {
  const input = [{ role: "user", content: prompt }];
  const answer = await ask(model, input, { tools, store: false, ...more });
  input.push(...answer.output, ...calls(answer).map((call) => ({ type: "function_call_output", call_id: call.call_id, output: WORDS[call.name] })));
  return (await ask(model, input, { tools, store: false, ...more })).output_text;
}

await run({
  chat: async (model) => {
    const answer = await ask(model, "play: chat");
    same([answer.output_text, answer.status, answer.usage.total_tokens], [WORDS.text, "completed", 15]);
  },
  stream: async (model) => {
    const pieces = [];
    const stream = client.responses.stream({ model, input: "play: chat" });
    stream.on("response.output_text.delta", (event) => pieces.push(event.delta));
    const answer = await stream.finalResponse();
    same([pieces.join(""), answer.output_text], [WORDS.text, WORDS.text]);
  },
  tool: async (model) => {
    same(calls(await ask(model, "play: tool", { tools })).map((call) => [call.name, JSON.parse(call.arguments)]), [["weather", SEOUL]]);
  },
  tools: async (model) => {
    same(calls(await client.responses.stream({ model, input: "play: tools", tools }).finalResponse()).map((call) => call.name), ["weather", "time"]);
  },
  "round trip": async (model) => holds(await back(model, "play: tools"), WORDS.weather, WORDS.time),
  structured: async (model) => {
    const format = zodTextFormat(z.object({ city: z.string(), people: z.number() }), "city");
    same((await client.responses.parse({ model, input: "play: structured", text: { format } })).output_parsed, WORDS.city);
  },
  vision: async (model) => {
    const content = [{ type: "input_text", text: "play: vision" }, { type: "input_image", image_url: PICTURE_URL, detail: "auto" }];
    same((await ask(model, [{ role: "user", content }])).output_text, WORDS.seen);
  },
  reasoning: async (model) => {
    const answer = await ask(model, "play: reasoning", { reasoning: { effort: "low", summary: "auto" } });
    const thoughts = answer.output.filter((item) => item.type === "reasoning").flatMap((item) => item.summary.map((part) => part.text));
    same([thoughts, answer.output_text], [[WORDS.thought], "4"]);
  },
  "reasoning kept": async (model) => {
    holds(await back(model, "play: thinking_tool", { reasoning: { effort: "low" }, include: ["reasoning.encrypted_content"] }), WORDS.weather, WORDS.remembered);
  },
  401: async (model) => {
    const error = await raises(() => client.withOptions({ apiKey: WRONG_KEY }).responses.create({ model, input: "Hi" }));
    same([error.constructor.name, error.code], ["AuthenticationError", "invalid_api_key"]);
  },
  404: async () => {
    const error = await raises(() => ask(NO_MODEL, "Hi"));
    same([error.constructor.name, error.code], ["NotFoundError", "model_not_found"]);
  },
  429: async (model) => {
    const error = await raises(() => ask(model, "play: error 429"));
    same([error.constructor.name, error.headers.get("retry-after")], ["RateLimitError", String(WORDS.retry_after)]);
  },
  "broken stream": async (model) => {
    const error = await raises(() => client.responses.stream({ model, input: "play: cut" }).finalResponse());
    same(error.status, undefined);
    // this one hands out events as they are: a failure is one, too
    const last = await all(await ask(model, "play: cut", { stream: true })).then((events) => events.at(-1).type, () => "thrown");
    same(["error", "response.failed", "thrown"].includes(last), true);
  },
});
