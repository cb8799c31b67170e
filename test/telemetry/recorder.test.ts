import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createRecorder, type Recorder, type RecorderOptions } from "../../src/telemetry/recorder.ts";
import type { HistogramSeries, NumberSeries } from "../../src/telemetry/snapshot.ts";
import { handClock, type HandClock } from "../support/hand-clock.ts";

const OVERFLOWS = "outrider_label_values_overflow_total";
const PREDICTIONS = "outrider_predictions_total";

function setUp(over: Partial<RecorderOptions> = {}): { recorder: Recorder; clock: HandClock } {
  const clock = handClock();
  return {
    clock,
    recorder: createRecorder({ catalogue, clock, log: silentLog, runtimeMetrics: "leave-out", ...over }),
  };
}

/** The series of a family in a fresh snapshot. */
async function numbers(
  { recorder, clock }: { recorder: Recorder; clock: HandClock },
  name: string,
): Promise<readonly NumberSeries[]> {
  clock.advance(1000);
  const { families } = await recorder.snapshot();
  const family = families.find(({ descriptor }) => descriptor.name === name);
  return family === undefined || family.kind !== "number" ? [] : family.series;
}

async function histograms(
  { recorder, clock }: { recorder: Recorder; clock: HandClock },
  name: string,
): Promise<readonly HistogramSeries[]> {
  clock.advance(1000);
  const { families } = await recorder.snapshot();
  const family = families.find(({ descriptor }) => descriptor.name === name);
  return family === undefined || family.kind !== "histogram" ? [] : family.series;
}

test("what is not in the catalogue cannot be recorded", () => {
  const { recorder } = setUp();
  assert.throws(() => recorder.counter("outrider_no_such_total"), /catalogue/);
  assert.throws(() => recorder.gauge(PREDICTIONS), /gauge/);
  assert.throws(() => recorder.counter(PREDICTIONS).inc({ user: "x" }), /no dimension "user"/);
});

test("counters count, and leave out what would poison them", async () => {
  const all = setUp();
  const counter = all.recorder.counter(PREDICTIONS);
  counter.inc({ model: "m", version: "1" });
  counter.inc({ model: "m", version: "1" }, 2.5);
  for (const bad of [Number.NaN, Infinity, -1]) counter.inc({ model: "m", version: "1" }, bad);
  assert.deepEqual(await numbers(all, PREDICTIONS), [{ labels: { model: "m", version: "1" }, value: 3.5 }]);
  const invalid = await numbers(all, "outrider_invalid_observations_total");
  assert.deepEqual(invalid, [{ labels: { metric: PREDICTIONS }, value: 3 }]);
});

test("a counter can be made to exist at 0", async () => {
  const all = setUp();
  all.recorder.counter(PREDICTIONS).zero({ model: "m", version: "1" });
  assert.deepEqual(await numbers(all, PREDICTIONS), [{ labels: { model: "m", version: "1" }, value: 0 }]);
  const restarts = await numbers(all, "outrider_observer_restarts_total");
  assert.deepEqual(restarts, [], "nothing is claimed that nobody has said");
});

test("a total owned elsewhere is taken over, and a smaller one begins the series anew", async () => {
  const all = setUp();
  const counter = all.recorder.counter("outrider_target_cpu_time_seconds_total");
  const seen: number[] = [];
  for (const total of [3, 5, 5, 2, Number.NaN, 4.5]) {
    counter.set({ source: "procfs" }, total);
    seen.push((await numbers(all, "outrider_target_cpu_time_seconds_total"))[0]?.value ?? -1);
  }
  assert.deepEqual(seen, [3, 5, 5, 2, 2, 4.5]);
});

test("a gauge whose value is not finite has no series", async () => {
  const all = setUp();
  const gauge = all.recorder.gauge("outrider_probe_up");
  gauge.set({ probe: "a" }, 1);
  gauge.set({ probe: "b" }, 0);
  gauge.set({ probe: "a" }, Number.NaN);
  assert.deepEqual(await numbers(all, "outrider_probe_up"), [{ labels: { probe: "b" }, value: 0 }]);
  assert.deepEqual(await numbers(all, "outrider_target_cpu_limit"), [], "nor has one that was never set");
});

