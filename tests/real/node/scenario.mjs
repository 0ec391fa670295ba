// What the scenario files of Node clients have in common: the same as python/scenario.py.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const WORDS = JSON.parse(readFileSync(process.env.SAMEWIRE_WORDS, "utf-8"));
export const URL = process.env.SAMEWIRE_URL; // http://127.0.0.1:port, without /v1
export const KEY = process.env.SAMEWIRE_KEY;
export const WRONG_KEY = "sk-nobody";
export const NO_MODEL = "nobody-has-this";
export const CITY_PARAMETERS = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
export const DESCRIPTIONS = { weather: "The weather in a city", time: "The time in a city" };
export const PICTURE_URL = `data:image/png;base64,${WORDS.picture}`;
export const SEOUL = { city: "Seoul" };

/** Throws when they are not deeply equal. */
export const same = (got, wanted) => assert.deepEqual(got, wanted);

/** Throws when a text is not in it. */
export function holds(got, ...wanted) {
  for (const text of wanted) assert(String(got).includes(text), `${JSON.stringify(got)} lacks ${JSON.stringify(text)}`);
}

/** The error that a call must throw. */
export async function raises(call) {
  let got;
  try {
    got = await call();
  } catch (error) {
    return error;
  }
  assert.fail(`nothing was thrown; it gave ${JSON.stringify(got)}`);
}

/** All items of an async iterable. */
export async function all(items) {
  const found = [];
  for await (const item of items) found.push(item);
  return found;
}

/** A stream, made by `open`, must be answered with 200, and then throw instead of ending. What came before may be lost: fetch forgets
 * what has not been read yet when a connection is cut. */
export async function breaks(open) {
  const error = await raises(async () => all(await open()));
  assert([undefined, 200].includes(error.status ?? error.statusCode), `it never began: ${error}`);
  return error;
}

/** Tries each play, `{capability: async (model) => …}`, against each upstream, and prints a line of JSON for each. */
export async function run(plays) {
  for (const upstream of process.env.SAMEWIRE_UPSTREAMS.split(",")) {
    const without = (process.env[`SAMEWIRE_WITHOUT_${upstream.toUpperCase()}`] ?? "").split(",");
    for (const [capability, play] of Object.entries(plays)) {
      if (without.includes(capability)) continue;
      let told = { outcome: "ok", why: "" };
      try {
        await play(`on-${upstream}`);
      } catch (error) {
        if (process.env.SAMEWIRE_TRACE) console.error(error);
        told = { outcome: "failed", why: `${error?.name}: ${error?.message}`.replace(/\s+/g, " ").slice(0, 300) };
      }
      console.log(JSON.stringify({ upstream, capability, ...told }));
    }
  }
  process.exit(0);
}
