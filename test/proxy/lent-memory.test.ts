// Memory that is used again: answers of all sizes at once, to quick and to slow clients, through few buffers. Each byte arrives where it belongs.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import type { BodyCopy, Exchange } from "../../src/facts/exchange.ts";
import { READ_BYTES, ReadBlocks, Reading } from "../../src/proxy/read-blocks.ts";
import { Slabs } from "../../src/proxy/slabs.ts";
import { eventually, httpOrigin, patternOf, pause, startProxy } from "./support.ts";

async function collect(answer: IncomingMessage, slow: boolean): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) {
    chunks.push(chunk as Buffer);
    if (slow && chunks.length % 4 === 1) await pause(2);
  }
  return Buffer.concat(chunks);
}

interface Asked {
  readonly port: number;
  readonly agent: Agent;
  readonly seed: number;
  readonly length: number;
}

async function ask({ port, agent, seed, length }: Asked): Promise<void> {
  const slow = seed % 3 === 0;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const path = `/${seed}/${length}`;
    const request = httpRequest({ port, host: "127.0.0.1", agent, method: "POST", path }, resolve);
    request.on("error", reject);
    request.end(patternOf(seed, length % 5000));
  });
  const came = await collect(answer, slow);
  assert.ok(came.equals(patternOf(seed, length)), `answer ${seed} of ${length} bytes`);
}

/** As the sidecar does it: the bodies are looked at while they are being delivered, and not later. */
async function lendingProxy(
  t: TestContext,
  url: string,
): Promise<{ port: number; wrong: string[]; seen: () => number }> {
  const wrong: string[] = [];
  let seen = 0;
  const check = (what: string, { bytes, kept, tail, total }: BodyCopy, whole: Buffer): void => {
    const held = kept === "not-captured" || whole.subarray(0, bytes.length).equals(bytes);
    const ended = tail === undefined || whole.subarray(whole.length - tail.length).equals(tail);
    if (!held || !ended || total !== whole.length) wrong.push(`${what} ${kept}`);
  };
  const deliver = (exchange: Exchange): void => {
    seen++;
    const [, seed = 0, length = 0] = exchange.target.split("/").map(Number);
    check(`request ${seed}`, exchange.request, patternOf(seed, length % 5000));
    check(`answer ${seed}`, exchange.response, patternOf(seed, length));
  };
  const { port } = await startProxy(t, url, { deliver, lendsBodies: true });
  return { port, wrong, seen: () => seen };
}

test("answers of all sizes, at once, to quick and slow clients: every byte is its own, on the wire and in the copies", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    const [, seed = 0, length = 0] = (request.url ?? "").split("/").map(Number);
    request.resume().on("end", () => {
      const body = patternOf(seed, length);
      if (seed % 2 === 0) {
        response.writeHead(200, { "Content-Length": length });
        response.end(body);
        return;
      }
      // Chunks, the last of them late.
      response.write(body.subarray(0, length / 2));
      setImmediate(() => response.end(body.subarray(length / 2)));
    });
  });
  const { port, wrong, seen } = await lendingProxy(t, origin.url);
  const agent = new Agent({ keepAlive: true, maxSockets: 12 });
  t.after(() => agent.destroy());
  const sizes = [0, 1, 300, 5000, 16_384, 16_385, 65_536, 65_537, 100_000, 131_072, 400_000, 1_500_000];
  const asked: Promise<void>[] = [];
  for (let seed = 1; seed <= 240; seed++) {
    const length = (sizes[(seed * 7) % sizes.length] ?? 0) + (seed % 5 === 0 ? seed : 0);
    asked.push(ask({ port, agent, seed, length }));
  }
  await Promise.all(asked);
  assert.deepEqual(wrong, []);
  await eventually(() => seen() === 240);
});

