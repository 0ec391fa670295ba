// LangChain (JavaScript): ChatOpenAI by chat completions, or by responses when the argument says so; OpenAIEmbeddings.
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool as asTool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { DESCRIPTIONS, KEY, NO_MODEL, PICTURE_URL, SEOUL, URL, WORDS, WRONG_KEY, all, breaks, holds, raises, run, same } from "./scenario.mjs";

const responses = process.argv.includes("responses");
const configuration = { baseURL: `${URL}/v1` };
const llm = (model, more = {}) => new ChatOpenAI({ model, apiKey: KEY, configuration, maxRetries: 0, timeout: 20000, useResponsesApi: responses, ...more });
const tools = Object.entries(DESCRIPTIONS).map(([name, description]) =>
  asTool(async () => WORDS[name], { name, description, schema: z.object({ city: z.string() }) }),
);
const named = (calls) => calls.map((call) => [call.name, call.args]);

async function back(model, prompt) {
  const asking = [new HumanMessage(prompt)];
  const answer = await model.invoke(asking);
  const results = await Promise.all(
    answer.tool_calls.map(async (call) => new ToolMessage({ content: await tools.find((one) => one.name === call.name).invoke(call.args), tool_call_id: call.id })),
  );
  return (await model.invoke([...asking, answer, ...results])).text;
}

const plays = {
  chat: async (model) => {
    const answer = await llm(model).invoke("play: chat");
    same([answer.text, answer.usage_metadata.total_tokens], [WORDS.text, 15]);
  },
  stream: async (model) => {
    const pieces = await all(await llm(model).stream("play: chat"));
    same(pieces.map((piece) => piece.text).join(""), WORDS.text);
  },
  tool: async (model) => same(named((await llm(model).bindTools(tools).invoke("play: tool")).tool_calls), [["weather", SEOUL]]),
  tools: async (model) => {
    const pieces = await all(await llm(model).bindTools(tools).stream("play: tools"));
    same(named(pieces.reduce((whole, piece) => whole.concat(piece)).tool_calls), [["weather", SEOUL], ["time", SEOUL]]);
  },
  "round trip": async (model) => holds(await back(llm(model).bindTools(tools), "play: tools"), WORDS.weather, WORDS.time),
  structured: async (model) => {
    const City = z.object({ city: z.string(), people: z.number() });
    for (const method of ["jsonSchema", "functionCalling"]) {
      same(await llm(model).withStructuredOutput(City, { method, name: "city" }).invoke("play: structured"), WORDS.city);
    }
  },
  vision: async (model) => {
    const content = [{ type: "text", text: "play: vision" }, { type: "image_url", image_url: { url: PICTURE_URL } }];
    same((await llm(model).invoke([new HumanMessage({ content })])).text, WORDS.seen);
  },
  401: async (model) => same((await raises(() => llm(model, { apiKey: WRONG_KEY }).invoke("Hi"))).status, 401),
  404: async () => same((await raises(() => llm(NO_MODEL).invoke("Hi"))).status, 404),
  429: async (model) => {
    const error = await raises(() => llm(model).invoke("play: error 429"));
    same([error.status, error.headers.get("retry-after")], [429, String(WORDS.retry_after)]);
  },
  "broken stream": async (model) => breaks(() => llm(model).stream("play: cut")),
};
if (!responses) {
  plays.embeddings = async (model) => {
    const embeddings = new OpenAIEmbeddings({ model, apiKey: KEY, configuration, maxRetries: 0 });
    same(await embeddings.embedDocuments(["one", "two"]), [WORDS.vector, WORDS.vector]);
  };
}
await run(plays);
