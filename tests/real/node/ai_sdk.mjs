// Vercel's AI SDK, the same plays with each provider package; the files that import this say which.
import { embedMany, generateText, isStepCount, jsonSchema, Output, streamText, tool } from "ai";
import { z } from "zod";
import { CITY_PARAMETERS, DESCRIPTIONS, NO_MODEL, PICTURE_URL, SEOUL, WORDS, all, holds, raises, run, same } from "./scenario.mjs";

const City = z.object({ city: z.string(), people: z.number() });

/** `provider(key)`: the provider. `model(provider, name)`: its model. `reasoning`: providerOptions that ask for it. */
export async function plays({ provider, stranger, model, embedding, reasoning, without = [] }) {
  const ask = (name, prompt, more = {}) => generateText({ model: model(provider, name), prompt, maxRetries: 0, ...more });
  const tools = (run) =>
    Object.fromEntries(
      Object.entries(DESCRIPTIONS).map(([name, description]) => [
        name,
        tool({ description, inputSchema: jsonSchema(CITY_PARAMETERS), ...(run ? { execute: async () => WORDS[name] } : {}) }),
      ]),
    );
  const streamed = (name, prompt, more = {}) => {
    const errors = [];
    const result = streamText({ model: model(provider, name), prompt, maxRetries: 0, onError: ({ error }) => errors.push(error), ...more });
    return { result, errors };
  };
  const found = {
    chat: async (name) => {
      const answer = await ask(name, "play: chat");
      same([answer.text, answer.finishReason, answer.usage.outputTokens], [WORDS.text, "stop", 5]);
    },
    stream: async (name) => {
      const { result } = streamed(name, "play: chat");
      const pieces = await all(result.textStream);
      same([pieces.join(""), await result.finishReason, (await result.usage).outputTokens], [WORDS.text, "stop", 5]);
    },
    tool: async (name) => {
      const answer = await ask(name, "play: tool", { tools: tools(false) });
      same(answer.toolCalls.map((call) => [call.toolName, call.input]), [["weather", SEOUL]]);
    },
    tools: async (name) => {
      const { result } = streamed(name, "play: tools", { tools: tools(false) });
      await result.consumeStream();
      same((await result.toolCalls).map((call) => [call.toolName, call.input]), [["weather", SEOUL], ["time", SEOUL]]);
    },
    "round trip": async (name) => {
      const { result } = streamed(name, "play: tools", { tools: tools(true), stopWhen: isStepCount(3) });
      holds(await result.text, WORDS.weather, WORDS.time);
    },
    structured: async (name) => same((await ask(name, "play: structured", { output: Output.object({ schema: City }) })).output, WORDS.city),
    vision: async (name) => {
      const content = [{ type: "text", text: "play: vision" }, { type: "file", mediaType: "image/png", data: PICTURE_URL }];
      same((await ask(name, undefined, { messages: [{ role: "user", content }] })).text, WORDS.seen);
    },
    embeddings: async (name) => {
      same((await embedMany({ model: embedding(provider, name), values: ["one", "two"], maxRetries: 0 })).embeddings, [WORDS.vector, WORDS.vector]);
    },
    reasoning: async (name) => {
      const answer = await ask(name, "play: reasoning", { providerOptions: reasoning });
      same([answer.reasoningText, answer.text], [WORDS.thought, "4"]);
    },
    "reasoning kept": async (name) => {
      const more = { tools: tools(true), stopWhen: isStepCount(3), providerOptions: reasoning };
      holds((await ask(name, "play: thinking_tool", more)).text, WORDS.weather, WORDS.remembered);
    },
    401: async (name) => same((await raises(() => generateText({ model: model(stranger, name), prompt: "Hi", maxRetries: 0 }))).statusCode, 401),
    404: async () => same((await raises(() => ask(NO_MODEL, "Hi"))).statusCode, 404),
    429: async (name) => {
      const error = await raises(() => ask(name, "play: error 429"));
      same([error.statusCode, error.responseHeaders["retry-after"]], [429, String(WORDS.retry_after)]);
    },
    "broken stream": async (name) => {
      // it tells of an event of failure as of a status 500
      const { result, errors } = streamed(name, "play: cut");
      await all(result.fullStream).catch((error) => errors.push(error));
      same([errors.length > 0, [undefined, 200, 500].includes(errors[0]?.statusCode)], [true, true]);
    },
  };
  await run(Object.fromEntries(Object.entries(found).filter(([name]) => !without.includes(name))));
}