test("replacing a gauge removes the series that are not named again", async () => {
  const all = setUp();
  const gauge = all.recorder.gauge("outrider_probe_up");
  gauge.replace(["a", "b", "c"].map((probe) => ({ labels: { probe }, value: 1 })));
  gauge.replace([
    { labels: { probe: "b" }, value: 0 },
    { labels: { probe: "c" }, value: Number.NaN },
  ]);
  assert.deepEqual(await numbers(all, "outrider_probe_up"), [{ labels: { probe: "b" }, value: 0 }]);
});

test("histograms count per bucket, with the latest exemplar of each", async () => {
  const all = setUp();
  const histogram = all.recorder.histogram("outrider_proxy_overhead_seconds");
  const first = { trace_id: "a".repeat(32), span_id: "b".repeat(16) };
  const second = { trace_id: "c".repeat(32), span_id: "d".repeat(16) };
  histogram.observe({}, 0.00004, first);
  histogram.observe({}, 0.00005, second);
  histogram.observe({}, 7);
  histogram.observe({}, Number.NaN, first);
  const [series] = await histograms(all, "outrider_proxy_overhead_seconds");
  assert.deepEqual(series?.counts, [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  assert.equal(series?.count, 3);
  assert.ok(Math.abs((series?.sum ?? 0) - 7.00009) < 1e-12);
  assert.deepEqual(series?.exemplars[0]?.labels, first, "within a quarter of a second the first stays");
  histogram.observe({}, 0.00005, second);
  const [later] = await histograms(all, "outrider_proxy_overhead_seconds");
  assert.deepEqual(later?.exemplars[0]?.labels, second);
  assert.equal(later?.exemplars[0]?.value, 0.00005);
});

test("what comes with an exemplar and what comes without are one series, of which each snapshot holds all", async () => {
  const all = setUp();
  const exemplar = { trace_id: "a".repeat(32), span_id: "b".repeat(16) };
  const series = all.recorder.histogram("outrider_label_delay_seconds").series({ model: "m", version: "1" });
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 5; i++) series.observe(1, exemplar);
    for (let i = 0; i < 5; i++) series.observe(1e9);
    const [told, ...others] = await histograms(all, "outrider_label_delay_seconds");
    assert.deepEqual(others, []);
    assert.equal(told?.count, 10 * round);
    assert.equal(told?.counts.at(-1), 5 * round);
    assert.equal(told?.sum, round * (5 + 5e9));
  }
});

test("a total that is counted here begins where one owned elsewhere left off, and both are told once", async () => {
  const all = setUp();
  const counter = all.recorder.counter(PREDICTIONS);
  const labels = { model: "m", version: "1" };
  counter.set(labels, 5);
  counter.inc(labels, 2);
  counter.inc(labels, 3);
  for (let look = 0; look < 2; look++) {
    assert.deepEqual(await numbers(all, PREDICTIONS), [{ labels, value: 10 }]);
  }
  counter.inc(labels);
  assert.deepEqual(await numbers(all, PREDICTIONS), [{ labels, value: 11 }]);
});

test("bucket bounds can be replaced", async () => {
  const all = setUp({ buckets: { outrider_proxy_overhead_seconds: [0.5, 1] } });
  all.recorder.histogram("outrider_proxy_overhead_seconds").observe({}, 0.7);
  const [series] = await histograms(all, "outrider_proxy_overhead_seconds");
  assert.deepEqual(series?.counts, [0, 1, 0]);
});

test("counts of a histogram owned elsewhere are taken over as they are", async () => {
  const all = setUp();
  const counts = Array.from({ length: 34 }, (_, i) => i);
  all.recorder
    .histogram("outrider_classification_score")
    .set({ model: "m", version: "1", actual: "positive" }, counts);
  const [series] = await histograms(all, "outrider_classification_score");
  assert.deepEqual(series?.counts, counts);
  assert.equal(series?.count, (33 * 34) / 2);
  assert.equal(series?.sum, null);
  all.recorder
    .histogram("outrider_classification_score")
    .set({ model: "m", version: "1", actual: "negative" }, counts, 1.5);
  const [, summed] = await histograms(all, "outrider_classification_score");
  assert.deepEqual([summed?.counts, summed?.sum], [counts, 1.5]);
});

