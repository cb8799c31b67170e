// Around the prediction: which exchanges count, model, version, aliases, slices, routes, encodings.

import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { Exchange } from "../../src/facts/exchange.ts";
import { Problem } from "../../src/kernel/problem.ts";
import { answer, binary, bytesOf, rigOf, ruleOf, said } from "./kit.ts";

const GOOD = { prediction: 2.5 };

test("only a whole answer with a good status can be a prediction", () => {
  const cases: Partial<Exchange>[] = [
    { status: 500 },
    { status: 404 },
    { status: 204 },
    { status: 304 },
    { status: null },
    { method: "HEAD" },
    { method: "DELETE" },
    { method: "OPTIONS" },
    { ownError: "connection_refused", status: 502 },
    { abortedBy: "client" },
    { abortedBy: "upstream" },
    { upgraded: true },
    { target: "/health" },
    { target: "/v2/models/m/ready" },
    { target: "/orders", response: bytesOf({ id: 3, value: 4 }) },
    { target: "/items", response: bytesOf([1, 2, 3]) },
    { target: "/login", response: bytesOf({ token: "x" }) },
  ];
  for (const over of cases) {
    const reading = rigOf().extractor.read(answer(GOOD, over));
    assert.equal(reading.kind, "none", JSON.stringify(over));
    assert.deepEqual([reading.predictions, reading.failure, reading.aliases], [[], null, []]);
  }
  assert.equal(rigOf().extractor.read(answer(GOOD, { target: "/anything" })).kind, "predictions");
});

test("a known prediction path that answers nonsense is a failure, an unknown path is not", () => {
  const { extractor } = rigOf();
  assert.equal(extractor.read(answer("oops")).failure?.reason, "not_json");
  assert.equal(extractor.read(answer("oops", { target: "/files" })).kind, "none");
  assert.equal(extractor.read(answer("<form>", { method: "GET" })).kind, "none");
  const rule = ruleOf("m", { match: { path: "/files" } });
  const reading = rigOf([], [rule]).extractor.read(answer("oops", { target: "/files" }));
  assert.deepEqual([reading.kind, reading.model], ["unreadable", "m"]);
});

test("copies that are not whole are counted by their reason", () => {
  const kept = (how: "truncated" | "shed" | "not-captured"): Exchange =>
    answer(null, { response: { bytes: Buffer.from("[1"), total: 90_000, kept: how } });
  const { extractor } = rigOf();
  assert.equal(extractor.read(kept("truncated")).failure?.reason, "truncated");
  assert.equal(extractor.read(kept("truncated")).failure?.detail, "2 of 90000 bytes");
  assert.equal(extractor.read(kept("shed")).failure?.reason, "shed");
  assert.equal(extractor.read(kept("not-captured")).failure?.reason, "not_captured");
  assert.equal(rigOf([], [], { sampled: true }).extractor.read(kept("not-captured")).kind, "none");
});

test("compressed answers are unfolded, within bounds", () => {
  const plain = Buffer.from(JSON.stringify(GOOD));
  const encodings: Readonly<Record<string, Buffer>> = {
    gzip: gzipSync(plain),
    deflate: deflateSync(plain),
    br: brotliCompressSync(plain),
    zstd: zstdCompressSync(plain),
    GZIP: gzipSync(plain),
    identity: plain,
  };
  const { extractor } = rigOf([], [], { bodyBytesMax: 1024 });
  const reasonOf = (encoding: string, body: Buffer): string | null =>
    extractor.read(answer(body, { headers: ["Content-Encoding", encoding] })).failure?.reason ?? null;
  for (const [encoding, body] of Object.entries(encodings))
    assert.equal(reasonOf(encoding, body), null, encoding);
  assert.equal(reasonOf("deflate", deflateRawSync(plain)), null);
  assert.equal(reasonOf("gzip", plain), null, "announced, but not done");
  assert.equal(reasonOf("gzip", Buffer.from("\u001f\u008bnonsense", "latin1")), "encoding");
  assert.equal(reasonOf("rot13", plain), "encoding");
  assert.equal(reasonOf("gzip", gzipSync(Buffer.alloc(1_000_000, "["))), "too_large");
});

test("event streams are nothing, unless a rule expected predictions there", () => {
  const stream = answer("data: 1\n\n", { headers: ["Content-Type", "text/event-stream; charset=utf-8"] });
  assert.equal(rigOf().extractor.read(stream).kind, "none");
  const { extractor } = rigOf([], [ruleOf("m", { match: { path: "/predict" } })]);
  assert.equal(extractor.read(stream).failure?.reason, "unsupported");
});

