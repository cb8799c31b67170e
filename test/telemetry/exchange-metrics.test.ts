import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import type { Exchange } from "../../src/facts/exchange.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createExchangeMetrics, type ExchangeMetricsOptions } from "../../src/telemetry/exchange-metrics.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";
import type { HistogramSeries, NumberSeries } from "../../src/telemetry/snapshot.ts";
import { exchangeOf } from "../support/exchange.ts";
import { handClock } from "../support/hand-clock.ts";

const reading = { model: "credit", version: "1.4.2", route: "/v2/models/*/infer" };
const upstream = { address: "127.0.0.1", port: 8000 };

function setUp(options: ExchangeMetricsOptions = { upstream }) {
  const clock = handClock();
  const recorder = createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out" });
  const metrics = createExchangeMetrics(recorder, options);
  const familyOf = async (name: string) => {
    clock.advance(1000);
    return (await recorder.snapshot()).families.find(({ descriptor }) => descriptor.name === name);
  };
  return {
    clock,
    recorder,
    metrics,
    histogram: async (name: string): Promise<readonly HistogramSeries[]> => {
      const family = await familyOf(name);
      return family?.kind === "histogram" ? family.series : [];
    },
    numbers: async (name: string): Promise<readonly NumberSeries[]> => {
      const family = await familyOf(name);
      return family?.kind === "number" ? family.series : [];
    },
  };
}

const clocks = (over: Partial<Exchange["clocks"]>): Exchange["clocks"] => ({
  ...exchangeOf().clocks,
  ...over,
});

test("one good exchange is told by every family that it concerns, in seconds", async () => {
  const { metrics, histogram, numbers } = setUp();
  metrics.observe(
    exchangeOf({
      clocks: clocks({ requestEndMs: 2, headMs: 30, firstByteMs: 40, lastByteMs: 52, endMs: 54 }),
      trace: { ...exchangeOf().trace, sampled: true },
    }),
    reading,
  );
  const place = { http_route: reading.route, model: "credit", version: "1.4.2" };
  const [server] = await histogram("http_server_request_duration_seconds");
  assert.deepEqual(server?.labels, {
    http_request_method: "POST",
    http_response_status_code: "200",
    url_scheme: "http",
    ...place,
  });
  assert.equal(server?.sum, 0.054);
  assert.equal(server?.exemplars.find((one) => one !== null)?.labels["trace_id"], exchangeOf().trace.traceId);
  const [client] = await histogram("http_client_request_duration_seconds");
  assert.deepEqual(client?.labels, {
    http_request_method: "POST",
    http_response_status_code: "200",
    server_address: "127.0.0.1",
    server_port: "8000",
  });
  assert.equal(client?.sum, 0.05, "from the end of the request to the last byte");
  const [firstByte] = await histogram("outrider_time_to_first_byte_seconds");
  assert.deepEqual(firstByte?.labels, { ...place, streaming: "false" });
  assert.equal(firstByte?.sum, 0.04);
  assert.equal((await histogram("outrider_response_head_seconds"))[0]?.sum, 0.03);
  assert.equal((await histogram("outrider_proxy_overhead_seconds"))[0]?.sum, 0.004);
  assert.deepEqual(await histogram("outrider_stream_longest_gap_seconds"), []);
  assert.deepEqual(await histogram("http_server_request_body_size_bytes"), [], "off by default");
  const requests = await numbers("outrider_requests_total");
  assert.equal(requests.length, 8, "every outcome exists from the first request on");
  assert.deepEqual(
    requests.filter(({ value }) => value > 0),
    [{ labels: { model: "credit", version: "1.4.2", outcome: "ok" }, value: 1 }],
  );
});

test("a request whose trace is not sent leaves no exemplar that would lead nowhere", async () => {
  const { metrics, histogram } = setUp();
  metrics.observe(exchangeOf({ trace: { ...exchangeOf().trace, sampled: false } }), reading);
  for (const name of ["http_server_request_duration_seconds", "outrider_time_to_first_byte_seconds"]) {
    const [series] = await histogram(name);
    assert.ok(series !== undefined && series.exemplars.every((one) => one === null), name);
  }
});

test("what went wrong is told by cause, on either leg", async () => {
  const cases: [over: Partial<Exchange>, server: string | undefined, client: string | null | undefined][] = [
    [{ status: 404, outcome: "client_error" }, undefined, "404"],
    [{ status: 500, outcome: "server_error" }, "500", "500"],
    [
      { status: 502, outcome: "connect_error", ownError: "connection_refused" },
      "connection_refused",
      "connection_refused",
    ],
    [
      { status: 504, outcome: "timeout", ownError: "response_timeout" },
      "response_timeout",
      "response_timeout",
    ],
    [{ status: 200, outcome: "client_abort", abortedBy: "client" }, "client_abort", "client_abort"],
    [{ status: 200, outcome: "reset", abortedBy: "upstream" }, "connection_reset", "connection_reset"],
    [{ status: 400, outcome: "rejected", ownError: "bad_request" }, "bad_request", null],
    [{ status: null, outcome: "client_abort", abortedBy: "client" }, "client_abort", "client_abort"],
  ];
  for (const [over, serverError, clientError] of cases) {
    const { metrics, histogram, numbers } = setUp();
    metrics.observe(exchangeOf(over), reading);
    const [server] = await histogram("http_server_request_duration_seconds");
    const [client] = await histogram("http_client_request_duration_seconds");
    assert.equal(server?.labels["error_type"], serverError, JSON.stringify(over));
    if (clientError === null) assert.equal(client, undefined, "nothing was sent on");
    else assert.equal(client?.labels["error_type"], clientError, JSON.stringify(over));
    if (over.ownError !== undefined) assert.equal(client?.labels["http_response_status_code"], undefined);
    const counted = (await numbers("outrider_requests_total")).filter(({ value }) => value > 0);
    assert.deepEqual(
      counted.map(({ labels }) => labels["outcome"]),
      [over.outcome],
    );
  }
});