test("heads of any length before long answers on one connection: each comes whole, with the bytes behind it", async (t) => {
  const lengths = [1, 500, 900, 1000, 1100, 3000, 12_000, 10];
  const origin = await httpOrigin(t, (request, response) => {
    const [, seed = 0] = (request.url ?? "").split("/").map(Number);
    const length = lengths[seed % lengths.length] ?? 0;
    response.writeHead(200, { "Content-Length": 150_000, "x-long": `<${"y".repeat(length)}>` });
    response.end(patternOf(seed, 150_000));
  });
  const { port, wrong } = await lendingProxy(t, origin.url);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  for (let seed = 0; seed < 4 * lengths.length; seed++) {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      httpRequest({ port, host: "127.0.0.1", agent, path: `/${seed}/150000` }, resolve)
        .on("error", reject)
        .end();
    });
    const came = await collect(answer, seed % 3 === 0);
    assert.equal(answer.headers["x-long"], `<${"y".repeat(lengths[seed % lengths.length] ?? 0)}>`);
    assert.ok(came.equals(patternOf(seed, 150_000)), `answer ${seed}`);
    assert.match(String(answer.headers["x-prediction-id"]), /^[0-9a-f-]{36}$/);
  }
  assert.deepEqual(wrong, []);
});

/** In pieces shorter than a read: a few of them may wait for a slow client before the model is made to wait. */
async function trickle(response: ServerResponse, body: Buffer): Promise<void> {
  for (let at = 0; at < body.length && !response.destroyed;) {
    const piece = body.subarray(at, at + (at < 500_000 ? 250_000 : 30_000));
    at += piece.length;
    if (!response.write(piece)) await once(response, "drain");
    if (at > 500_000) await pause(1);
  }
  response.end();
}

test("a client that stops reading keeps what waits for it, whatever is read meanwhile", async (t) => {
  const length = 8_000_000;
  const origin = await httpOrigin(t, (request, response) => {
    const [, seed = 0] = (request.url ?? "").split("/").map(Number);
    response.writeHead(200, { "Content-Length": length });
    void trickle(response, patternOf(seed, length));
  });
  const { port, wrong } = await lendingProxy(t, origin.url);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const stalled = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ port, host: "127.0.0.1", path: `/3/${length}` }, resolve)
      .on("error", reject)
      .end();
  });
  stalled.pause();
  for (let seed = 4; seed < 8; seed++) await ask({ port, agent, seed: seed * 3 + 1, length });
  const came = await collect(stalled, false);
  assert.ok(came.equals(patternOf(3, length)));
  assert.deepEqual(wrong, []);
});

test("a block is given to the next one only when nobody reads or writes it", () => {
  const blocks = new ReadBlocks();
  const reading = new Reading(blocks);
  assert.equal(reading.next(100, true), blocks.shared, "short answers share one buffer");
  reading.begin();
  const own = reading.next(READ_BYTES, false);
  assert.notEqual(own, blocks.shared);
  reading.begin();
  reading.kept = true;
  reading.close();
  assert.notEqual(reading.next(READ_BYTES, false), own, "it is still being written from");
  assert.notEqual(blocks.take(), own, "nor does anybody else get it");
  const other = new Reading(blocks);
  const block = other.next(READ_BYTES, true);
  assert.equal(other.next(READ_BYTES, true), block, "long answers go on in the same block");
  other.next(10, true);
  assert.equal(blocks.take(), block, "after a short one it is free");
});

test("however many long answers there are, blocks are bounded; beyond the bound the shared buffer serves", () => {
  const blocks = new ReadBlocks();
  const readings = Array.from({ length: 100 }, () => new Reading(blocks));
  const given = new Set(readings.map((reading) => reading.next(READ_BYTES, false)));
  assert.equal(given.size, 65);
  assert.ok(given.has(blocks.shared));
  for (const reading of readings) reading.close();
  assert.notEqual(new Reading(blocks).next(READ_BYTES, false), blocks.shared);
});

test("free slabs are bounded, and large ones are not kept", () => {
  const slabs = new Slabs();
  const all = Array.from({ length: 300 }, () => slabs.take(65_536));
  for (const slab of all) slabs.give(slab);
  assert.ok(slabs.freeBytes <= 8 * 1024 * 1024);
  const before = slabs.freeBytes;
  slabs.give(slabs.take(5_000_000));
  assert.equal(slabs.freeBytes, before);
  assert.ok(slabs.take(1).length >= 1);
});