test("label sets that prom-client's own key would confuse stay apart", async () => {
  const all = setUp();
  const counter = all.recorder.counter(PREDICTIONS);
  counter.inc({ model: "a,version:b", version: "c" });
  counter.inc({ model: "a", version: "b,version:c" });
  counter.inc({ model: "__proto__", version: "constructor" });
  const series = await numbers(all, PREDICTIONS);
  assert.deepEqual(
    series.map(({ labels, value }) => [labels["model"], labels["version"], value]),
    [
      ["a,version:b", "c", 1],
      ["a", "b,version:c", 1],
      ["__proto__", "constructor", 1],
    ],
  );
});

test("hostile values are made harmless: cut, well-formed, without control characters", async () => {
  const all = setUp();
  all.recorder.counter(PREDICTIONS).inc({ model: `a\u0000\u0001\n\ud800${"x".repeat(1000)}`, version: "" });
  const [series] = await numbers(all, PREDICTIONS);
  assert.equal(series?.labels["model"], `a\ufffd\ufffd\ufffd\ufffd${"x".repeat(123)}`);
});

test("models beyond the cap are counted together, and totals stay right", async () => {
  const all = setUp();
  const counter = all.recorder.counter(PREDICTIONS);
  all.recorder.reserve("ours");
  for (let i = 0; i < 100_000; i++) counter.inc({ model: `m${i}`, version: `v${i}` });
  counter.inc({ model: "ours", version: "1" });
  const series = await numbers(all, PREDICTIONS);
  assert.equal(series.length, 21, "19 strangers, ours, and _OTHER");
  assert.equal(
    series.reduce((total, { value }) => total + value, 0),
    100_001,
  );
  const other = series.find(({ labels }) => labels["model"] === "_OTHER");
  assert.deepEqual(other, { labels: { model: "_OTHER", version: "_OTHER" }, value: 100_000 - 19 });
  assert.ok(series.some(({ labels }) => labels["model"] === "ours"));
  const overflow = await numbers(all, OVERFLOWS);
  assert.deepEqual(overflow[0], { labels: { label: "model" }, value: 100_000 - 19 });
});

test("routes are capped over all families together", async () => {
  const all = setUp();
  const histogram = all.recorder.histogram("outrider_response_head_seconds");
  for (let i = 0; i < 1000; i++) histogram.observe({ http_route: `/r/${i}`, model: "m", version: "1" }, 1);
  const series = await histograms(all, "outrider_response_head_seconds");
  assert.equal(series.length, 51);
  assert.equal(series.at(-1)?.count, 950);
});

test("a family has at most its number of series, however many label sets come", async () => {
  const all = setUp({ seriesMaxPerMetric: 100 });
  const counter = all.recorder.counter("outrider_job_runs_total");
  for (let i = 0; i < 100_000; i++) counter.inc({ job_name: `job ${i}`, result: "ok" });
  const series = await numbers(all, "outrider_job_runs_total");
  assert.equal(series.length, 101);
  assert.deepEqual(series.at(-1), { labels: { otel_metric_overflow: "true" }, value: 99_900 });
  const gauge = all.recorder.gauge("outrider_probe_up");
  gauge.replace(Array.from({ length: 150 }, (_, i) => ({ labels: { probe: `p${i}` }, value: 1 })));
  assert.equal((await numbers(all, "outrider_probe_up")).length, 100, "states do not share a series");
  gauge.replace(Array.from({ length: 150 }, (_, i) => ({ labels: { probe: `p${i}` }, value: 1 })));
  const leftOut = await numbers(all, "outrider_series_left_out");
  assert.deepEqual(leftOut, [{ labels: { metric: "outrider_probe_up" }, value: 50 }]);
});