test("aborts are counted by side, and both sides exist from the start", async () => {
  const { metrics, numbers } = setUp();
  metrics.observe(exchangeOf({ outcome: "reset", abortedBy: "upstream" }), reading);
  assert.deepEqual(await numbers("outrider_aborts_total"), [
    { labels: { side: "client" }, value: 0 },
    { labels: { side: "upstream" }, value: 1 },
  ]);
});

test("streams tell their longest silence, and are told apart in time to first byte", async () => {
  const { metrics, histogram } = setUp();
  metrics.observe(
    exchangeOf({
      responseHeaders: ["Content-Type", "text/event-stream; charset=utf-8"],
      clocks: clocks({ endMs: 5000, lastByteMs: 5000, longestGapMs: 1500 }),
    }),
    reading,
  );
  assert.equal((await histogram("outrider_stream_longest_gap_seconds"))[0]?.sum, 1.5);
  const [firstByte] = await histogram("outrider_time_to_first_byte_seconds");
  assert.equal(firstByte?.labels["streaming"], "true");
});

test("a gRPC status is shown where the headers tell it", async () => {
  const { metrics, histogram } = setUp();
  metrics.observe(
    exchangeOf({ responseHeaders: ["content-type", "application/grpc", "grpc-status", "14"] }),
    reading,
  );
  const [server] = await histogram("http_server_request_duration_seconds");
  assert.equal(server?.labels["rpc_grpc_status_code"], "14");
});

test("an unknown method is _OTHER", async () => {
  const { metrics, histogram } = setUp();
  metrics.observe(exchangeOf({ method: "PROPFIND" }), reading);
  const [server] = await histogram("http_server_request_duration_seconds");
  assert.equal(server?.labels["http_request_method"], "_OTHER");
});

test("an answer that came before the request had ended has a leg that is not negative", async () => {
  const { metrics, histogram } = setUp();
  metrics.observe(
    exchangeOf({
      clocks: clocks({ requestEndMs: 100, headMs: 10, firstByteMs: 11, lastByteMs: 30, endMs: 101 }),
    }),
    reading,
  );
  assert.equal((await histogram("http_client_request_duration_seconds"))[0]?.sum, 0.02);
});

test("body sizes are recorded when asked for", async () => {
  const { metrics, histogram } = setUp({ bodySizes: "record" });
  metrics.observe(
    exchangeOf({ request: { bytes: new Uint8Array(0), total: 70_000, kept: "truncated" } }),
    reading,
  );
  assert.equal((await histogram("http_server_request_body_size_bytes"))[0]?.sum, 70_000);
  assert.equal((await histogram("http_server_response_body_size_bytes"))[0]?.sum, 2);
});

test("traffic that belongs to no model is counted without one", async () => {
  const { metrics, numbers } = setUp();
  metrics.observe(exchangeOf(), { model: "", version: "", route: "" });
  const counted = (await numbers("outrider_requests_total")).filter(({ value }) => value > 0);
  assert.deepEqual(counted, [{ labels: { outcome: "ok" }, value: 1 }]);
});

test("100,000 models, versions and routes leave a bounded number of series and right totals", async () => {
  const { metrics, histogram, numbers, recorder } = setUp();
  for (let i = 0; i < 100_000; i++) {
    metrics.observe(exchangeOf(), { model: `m${i}`, version: `v${i}`, route: `/r/${i}` });
  }
  const snapshot = await recorder.snapshot();
  const requests = await numbers("outrider_requests_total");
  assert.equal(requests.length, 21 * 8);
  assert.equal(
    requests.reduce((total, { value }) => total + value, 0),
    100_000,
  );
  const server = await histogram("http_server_request_duration_seconds");
  assert.ok(server.length <= 2001);
  assert.equal(
    server.reduce((total, { count }) => total + count, 0),
    100_000,
  );
  assert.ok(snapshot.families.every(({ series }) => series.length <= 2001));
});

test("a version's series come back after they were given up", async () => {
  const { metrics, numbers, clock } = setUp();
  let startedAtMs = exchangeOf().startedAtMs;
  const serve = (version: string): void => {
    startedAtMs += 2000;
    metrics.observe(exchangeOf({ startedAtMs }), { ...reading, version });
  };
  for (let i = 0; i < 10; i++) serve(`v${i}`);
  clock.advance(11 * 60 * 1000);
  for (let i = 1; i <= 10; i++) serve(`v${i}`);
  const total = async (version: string): Promise<number> =>
    (await numbers("outrider_requests_total"))
      .filter(({ labels }) => labels["version"] === version)
      .reduce((sum, { value }) => sum + value, 0);
  assert.deepEqual([await total("v0"), await total("v1"), await total("v10")], [0, 2, 1]);
  clock.advance(11 * 60 * 1000);
  serve("v0");
  assert.equal(await total("v0"), 1);
});
