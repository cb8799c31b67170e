import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { defaultResource } from "@opentelemetry/resources";
import { catalogue } from "../../src/catalogue.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog, type Log } from "../../src/kernel/log.ts";
import { Problem } from "../../src/kernel/problem.ts";
import { encode } from "../../src/telemetry/exposition.ts";
import { createOtlp, type Otlp, type OtlpOptions } from "../../src/telemetry/otlp.ts";
import { settleOtlp } from "../../src/telemetry/otlp-settings.ts";
import { createProducer } from "../../src/telemetry/producer.ts";
import { createRecorder, type Recorder } from "../../src/telemetry/recorder.ts";
import { resourceOf } from "../../src/telemetry/resource.ts";
import { handClock } from "../support/hand-clock.ts";
import { startOtlpReceiver, type OtlpReceiver } from "../support/otlp-receiver.ts";

const resource = {
  "service.name": "credit-outrider",
  "service.version": "1.0.0",
  "service.instance.id": "pod-1",
};

async function receiverOf(t: TestContext): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  return receiver;
}

function push(t: TestContext, over: Partial<OtlpOptions>): { otlp: Otlp; recorder: Recorder } {
  const recorder =
    over.recorder ??
    createRecorder({ catalogue, clock: systemClock, log: silentLog, runtimeMetrics: "leave-out" });
  const otlp = createOtlp({
    resource,
    version: "1.0.0",
    env: {},
    recorder,
    clock: systemClock,
    log: silentLog,
    intervalMs: 3_600_000,
    ...over,
  });
  t.after(() => otlp.stop(500));
  return { otlp, recorder };
}