test("the model is named by the rule, the body, the path, or nobody", () => {
  const model = (body: unknown, target: string): string =>
    rigOf().extractor.read(answer(body, { target })).model;
  assert.equal(model({ ...GOOD, model_name: "a" }, "/predict"), "a");
  assert.equal(model({ ...GOOD, model: "b" }, "/v1/models/p:predict"), "b");
  assert.equal(model({ ...GOOD, model: { name: "c" } }, "/predict"), "c");
  assert.equal(model(GOOD, "/v1/models/p%3Apredict?x=1"), "p");
  assert.equal(model(GOOD, "/v1/models/p/versions/3:predict"), "p");
  assert.equal(model(GOOD, "/predictions/q/2.0"), "q");
  assert.equal(model(GOOD, "/gateway/v2/models/r/infer"), "r");
  assert.equal(model(GOOD, "/serving-endpoints/s/invocations"), "s");
  assert.equal(model(GOOD, "/predict"), "default");
  assert.equal(model({ ...GOOD, model_name: "no spaces please" }, "/predict"), "_OTHER");
  assert.equal(model({ ...GOOD, model_name: "" }, "/predict"), "default");
});

test("rules match by path in order, or by the name in body or path", () => {
  const rules = [
    ruleOf("first", { match: { path: "/v2/models/x/**" } }),
    ruleOf("second", { match: { path: "/v2/**" } }),
    ruleOf("third"),
  ];
  const model = (body: unknown, target: string): string =>
    rigOf([], rules).extractor.read(answer(body, { target })).model;
  const outputs = [{ name: "y", shape: [1], datatype: "FP32", data: [1.5] }];
  assert.equal(model({ outputs }, "/v2/models/x/infer"), "first");
  assert.equal(model({ outputs }, "/v2/models/y/infer"), "second");
  assert.equal(model({ ...GOOD, model_name: "third" }, "/predict"), "third");
  assert.equal(model(GOOD, "/v1/models/third:predict"), "third");
  assert.equal(model(GOOD, "/predict"), "default");
  // The pattern covers the model's metadata too; that is no prediction.
  const metadata = rigOf([], rules).extractor.read(
    answer({ name: "x" }, { target: "/v2/models/x/ready", method: "GET" }),
  );
  assert.deepEqual([metadata.kind, metadata.model], ["none", "first"]);
});

test("versions: body, header, path, what was announced, outside source; a rule is the only source", () => {
  const version = (body: object, over: Parameters<typeof answer>[1] = {}, external?: string): string =>
    rigOf([], [], external === undefined ? {} : { external }).extractor.read(
      answer({ ...GOOD, ...body }, over),
    ).version;
  const headers = ["X-Model-Version", "h1"];
  const target = "/predictions/m/p1";
  assert.equal(version({ model_version: "b1" }, { headers, target }, "e1"), "b1");
  assert.equal(version({ model_version: 3 }), "3");
  assert.equal(version({ model: { name: "m", version: "b2" } }), "b2");
  assert.equal(version({ version: "b3" }), "b3");
  assert.equal(version({ model_version: null }, { headers, target }, "e1"), "h1");
  assert.equal(version({ model_version: "" }, { target }, "e1"), "p1");
  assert.equal(version({}, { announcedVersion: "a1" }, "e1"), "a1");
  assert.equal(version({}, {}, "e1"), "e1");
  assert.equal(version({}), "unknown");
  assert.equal(version({ model_version: "two words" }), "invalid");

  const ruled = (rule: Parameters<typeof ruleOf>[1], over: Parameters<typeof answer>[1] = {}): string =>
    rigOf([], [ruleOf("m", { match: { path: "/pred**" }, ...rule })], { external: "e1" }).extractor.read(
      answer({ ...GOOD, model_version: "b1", meta: { v: ["m1"] } }, over),
    ).version;
  assert.equal(ruled({ version: { kind: "static", version: "1.4.2" } }), "1.4.2");
  assert.equal(ruled({ version: { kind: "header", name: "X-Ver" } }, { headers: ["x-ver", "9"] }), "9");
  assert.equal(ruled({ version: { kind: "header", name: "X-Ver" } }), "unknown");
  assert.equal(ruled({ version: { kind: "body", at: "$.meta.v[0]" } }), "m1");
  assert.equal(ruled({ version: { kind: "path" } }, { target }), "p1");
  assert.equal(ruled({ version: { kind: "external" } }), "e1");
  assert.equal(ruled({ extract: { version: "$.meta.v[0]" } }), "m1");
  assert.equal(ruled({ extract: { version: "$.meta.w" } }), "b1");
});

