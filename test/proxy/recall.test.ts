// What the relay remembers of earlier messages is bounded, and two counters say how it helps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { KnownHeads } from "../../src/proxy/known-heads.ts";
import { PlainRequestReader, type PlainRequest } from "../../src/proxy/plain-request.ts";
import { newRecall } from "../../src/proxy/recall.ts";
import { OPENING_SNAPSHOT, compileRules, routeOf } from "../../src/proxy/rules.ts";
import { OK, eventually, get, rawClient, scriptedOrigin, startProxy } from "./support.ts";

test("heads: a miss for each that was looked for in vain, an eviction for each that went for another one, nothing for a find", () => {
  const recall = newRecall();
  const known = new KnownHeads<PlainRequest>(null, recall);
  const read = (path: string, times: number): void => {
    const reader = new PlainRequestReader({ headBytesMax: 4096, headLinesMax: 32 }, known);
    const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: model:80\r\n\r\n`);
    for (let i = 0; i < times; i++) assert.equal(reader.read(bytes, 0, bytes.length)?.target, path);
  };
  // One of eight that were not known is kept.
  for (let i = 0; i < 64; i++) read(`/${i}`, 8);
  assert.deepEqual(recall, { misses: 64 * 8, evictions: 0 });
  assert.equal(known.size, 64);
  read("/63", 100);
  assert.deepEqual(recall, { misses: 64 * 8, evictions: 0 });
  for (let i = 64; i < 70; i++) read(`/${i}`, 9);
  assert.deepEqual(recall, { misses: 70 * 8, evictions: 6 });
});

test("targets: as many as are remembered, then all are forgotten; a long one is looked at each time; new rules go on counting", () => {
  const recall = newRecall();
  const rules = compileRules(OPENING_SNAPSHOT, recall);
  for (let round = 0; round < 2; round++) for (let i = 0; i < 256; i++) routeOf(rules, `/${i}`);
  assert.deepEqual(recall, { misses: 256, evictions: 0 });
  routeOf(rules, "/another");
  assert.deepEqual(recall, { misses: 257, evictions: 256 });
  for (let i = 0; i < 3; i++) routeOf(rules, `/${"a".repeat(200)}`);
  assert.deepEqual(recall, { misses: 260, evictions: 256 });
  routeOf(compileRules(OPENING_SNAPSHOT, recall), "/another");
  assert.equal(recall.misses, 261);
});

test("a client that says the same again is read in full a few times only, and so is its model", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, proxy } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  for (let i = 1; i <= 40; i++) {
    client.send(get("/p"));
    await eventually(() => client.text().split("\r\n\r\nok").length === i + 1);
  }
  const { cacheMisses, cacheEvictions } = proxy.stats();
  assert.deepEqual(cacheMisses, { request_head: 8, answer_head: 8, target: 1 });
  assert.deepEqual(cacheEvictions, { request_head: 0, answer_head: 0, target: 0 });
});