const trace = { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331" };

function fill(recorder: Recorder): void {
  const labels = {
    http_request_method: "POST",
    http_response_status_code: "200",
    http_route: "",
    model: "credit",
    version: "1.4.2",
  };
  recorder.histogram("http_server_request_duration_seconds").observe(labels, 0.03);
  recorder.histogram("http_server_request_duration_seconds").observe(labels, 30, trace);
  recorder.counter("outrider_requests_total").inc({ model: "credit", version: "1.4.2", outcome: "ok" }, 2);
  recorder.gauge("outrider_quality_r2").set({ model: "credit", version: "1.4.2", window: "24h" }, -0.25);
  recorder.gauge("outrider_predictions_pending").set({ model: "credit", version: "1.4.2" }, 7);
  recorder.histogram("outrider_classification_score").set(
    { model: "credit", version: "1.4.2", actual: "positive" },
    Array.from({ length: 34 }, () => 1),
  );
}

for (const protocol of ["http/protobuf", "http/json"] as const) {
  test(`what /metrics shows arrives by OTLP (${protocol})`, async (t) => {
    const receiver = await receiverOf(t);
    const { otlp, recorder } = push(t, {
      endpoint: receiver.url,
      protocol,
      headers: { authorization: "Bearer x" },
    });
    fill(recorder);
    const before = BigInt(Date.now() - 60_000) * 1_000_000n;
    await otlp.start();
    await otlp.forceFlush();
    assert.equal(receiver.requests.length, 1);
    const [request] = receiver.requests;
    assert.equal(request?.path, "/v1/metrics");
    assert.equal(request?.encoding, protocol === "http/json" ? "json" : "protobuf");
    assert.equal(request?.headers["authorization"], "Bearer x");
    assert.deepEqual(request?.resource, resource);
    assert.deepEqual(request?.scopes, [{ name: "outrider", version: "1.0.0" }]);

    const duration = receiver.latest("http.server.request.duration");
    assert.equal(duration?.unit, "s");
    assert.equal(duration?.kind, "histogram");
    assert.equal(duration?.temporality, 2);
    const [point] = duration?.points ?? [];
    assert.deepEqual(point?.attributes, {
      "http.request.method": "POST",
      "http.response.status_code": 200,
      model: "credit",
      version: "1.4.2",
    });
    assert.equal(point?.count, 2);
    assert.equal(point?.sum, 30.03);
    assert.equal(point?.bounds?.length, 14);
    assert.deepEqual(point?.bucketCounts, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    const [slow, ...others] = point?.exemplars ?? [];
    assert.deepEqual([slow?.value, slow?.traceId, slow?.spanId], [30, trace.trace_id, trace.span_id]);
    assert.ok((slow?.time ?? 0n) > before && (slow?.time ?? 0n) <= (point?.time ?? 0n) + 1_000_000_000n);
    assert.deepEqual(others, []);
    assert.ok((point?.startTime ?? 0n) > before && (point?.startTime ?? 0n) <= (point?.time ?? 0n));

    const requests = receiver.latest("outrider.requests");
    assert.deepEqual([requests?.kind, requests?.monotonic, requests?.temporality], ["sum", true, 2]);
    assert.equal(requests?.points[0]?.value, 2);
    const pending = receiver.latest("outrider.predictions.pending");
    assert.deepEqual([pending?.kind, pending?.monotonic], ["sum", false]);
    const r2 = receiver.latest("outrider.quality.r2");
    assert.deepEqual([r2?.kind, r2?.points[0]?.value], ["gauge", -0.25]);
    const score = receiver.latest("outrider.classification.score")?.points[0];
    assert.deepEqual([score?.count, score?.sum], [34, undefined]);
  });
}

test("every family that a scrape shows is in the push, under its OTLP name", async (t) => {
  const receiver = await receiverOf(t);
  // Time stands still: the scrape after the push shows the snapshot of the push.
  const recorder = createRecorder({ catalogue, clock: handClock(Date.now()), log: silentLog });
  const { otlp } = push(t, { endpoint: receiver.url, recorder });
  fill(recorder);
  await otlp.start();
  await otlp.forceFlush();
  const snapshot = await recorder.snapshot();
  const pushed = new Map(
    receiver.requests.flatMap(({ metrics }) => metrics).map((metric) => [metric.name, metric]),
  );
  assert.ok(snapshot.families.length > 20);
  for (const { descriptor, series } of snapshot.families) {
    const metric = pushed.get(descriptor.otel.name);
    assert.equal(metric?.unit, descriptor.otel.unit, descriptor.name);
    assert.equal(metric?.points.length, series.length, descriptor.name);
  }
  assert.match(encode(snapshot, { format: "text", resource }), /^process_cpu_seconds_total /m);
});

test("a push tells what was counted a moment ago, though a scrape has just been answered", async (t) => {
  const receiver = await receiverOf(t);
  const { otlp, recorder } = push(t, { endpoint: receiver.url });
  await otlp.start();
  const labels = { model: "credit", version: "1" };
  recorder.counter("outrider_predictions_total").inc(labels);
  await recorder.snapshot();
  recorder.counter("outrider_predictions_total").inc(labels);
  await otlp.stop(60_000);
  assert.equal(receiver.latest("outrider.predictions")?.points[0]?.value, 2);
});

test("exports are counted by how they end, and the state says so", async (t) => {
  const receiver = await receiverOf(t);
  const clock = handClock(Date.now());
  const recorder = createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out" });
  const said: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (fields, message) => said.push(`${message} ${JSON.stringify(fields)}`),
  };
  const { otlp } = push(t, { endpoint: receiver.url, recorder, clock, log, timeoutMs: 30_000 });
  assert.equal(otlp.state().state, "ok");
  await otlp.start();
  await otlp.forceFlush();
  receiver.answerWith(400);
  for (let i = 0; i < 3; i++) {
    clock.advance(1000);
    await otlp.forceFlush();
  }
  assert.equal(otlp.state().state, "degraded");
  assert.ok(otlp.state().why !== null);
  assert.equal(said.length, 1, "one line a minute");
  receiver.answerWith(200);
  clock.advance(1000);
  await otlp.forceFlush();
  assert.equal(otlp.state().state, "ok");
  clock.advance(1000);
  const { families } = await recorder.snapshot();
  const exports = families.find(({ descriptor }) => descriptor.name === "outrider_otlp_exports_total");
  assert.deepEqual(exports?.series, [
    { labels: { result: "success" }, value: 2 },
    { labels: { result: "failure" }, value: 3 },
  ]);
  assert.ok(
    families.some(({ descriptor }) => descriptor.name === "outrider_otlp_last_success_timestamp_seconds"),
  );
});

test("the reader pushes on its own in the configured interval", async (t) => {
  const receiver = await receiverOf(t);
  const { otlp, recorder } = push(t, {
    endpoint: receiver.url,
    intervalMs: null,
    env: { OTEL_METRIC_EXPORT_INTERVAL: "50" },
  });
  fill(recorder);
  await otlp.start();
  await receiver.received(2);
});

test("stopping pushes once more, may come before start, and twice", async (t) => {
  const receiver = await receiverOf(t);
  const { otlp, recorder } = push(t, { endpoint: receiver.url });
  await otlp.stop(1000);
  await otlp.start();
  await otlp.start();
  fill(recorder);
  await Promise.all([otlp.stop(60_000), otlp.stop(60_000)]);
  assert.equal(receiver.requests.length, 1);
  await otlp.stop(1000);
  await otlp.forceFlush();
  assert.equal(receiver.requests.length, 1);
});

test("a receiver that is dead, or takes and never answers, does not delay stopping beyond its deadline", async (t) => {
  const silent = await receiverOf(t);
  silent.answerWith("never");
  for (const endpoint of [silent.url, "http://127.0.0.1:9"]) {
    const { otlp, recorder } = push(t, { endpoint, timeoutMs: 20_000 });
    fill(recorder);
    await otlp.start();
    const began = performance.now();
    await otlp.stop(200);
    const took = performance.now() - began;
    assert.ok(took < 10_000, `${endpoint}: ${took} ms`);
  }
});

test("without an endpoint, or when it is switched off, nothing is started", async (t) => {
  const endpoint = "http://127.0.0.1:9";
  const off: Partial<OtlpOptions>[] = [
    {},
    { endpoint: null },
    { endpoint: "" },
    { endpoint, metrics: false },
    { endpoint, env: { OTEL_SDK_DISABLED: "TRUE" } },
    { endpoint, env: { OTEL_METRICS_EXPORTER: "none" } },
    { env: { OTEL_METRICS_EXPORTER: "otlp" } },
  ];
  for (const over of off) {
    const { otlp } = push(t, over);
    await otlp.start();
    assert.equal(otlp.state().state, "off", JSON.stringify(over));
    await otlp.forceFlush();
    await otlp.stop(10);
  }
});

test("our own settings win over the standard variables, these over the defaults", () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/base/",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_METRIC_EXPORT_INTERVAL: "5000",
    OTEL_EXPORTER_OTLP_TIMEOUT: "700",
  };
  const fromEnv = settleOtlp({}, env);
  assert.equal(fromEnv?.url, "http://collector:4318/base/v1/metrics");
  assert.deepEqual(
    [fromEnv.protocol, fromEnv.intervalMs, fromEnv.timeoutMs, fromEnv.exportTimeoutMs],
    ["http/json", 5000, 700, 5000],
  );
  const own = settleOtlp({ endpoint: "http://own:1", protocol: "http/protobuf", intervalMs: 1000 }, env);
  assert.deepEqual(
    [own?.url, own?.protocol, own?.intervalMs],
    ["http://own:1/v1/metrics", "http/protobuf", 1000],
  );
  const signal = { ...env, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://metrics:1/as/it/is" };
  assert.equal(settleOtlp({}, signal)?.url, "http://metrics:1/as/it/is");
  assert.equal(settleOtlp({ endpoint: "http://a/v1/metrics" }, {})?.url, "http://a/v1/metrics");
  const grpc = settleOtlp({ endpoint: "http://a" }, { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" });
  assert.equal(grpc?.protocol, "http/protobuf");
  assert.equal(grpc.remarks.length, 1);
  for (const endpoint of ["collector:4318", "file:///etc/passwd", "http://", "nonsense"]) {
    assert.throws(() => settleOtlp({ endpoint }, {}), Problem, endpoint);
  }
});

test("the resource is ours, then what the environment says", () => {
  const options = { serviceName: "a-outrider", serviceVersion: "1", instanceId: "i", log: silentLog };
  const plain = resourceOf({ ...options, env: {} });
  assert.equal(plain["service.name"], "a-outrider");
  const { "service.name": _name, ...sdk } = defaultResource().attributes;
  assert.partialDeepStrictEqual(plain, sdk, "what the SDK says of itself");
  assert.ok(!Object.keys(plain).some((key) => key.startsWith("process.")), "command lines may hold secrets");
  const env = { OTEL_RESOURCE_ATTRIBUTES: "service.name=b,k8s.pod.name=p%2C1", OTEL_SERVICE_NAME: "c" };
  const named = resourceOf({ ...options, env });
  assert.equal(named["service.name"], "c");
  assert.equal(named["k8s.pod.name"], "p,1");
  const broken = resourceOf({ ...options, env: { OTEL_RESOURCE_ATTRIBUTES: "a=%zz,b=1" } });
  assert.deepEqual(broken, plain, "a broken list is left out as a whole");
});

test("a series starts when counting began, and anew after it fell or was away", async () => {
  const clock = handClock(1_000_000);
  const recorder = createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out" });
  const producer = createProducer({
    recorder,
    scope: { name: "x", version: "1" },
    startedAtMs: clock.wallMs(),
  });
  const counter = recorder.counter("outrider_target_cpu_time_seconds_total");
  /** Start in seconds per `source`. */
  const starts = async (): Promise<Record<string, number>> => {
    clock.advance(10_000);
    const { resourceMetrics } = await producer.collect();
    const points = resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .find(({ descriptor }) => descriptor.name === "outrider.target.cpu.time")?.dataPoints;
    return Object.fromEntries(
      (points ?? []).map(({ attributes, startTime }) => [String(attributes["source"]), startTime[0]]),
    );
  };
  counter.set({ source: "a" }, 3);
  counter.set({ source: "b" }, 3);
  assert.deepEqual(await starts(), { a: 1000, b: 1000 });
  counter.set({ source: "a" }, 4);
  counter.set({ source: "b" }, 1);
  counter.set({ source: "c" }, 9);
  assert.deepEqual(await starts(), { a: 1000, b: 1010, c: 1010 });
  assert.deepEqual(await starts(), { a: 1000, b: 1010, c: 1010 });
});

test("a snapshot that fails is an error in the result, not a rejection", async () => {
  const recorder = createRecorder({
    catalogue: [],
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  const failing: Recorder = { ...recorder, snapshotNow: () => Promise.reject(new Error("broken")) };
  const producer = createProducer({ recorder: failing, scope: { name: "x", version: "1" }, startedAtMs: 0 });
  const { errors, resourceMetrics } = await producer.collect();
  assert.equal(errors.length, 1);
  assert.deepEqual(resourceMetrics.scopeMetrics, []);
});
