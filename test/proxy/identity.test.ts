// Ids, versions and traces: what is announced, what is continued, what is recorded.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RelaySnapshot } from "../../src/proxy/proxy.ts";
import { OPENING_SNAPSHOT } from "../../src/proxy/rules.ts";
import { OK, ask, get, post, scriptedOrigin, startProxy, valuesOf } from "./support.ts";

const UUID7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const snapshot = (changes: Partial<RelaySnapshot>): RelaySnapshot => ({ ...OPENING_SNAPSHOT, ...changes });

test("the client's id is returned when it is valid, else one is minted", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, delivered } = await startProxy(t, origin.url);
  const given = await ask(t, port, get("/", "X-Prediction-Id: order-7"));
  assert.deepEqual(valuesOf(given, "x-prediction-id"), ["order-7"]);
  for (const bad of ["", "with space", "caf\xe9", "a".repeat(257)]) {
    const minted = await ask(t, port, get("/", `x-prediction-id: ${bad}`));
    assert.match(valuesOf(minted, "x-prediction-id").join(), UUID7);
  }
  const exchanges = await delivered(5);
  assert.deepEqual(
    exchanges.map((one) => one.idSource),
    ["client", "minted", "minted", "minted", "minted"],
  );
  assert.equal(exchanges[0]?.id, "order-7");
  assert.equal(new Set(exchanges.map((one) => one.id)).size, 5);
});

test("the model's own id wins and stands once", async (t) => {
  const origin = await scriptedOrigin(t, (request) =>
    OK.replace(
      "\r\n\r\n",
      request.includes("/bad") ? "\r\nx-prediction-id: b c\r\n\r\n" : "\r\nX-Prediction-ID: m-1\r\n\r\n",
    ),
  );
  const { port, delivered } = await startProxy(t, origin.url);
  assert.deepEqual(valuesOf(await ask(t, port, get("/", "x-prediction-id: mine")), "x-prediction-id"), [
    "m-1",
  ]);
  assert.deepEqual(valuesOf(await ask(t, port, get("/bad", "x-prediction-id: mine")), "x-prediction-id"), [
    "mine",
  ]);
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map((one) => [one.id, one.idSource]),
    [
      ["m-1", "model"],
      ["mine", "client"],
    ],
  );
});

test("the version is announced from header, path, route, then default, unless the model says it", async (t) => {
  const origin = await scriptedOrigin(t, (request) => {
    if (request.startsWith("GET /told")) return OK.replace("\r\n\r\n", "\r\nX-Model-Version: own\r\n\r\n");
    if (request.startsWith("GET /a/header")) return OK.replace("\r\n\r\n", "\r\nX-Rev: r9\r\n\r\n");
    return OK;
  });
  const { port, proxy, delivered } = await startProxy(t, origin.url);
  const versions = async (path: string): Promise<string[]> =>
    valuesOf(await ask(t, port, get(path)), "x-model-version");
  assert.deepEqual(await versions("/plain"), []);
  proxy.setSnapshot(
    snapshot({
      defaultVersion: "d1",
      routes: [
        { pattern: "/a/**", version: "ra", versionHeader: "x-rev" },
        { pattern: "/**", version: null, versionHeader: null },
      ],
    }),
  );
  assert.deepEqual(await versions("/a/header/versions/5/x"), ["r9"]);
  assert.deepEqual(await versions("/a/versions/5/infer"), ["5"]);
  assert.deepEqual(await versions("/v1/models/m/versions/3:predict?q=/versions/9/"), ["3"]);
  assert.deepEqual(await versions("/predictions/m/2.0"), ["2.0"]);
  assert.deepEqual(await versions("/predictions/m"), ["d1"]);
  assert.deepEqual(await versions("/a/x"), ["ra"]);
  assert.deepEqual(await versions("/versions/%0d%0aX-Evil:1/"), ["d1"]);
  assert.deepEqual(await versions("/told"), ["own"]);
  proxy.setSnapshot(snapshot({ defaultVersion: "d2", versionFromPath: false }));
  assert.deepEqual(await versions("/predictions/m/2.0"), ["d2"]);
  const exchanges = await delivered(10);
  assert.deepEqual(
    exchanges.map((one) => one.announcedVersion),
    [null, "r9", "5", "3", "2.0", "d1", "ra", "d1", null, "d2"],
  );
});

test("a valid trace is continued with a span of ours, and its state is untouched", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, delivered } = await startProxy(t, origin.url);
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const parent = "00f067aa0ba902b7";
  await ask(
    t,
    port,
    get("/", `Traceparent: 00-${traceId}-${parent}-01`, "tracestate: a=1", "Tracestate: b=2"),
  );
  await ask(t, port, get("/", `traceparent: cc-${traceId}-${parent}-03-more`));
  const [exchange, later] = await delivered(2);
  assert.deepEqual(valuesOf(origin.requests[0] ?? "", "traceparent"), [
    `00-${traceId}-${exchange?.trace.spanId}-01`,
  ]);
  assert.deepEqual(valuesOf(origin.requests[0] ?? "", "tracestate"), ["a=1", "b=2"]);
  assert.deepEqual(exchange?.trace, {
    traceId,
    spanId: exchange?.trace.spanId,
    parentSpanId: parent,
    sampled: true,
  });
  assert.notEqual(exchange?.trace.spanId, parent);
  assert.deepEqual(valuesOf(origin.requests[1] ?? "", "traceparent"), [
    `00-${traceId}-${later?.trace.spanId}-01`,
  ]);
});