test("a version that has been idle makes room for one that serves; all its series go", async () => {
  const all = setUp();
  const { recorder, clock } = all;
  const serve = (version: string): void => {
    recorder.seen("m", version);
    recorder.counter(PREDICTIONS).inc({ model: "m", version });
    recorder.histogram("outrider_label_delay_seconds").observe({ model: "m", version }, 1);
    recorder.gauge("outrider_last_prediction_timestamp_seconds").set({ model: "m", version }, 1);
  };
  for (let i = 0; i < 10; i++) serve(`v${i}`);
  clock.advance(11 * 60 * 1000);
  for (let i = 1; i < 10; i++) recorder.seen("m", `v${i}`);
  const held = recorder.counter(PREDICTIONS).series({ model: "m", version: "v0" });
  const delay = recorder.histogram("outrider_label_delay_seconds").series({ model: "m", version: "v0" });
  const time = recorder.histogram("outrider_time_to_first_byte_seconds");
  const never = time.series({ http_route: "/", model: "m", version: "v0", streaming: "false" });
  serve("v10");
  assert.equal(held.live, false);
  held.inc();
  delay.observe(1);
  delay.observe(1, { trace_id: "a".repeat(32), span_id: "b".repeat(16) });
  never.observe(1);
  assert.deepEqual(await histograms(all, "outrider_time_to_first_byte_seconds"), []);
  const versions = (await numbers(all, PREDICTIONS)).map(({ labels }) => labels["version"]);
  assert.deepEqual(new Set(versions), new Set(["v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10"]));
  assert.equal((await histograms(all, "outrider_label_delay_seconds")).length, 10);
  assert.equal((await numbers(all, "outrider_last_prediction_timestamp_seconds")).length, 10);
});

test("a version that changes with every request does not push out those that serve", async () => {
  const all = setUp();
  const { recorder } = all;
  for (let i = 0; i < 100_000; i++) {
    recorder.seen("m", `v${i}`);
    recorder.counter(PREDICTIONS).inc({ model: "m", version: `v${i}` });
  }
  const series = await numbers(all, PREDICTIONS);
  assert.equal(series.length, 11);
  assert.deepEqual(series.at(-1), { labels: { model: "m", version: "_OTHER" }, value: 99_990 });
});

test("totals owned elsewhere are left out beyond the cap instead of overwriting one another", async () => {
  const all = setUp();
  const counter = all.recorder.counter("outrider_regression_pairs_total");
  for (let i = 0; i < 12; i++) counter.set({ model: "m", version: `v${i}` }, i);
  assert.equal((await numbers(all, "outrider_regression_pairs_total")).length, 10);
});

test("a snapshot is shared for half a second, and collectors run once for it", async () => {
  const { recorder, clock } = setUp();
  let collected = 0;
  recorder.onCollect(() => {
    collected++;
    throw new Error("one bad collector");
  });
  recorder.onCollect(() => recorder.gauge("outrider_store_size_bytes").set({}, collected));
  const first = await recorder.snapshot();
  clock.advance(499);
  assert.equal(await recorder.snapshot(), first);
  clock.advance(1);
  const second = await recorder.snapshot();
  assert.notEqual(second, first);
  assert.equal(collected, 2);
  const sizes = second.families.find(({ descriptor }) => descriptor.name === "outrider_store_size_bytes");
  assert.deepEqual(sizes?.kind === "number" ? sizes.series : null, [{ labels: {}, value: 2 }]);
});

test("what a snapshot holds does not change any more", async () => {
  const { recorder } = setUp();
  recorder.counter(PREDICTIONS).inc({ model: "m", version: "1" });
  const before = await recorder.snapshot();
  const text = JSON.stringify(before.families);
  recorder.counter(PREDICTIONS).inc({ model: "m", version: "1" });
  assert.equal(JSON.stringify(before.families), text);
});

test("the runtime's families are collected, without the three that are gauges named like counters", async () => {
  const { recorder } = setUp({ runtimeMetrics: "collect" });
  const { families } = await recorder.snapshot();
  const names = families.map(({ descriptor }) => descriptor.name);
  assert.ok(names.includes("process_cpu_seconds_total"));
  assert.ok(names.includes("nodejs_eventloop_lag_seconds"));
  assert.ok(!names.some((name) => /^nodejs_active_\w+_total$/.test(name)));
});
