import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { crc32, gunzipSync } from "node:zlib";
import fc from "fast-check";
import { catalogue } from "../../src/catalogue.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createExposition, encode, formatBound, negotiate } from "../../src/telemetry/exposition.ts";
import { createRecorder, type Recorder } from "../../src/telemetry/recorder.ts";
import type { Snapshot } from "../../src/telemetry/snapshot.ts";
import { handClock } from "../support/hand-clock.ts";

const golden = (name: string): string => join(import.meta.dirname, "snapshots", name);
const asText = { serializers: [(value: unknown) => String(value)] };
const resource = { "service.name": "credit-outrider", "service.version": "1.0.0", "k8s.pod.name": 'a"b' };
const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT = "text/plain; version=0.0.4; charset=utf-8";

function descriptorOf(name: string) {
  const found = catalogue.find((descriptor) => descriptor.name === name);
  assert.ok(found, name);
  return found;
}

/** Every kind of family, with everything that must be escaped or spelled with care. */
function specimen(): Snapshot {
  const duration = descriptorOf("http_server_request_duration_seconds");
  const bounds = [0.005, 1, 10];
  return {
    atMs: 0,
    families: [
      {
        kind: "histogram",
        descriptor: duration,
        bounds,
        series: [
          {
            labels: { http_request_method: "POST", http_route: "/v2/models/*/infer", model: "credit" },
            counts: [1, 0, 2, 1],
            sum: 31.25,
            count: 4,
            exemplars: [
              {
                labels: { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331" },
                value: 0.004,
                timestamp: 1768346400.1239,
              },
              null,
              null,
              null,
            ],
          },
        ],
      },
      {
        kind: "number",
        descriptor: descriptorOf("outrider_requests_total"),
        series: [
          { labels: { model: "credit", version: "1.4.2", outcome: "ok" }, value: 3 },
          {
            labels: { model: 'quote " backslash \\ newline \n', version: "ü 😀", outcome: "ok" },
            value: 1e21,
          },
          { labels: { model: "", version: "", outcome: "rejected" }, value: 0.5 },
        ],
      },
      {
        kind: "number",
        descriptor: descriptorOf("http_server_active_requests"),
        series: [{ labels: {}, value: 2 }],
      },
      {
        kind: "number",
        descriptor: { ...descriptorOf("outrider_quality_r2"), help: 'A "quoted" help\nof two lines \\.' },
        series: [
          { labels: { window: "24h" }, value: -0.25 },
          { labels: { window: "7d" }, value: Number.NaN },
          { labels: { window: "1h" }, value: -Infinity },
        ],
      },
      {
        kind: "number",
        descriptor: descriptorOf("outrider_target_cpu_time_seconds_total"),
        series: [{ labels: { source: "cgroup" }, value: 12.5 }],
      },
      {
        kind: "histogram",
        descriptor: descriptorOf("outrider_classification_score"),
        bounds: [0.5],
        series: [
          { labels: { actual: "positive" }, counts: [3, 4], sum: null, count: 7, exemplars: [null, null] },
        ],
      },
    ],
  };
}

test("the text format, byte for byte", (t) => {
  t.assert.fileSnapshot(encode(specimen(), { format: "text", resource }), golden("specimen.prom"), asText);
});

test("the OpenMetrics format, byte for byte", (t) => {
  t.assert.fileSnapshot(
    encode(specimen(), { format: "openmetrics", resource }),
    golden("specimen.openmetrics"),
    asText,
  );
});

/** Tells families apart, and stays when others come or go. */
const figureOf = (name: string): number => crc32(name) % 10_000;

/** One series in every family that the catalogue has. */
async function fill(recorder: Recorder): Promise<void> {
  for (const { name, type, labels, source, buckets } of catalogue) {
    if (source !== undefined) continue;
    const values = Object.fromEntries(labels.map((label) => [label, `a ${label}`]));
    if (type === "counter") recorder.counter(name).inc(values, figureOf(name));
    else if (type === "histogram") recorder.histogram(name).observe(values, buckets?.[1] ?? 1);
    else recorder.gauge(name).set(values, figureOf(name) / 4);
  }
  await recorder.snapshot();
}

test("every family of the catalogue, in both formats", async (t) => {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  await fill(recorder);
  const snapshot = await recorder.snapshot();
  const text = encode(snapshot, { format: "text", resource });
  for (const { name, source } of catalogue) {
    if (source === "prom-client" || name === "outrider_series_left_out") continue;
    assert.ok(text.includes(`\n# TYPE ${name} `), name);
  }
  t.assert.fileSnapshot(text, golden("catalogue.prom"), asText);
  t.assert.fileSnapshot(
    encode(snapshot, { format: "openmetrics", resource }),
    golden("catalogue.openmetrics"),
    asText,
  );
});

test("a scrape renames nothing, whatever format was asked for before", async () => {
  const clock = handClock();
  const recorder = createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out" });
  recorder.counter("outrider_requests_total").inc({ model: "m", version: "1", outcome: "ok" });
  const exposition = createExposition({ recorder, resource });
  const bodies: string[] = [];
  for (const accept of [TEXT, OPENMETRICS, TEXT, OPENMETRICS]) {
    bodies.push((await exposition.render(accept, undefined)).body.toString());
    clock.advance(1000);
  }
  assert.equal(bodies[2], bodies[0]);
  assert.equal(bodies[3], bodies[1]);
  for (const body of bodies) assert.match(body, /^outrider_requests_total\{.*outcome="ok"\} 1$/m);
});

test("exemplars stand in OpenMetrics only, and it ends with EOF", async () => {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  const trace = { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331" };
  recorder.histogram("outrider_proxy_overhead_seconds").observe({}, 0.001, trace);
  const exposition = createExposition({ recorder, resource: {} });
  const open = (await exposition.render(OPENMETRICS, undefined)).body.toString();
  assert.match(
    open,
    /^outrider_proxy_overhead_seconds_bucket\{le="0.001"\} 1 # \{trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"\} 0.001 \d+\.\d{3}$/m,
  );
  assert.ok(open.endsWith("\n# EOF\n"));
  const text = (await exposition.render(TEXT, undefined)).body.toString();
  assert.ok(!text.includes("trace_id") && !text.includes("EOF") && text.endsWith("\n"));
});

test("the format is what the scraper likes best of what we speak", () => {
  const prometheus3 =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
  const cases: readonly (readonly [accept: string | undefined, format: string])[] = [
    [undefined, "text"],
    ["", "text"],
    ["*/*", "text"],
    ["text/html,application/xhtml+xml,*/*;q=0.8", "text"],
    ["text/plain", "text"],
    ["text/plain;version=0.0.4", "text"],
    [prometheus3, "openmetrics"],
    ["application/openmetrics-text", "openmetrics"],
    ['Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', "openmetrics"],
    ["application/openmetrics-text;version=0.0.1", "text"],
    ["application/openmetrics-text;version=2.0.0,text/plain;q=0.1", "text"],
    ["application/openmetrics-text;q=0", "text"],
    ["application/openmetrics-text;q=0.5,text/plain;q=0.6", "text"],
    ["application/openmetrics-text;q=nonsense", "text"],
    ["application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", "text"],
    [";;;,,,=;q=", "text"],
  ];
  for (const [accept, format] of cases) assert.equal(negotiate(accept), format, String(accept));
});

test("no Accept header breaks negotiation", () => {
  fc.assert(fc.property(fc.string(), (accept) => negotiate(accept) === "text"));
});

test("the answer is compressed when that is asked for and worth it", async () => {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  await fill(recorder);
  const exposition = createExposition({ recorder, resource: {} });
  const plain = await exposition.render(undefined, "gzip;q=0, br");
  assert.equal(plain.contentEncoding, "");
  assert.equal(plain.contentType, TEXT);
  for (const wanted of ["gzip", "deflate, gzip;q=0.5", "*", "GZIP"]) {
    const packed = await exposition.render(OPENMETRICS, wanted);
    assert.equal(packed.contentEncoding, "gzip", wanted);
    assert.equal(packed.contentType, OPENMETRICS);
    const open = await exposition.render(OPENMETRICS, undefined);
    assert.deepEqual(gunzipSync(packed.body), open.body);
  }
});

test("bounds are always floats", () => {
  const spelled = [0.00005, 0.5, 1, 10, 1048576, 1e21, undefined].map(formatBound);
  assert.deepEqual(spelled, ["0.00005", "0.5", "1.0", "10.0", "1048576.0", "1e+21", "+Inf"]);
});

test("any label value comes back from the text format as it was", async () => {
  const pattern = /^outrider_probe_up\{probe="((?:[^"\\\n]|\\.)*)"\} 1$/m;
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }), async (probe) => {
      const recorder = createRecorder({
        catalogue: [descriptorOf("outrider_probe_up")],
        clock: handClock(),
        log: silentLog,
        runtimeMetrics: "leave-out",
      });
      recorder.gauge("outrider_probe_up").set({ probe }, 1);
      const text = encode(await recorder.snapshot(), { format: "text", resource: {} });
      const escaped = pattern.exec(text)?.[1] ?? "";
      const value = escaped.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char));
      assert.equal(
        value,
        probe
          .slice(0, 128)
          .toWellFormed()
          .replace(/\p{Cc}/gu, "\ufffd"),
      );
    }),
    { numRuns: 50 },
  );
});

test("who asks while a snapshot is the newest gets the same text, written and compressed once", async () => {
  const clock = handClock();
  const recorder = createRecorder({ catalogue, clock, log: silentLog });
  const exposition = createExposition({ recorder, resource });
  const [plain, again] = await Promise.all([exposition.render(TEXT, ""), exposition.render(TEXT, "")]);
  assert.equal(plain.body, again.body);
  const [packed, packedAgain] = await Promise.all([
    exposition.render(TEXT, "gzip"),
    exposition.render(TEXT, "gzip"),
  ]);
  assert.equal(packed.body, packedAgain.body);
  assert.equal(String(gunzipSync(packed.body)), String(plain.body));
  assert.match(String((await exposition.render(OPENMETRICS, "")).body), /# EOF\n$/);
  recorder.counter("outrider_requests_total").inc({ model: "credit", version: "1", outcome: "ok" });
  clock.advance(10_000);
  assert.match(String((await exposition.render(TEXT, "")).body), /outrider_requests_total\{[^}]*\} 1/);
});