test("an invalid or doubled trace begins anew, without its state", async (t) => {
  const origin = await scriptedOrigin(t, OK);
  const { port, delivered, proxy } = await startProxy(t, origin.url);
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const span = "00f067aa0ba902b7";
  const bad = [
    [`traceparent: 00-${"0".repeat(32)}-${span}-01`],
    [`traceparent: 00-${trace}-${"0".repeat(16)}-01`],
    [`traceparent: ff-${trace}-${span}-01`],
    [`traceparent: 00-${trace}-${span}-01-x`],
    [`traceparent: 00-${trace.toUpperCase()}-${span}-01`],
    [`traceparent: 00-${trace}-${span}-01`, `traceparent: 00-${trace}-${span}-01`],
    [],
  ];
  for (const lines of bad) await ask(t, port, get("/", ...lines, "tracestate: a=1"));
  proxy.setSnapshot(snapshot({ traceSampleRatio: 1 }));
  await ask(t, port, get("/"));
  const exchanges = await delivered(bad.length + 1);
  for (const [i, one] of exchanges.entries()) {
    const request = origin.requests[i] ?? "";
    const sampled = i === bad.length;
    assert.deepEqual([one.trace.parentSpanId, one.trace.sampled], [null, sampled]);
    assert.notEqual(one.trace.traceId, trace);
    assert.deepEqual(valuesOf(request, "traceparent"), [
      `00-${one.trace.traceId}-${one.trace.spanId}-${sampled ? "01" : "00"}`,
    ]);
    assert.deepEqual(valuesOf(request, "tracestate"), []);
  }
});

test("an exchange is sealed with what passed", async (t) => {
  const origin = await scriptedOrigin(
    t,
    "HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 4\r\n\r\npong",
  );
  const { port, delivered } = await startProxy(t, origin.url);
  await ask(t, port, post("/p?q=1", "ping", "X-B: 1"));
  const [one] = await delivered(1);
  assert.ok(one !== undefined);
  assert.deepEqual(
    [one.method, one.target, one.httpVersion, one.status, one.outcome, one.upgraded],
    ["POST", "/p?q=1", "1.1", 201, "ok", false],
  );
  assert.deepEqual(one.requestHeaders, ["Host", "model.example", "Content-Length", "4", "X-B", "1"]);
  assert.deepEqual(one.responseHeaders, ["X-A", "1", "x-a", "2", "Content-Length", "4"]);
  assert.deepEqual(
    [one.request, one.response].map((copy) => [Buffer.from(copy.bytes).toString(), copy.total, copy.kept]),
    [
      ["ping", 4, "whole"],
      ["pong", 4, "whole"],
    ],
  );
  const { requestEndMs, headMs, firstByteMs, lastByteMs, endMs, longestGapMs } = one.clocks;
  const order = [0, requestEndMs ?? -1, headMs ?? -1, firstByteMs ?? -1, lastByteMs ?? -1, endMs];
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  assert.equal(longestGapMs, 0);
  assert.ok(Math.abs(one.startedAtMs - Date.now()) < 120_000);
});

test("copies are bounded per body and together; what is not copied is still counted", async (t) => {
  const origin = await scriptedOrigin(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
  const { port, proxy, delivered } = await startProxy(t, origin.url);
  const capture = (bodyBytesMax: number, totalBytesMax: number, sampleRatio: number): void => {
    proxy.setSnapshot(
      snapshot({
        capture: { bodyBytesMax, totalBytesMax, sampleRatio },
        routes: [{ pattern: "/models/*", version: null, versionHeader: null }],
      }),
    );
  };
  capture(4, 1000, 1);
  await ask(t, port, post("/models/a", "abcdefgh"));
  await ask(t, port, post("/other", "abcdefgh"));
  capture(64, 12, 1);
  await ask(t, port, post("/models/a", "abcdefgh"));
  capture(64, 1000, 0);
  await ask(t, port, post("/models/a", "abcdefgh"));
  const exchanges = await delivered(4);
  assert.deepEqual(
    exchanges.map((one) => [one.request.kept, one.response.kept]),
    [
      ["truncated", "truncated"],
      ["not-captured", "not-captured"],
      ["whole", "not-captured"],
      ["not-captured", "not-captured"],
    ],
  );
  assert.equal(Buffer.from(exchanges[0]?.response.bytes ?? []).toString(), "0123");
  assert.ok(exchanges.every((one) => one.request.total === 8 && one.response.total === 10));
  assert.equal(proxy.stats().uncapturedBodies, 1);
});
