// Clocks of streams against what the model and the client really did: each within 5 ms in the median of several rounds.
// Script and relay share one process, so that a busy machine delays both.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exchange } from "../../src/facts/exchange.ts";
import { ask, get, httpOrigin, pause, rawClient, startProxy } from "./support.ts";

const ROUNDS = 7;
const WITHIN_MS = 5;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** What a round really took, beside what the clocks say. */
type Round = Readonly<Record<string, readonly [really: number, clock: number | null | undefined]>>;

/** Which clocks are off, and by how much. */
function offBy(rounds: readonly Round[]): string[] {
  return Object.keys(rounds[0] ?? {}).flatMap((name) => {
    const errors = rounds.map((round) => {
      const [really, clock] = round[name] ?? [0, null];
      return Math.abs(really - (clock ?? Number.NaN));
    });
    if (median(errors) <= WITHIN_MS) return [];
    return [`${name}: off by ${errors.map((ms) => ms.toFixed(1)).join(", ")} ms`];
  });
}

/** A machine can be so busy that a whole series is off. A clock that is wrong is off in each. */
async function assertClose(play: () => Promise<Round>): Promise<void> {
  let off: string[] = [];
  for (let series = 0; series < 5; series++) {
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await play());
    off = offBy(rounds);
    if (off.length === 0) return;
  }
  assert.deepEqual(off, []);
}

const now = (): number => performance.now();

test("head, first byte, last byte and the longest silence are those of the script", async (t) => {
  const wrote: number[] = [];
  let asked = 0;
  const origin = await httpOrigin(t, (_request, response) => {
    void (async () => {
      asked = now();
      await pause(40);
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      wrote.push(now());
      for (const ms of [30, 10, 70, 20]) {
        await pause(ms);
        response.write(`data: ${ms}\n\n`);
        wrote.push(now());
      }
      response.end();
    })();
  });
  const { port, exchanges, delivered } = await startProxy(t, origin.url);
  let played = 0;
  await assertClose(async () => {
    wrote.length = 0;
    await ask(t, port, get("/stream"));
    const clocks = (await delivered(++played)).at(-1)?.clocks;
    const [head = 0, first = 0, second = 0, third = 0, last = 0] = wrote;
    return {
      head: [head - asked, clocks?.headMs],
      "first byte": [first - asked, clocks?.firstByteMs],
      "last byte": [last - asked, clocks?.lastByteMs],
      "longest gap": [Math.max(second - first, third - second, last - third), clocks?.longestGapMs],
    };
  });
  assert.equal(
    exchanges.every((one) => one.response.marks?.length === 6),
    true,
    "each later chunk has its time",
  );
});

test("a slow upload is the client's time: the upstream's begins where the request ends", async (t) => {
  let worked = 0;
  const origin = await httpOrigin(t, (request, response) => {
    request.resume().on("end", () => {
      const began = now();
      setTimeout(() => {
        worked = now() - began;
        response.end("done");
      }, 30);
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  let played = 0;
  await assertClose(async () => {
    const client = await rawClient(t, port);
    const began = now();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab");
    await pause(60);
    client.send("cd");
    await pause(60);
    client.send("ef");
    const uploaded = now();
    await client.until("done");
    client.socket.destroy();
    const clocks = (await delivered(++played)).at(-1)?.clocks;
    const upstream = (clocks?.lastByteMs ?? 0) - (clocks?.requestEndMs ?? 0);
    assert.ok((clocks?.lastByteMs ?? 0) > 100);
    return {
      upload: [uploaded - began, clocks?.requestEndMs],
      upstream: [worked, upstream],
    };
  });
});

test("who broke a stream off is told, with the clocks up to there", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: 1\n\n");
    if (request.url === "/dies") setTimeout(() => response.destroy(), 20);
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const dying = await rawClient(t, port);
  dying.send(get("/dies"));
  await dying.closed();
  const leaving = await rawClient(t, port);
  leaving.send(get("/leaves"));
  await leaving.until("data: 1");
  leaving.socket.destroy();
  const ended = await delivered(2);
  const told = (path: string): Exchange | undefined => ended.find((one) => one.target === path);
  assert.deepEqual([told("/dies")?.abortedBy, told("/dies")?.outcome], ["upstream", "reset"]);
  assert.deepEqual([told("/leaves")?.abortedBy, told("/leaves")?.outcome], ["client", "client_abort"]);
  for (const path of ["/dies", "/leaves"]) assert.ok((told(path)?.clocks.firstByteMs ?? -1) >= 0, path);
});