test("aliases are distinct, bounded, and never the exchange's own id", () => {
  const exchange = answer(
    { ...GOOD, id: 42, ref: "configured" },
    {
      id: "own",
      asked: { id: "asked" },
      requestHeaders: ["X-Request-ID", "req", "x-prediction-id", "wish", "x-mine", "mine"],
      headers: [
        "ce-id",
        "42",
        "CE-RequestId",
        "own",
        "x-request-id",
        "srv",
        "x-bentoml-request-id",
        "",
        "x-litellm-call-id",
        "l".repeat(513),
      ],
    },
  );
  const rule = ruleOf("m", { match: { path: "/predict" }, extract: { id: "$.ref" } });
  const { aliases } = rigOf([], [rule], { idHeader: "X-Mine" }).extractor.read(exchange);
  assert.deepEqual(aliases, ["mine", "configured", "req", "wish", "42", "srv", "asked"]);
});

test("slices come from request headers and body fields, each value set bounded", () => {
  const slices = [
    { name: "region", header: "X-Region", body: null, maxValues: 2 },
    { name: "plan", header: null, body: "$.customer.plan", maxValues: 5 },
  ];
  const { extractor } = rigOf([], [ruleOf("m", { match: { path: "/predict" }, slices })]);
  const slice = (region: string | null, asked?: unknown): unknown => {
    const requestHeaders = region === null ? [] : ["x-region", region];
    const [first] = extractor.read(answer(GOOD, { requestHeaders, asked: asked ?? {} })).predictions;
    return first?.slice === null ? null : { ...first?.slice };
  };
  assert.deepEqual(slice("eu", { customer: { plan: "pro" } }), { region: "eu", plan: "pro" });
  assert.deepEqual(slice("us"), { region: "us" });
  assert.deepEqual(slice("asia"), { region: "_OTHER" });
  assert.deepEqual(slice(null, { customer: { plan: 7 } }), { plan: "7" });
  assert.deepEqual(slice(null, { customer: { plan: "p".repeat(65) } }), { plan: "_OTHER" });
  assert.equal(slice(null), null);
  assert.deepEqual(extractor.overflows(), { routes: 0, slices: 2 });
});

test("routes are templates, few, and not for scanners to fill", () => {
  const { extractor } = rigOf();
  const route = (target: string, status = 200): string =>
    extractor.read(answer(GOOD, { target, status })).route;
  assert.equal(
    route("/v2/models/any%20thing/versions/7/infer?x"),
    "/v2/models/{model}/versions/{version}/infer",
  );
  assert.equal(route("/users/12/orders/0198c0de-0000-7000-8000-000000000001"), "/users/{id}/orders/{id}");
  assert.equal(route("/blobs/deadbeefdeadbeef00"), "/blobs/{id}");
  assert.equal(route("/"), "/");
  assert.equal(route("http://host/predict?x=1"), "/predict");
  assert.equal(route("/wp-admin", 404), "_OTHER");
  for (let i = 0; i < 100; i++) route(`/scan${i}x`, 404);
  for (let i = 0; i < 60; i++) route(`/page-${i}-of-many`);
  assert.equal(route("/late"), "_OTHER");
  assert.equal(route("/users/13/orders/1"), "/users/{id}/orders/{id}");
  assert.ok(extractor.overflows().routes > 0);
  assert.equal(route(`/${"a/".repeat(3000)}`), "_OTHER");
});

test("errors are counted under a model that is known, never under one that is made up", () => {
  const { read } = rigOf();
  const target = "/v2/models/churn/versions/9/infer";
  assert.equal(read(answer({}, { target, status: 404 })).model, "");
  read(answer({ ...GOOD, model_name: "churn" }));
  const refused = read(answer({}, { target, status: 404 }));
  assert.deepEqual([refused.model, refused.version], ["churn", "unknown"]);
  const broken = read(answer({}, { target, status: 500 }));
  assert.deepEqual([broken.model, broken.version], ["churn", "9"]);
});

test("rows that cannot be read do not cost the others, and keep their numbers", () => {
  const reading = rigOf([binary("m")], [ruleOf("m")]).extractor.read(answer({ predictions: [1, "x", 0] }));
  assert.deepEqual(said(reading), [
    [1, null, null],
    [0, null, null],
  ]);
  assert.deepEqual(
    reading.predictions.map((p) => p.id.split(":")[1]),
    ["0", "2"],
  );
  assert.deepEqual(reading.failure, { reason: "invalid_value", detail: "1 of 3 rows" });
});

test("a rule with something that is no path is refused when it is made ready", () => {
  assert.throws(() => rigOf([], [ruleOf("m", { extract: { at: "$.a..b" } })]), Problem);
});
