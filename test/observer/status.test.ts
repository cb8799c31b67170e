// What the status page shows: the last hour in slices, how quality went, and what needs attention.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Group } from "../../src/facts/group.ts";
import type { StatusModel } from "../../src/facts/status.ts";
import { createFindingsBook, findingsOf, type Facts } from "../../src/observer/status/findings.ts";
import { Latencies } from "../../src/observer/status/latencies.ts";
import { createPulse } from "../../src/observer/status/pulse.ts";
import { createStatusDesk } from "../../src/observer/status/status-desk.ts";
import { createQualityHistory } from "../../src/observer/status/quality-history.ts";
import { handClock } from "../support/hand-clock.ts";

const NOW = Date.UTC(2026, 0, 14, 12);

function exchange(endMs: number, outcome: "ok" | "client_error" | "server_error" | "timeout" = "ok") {
  const clocks = {
    requestEndMs: 1,
    headMs: endMs / 2,
    firstByteMs: endMs / 2,
    lastByteMs: endMs,
    endMs,
    longestGapMs: 0,
  };
  return { clocks, outcome };
}

test("a quantile of durations is within five percent of the exact one", () => {
  const latencies = new Latencies();
  assert.equal(latencies.quantile(0.5), null);
  for (let i = 1; i <= 1000; i++) latencies.add(i);
  for (const share of [0.01, 0.5, 0.95, 0.99]) {
    const exact = share * 1000;
    assert.ok(Math.abs((latencies.quantile(share) ?? 0) / exact - 1) <= 0.051, `${share}`);
  }
  latencies.clear();
  latencies.add(0);
  latencies.add(1e9);
  assert.ok((latencies.quantile(1) ?? 0) > 300_000);
});

test("an exchange counts in its slice by how it ended, and silence is a slice too", () => {
  const pulse = createPulse();
  pulse.exchange(exchange(10), NOW);
  pulse.exchange(exchange(20, "client_error"), NOW + 1000);
  pulse.exchange(exchange(30, "server_error"), NOW + 2000);
  pulse.exchange(exchange(40, "timeout"), NOW + 25_000);
  pulse.probe(true, NOW + 25_000);
  pulse.probe(false, NOW + 25_000);
  pulse.target({ cpu: 0.5, memoryBytes: 1000 }, NOW + 25_000);
  const { bins, binMs } = pulse.at(NOW + 26_000);
  assert.equal(binMs, 10_000);
  assert.deepEqual(
    bins.map(({ requests, clientErrors, serverErrors, ownErrors, up }) => [
      requests,
      clientErrors,
      serverErrors,
      ownErrors,
      up,
    ]),
    [
      [3, 1, 1, 0, null],
      [0, 0, 0, 0, null],
      [1, 0, 0, 1, 0.5],
    ],
  );
  assert.equal(bins[1]?.responseTimeP50Ms, null);
  assert.equal(bins[2]?.memoryBytes, 1000);
});

test("an hour is kept, whatever the clock does", () => {
  const pulse = createPulse();
  for (let i = 0; i < 1000; i++) pulse.exchange(exchange(5), NOW + i * 10_000);
  const later = NOW + 999 * 10_000;
  assert.equal(pulse.at(later).bins.length, 360);
  // Set back by a day: what cannot be placed is left out, nothing grows.
  pulse.exchange(exchange(5), later - 86_400_000 - 1);
  assert.ok(pulse.at(later - 86_400_000).bins.length <= 360);
  assert.equal(pulse.at(later + 86_400_000).bins.length, 1);
});

const GROUP: Group = {
  model: "credit",
  version: "2",
  slice: "",
  window: "24h",
  n_predictions: 100,
  n_labeled: 80,
  coverage: 0.8,
  metrics: { accuracy: 0.7, roc_auc: null, log_loss: 0.5 },
  undefined: { roc_auc: "one_class" },
  extra: {},
  intervals: { accuracy: { lower: 0.6, upper: 0.79, level: 0.95, method: "wilson" } },
};

test("the course of quality has a cap on points and on tracks, and leaves out what is undefined", () => {
  const history = createQualityHistory();
  for (let i = 0; i < 300; i++) history.add([GROUP], NOW + i * 30_000);
  const [track] = history.of("24h");
  assert.equal(track?.points.length, 240);
  assert.deepEqual(track?.points[0]?.metrics, { accuracy: [0.7, 0.6, 0.79] });
  history.add(
    Array.from({ length: 250 }, (_, i) => ({ ...GROUP, version: `v${i}` })),
    NOW,
  );
  assert.equal(history.of("24h").length, 200);
  assert.equal(
    history.of("24h").some(({ version }) => version === "2"),
    false,
  );
  history.add([{ ...GROUP, slice: "region=eu", window: "7d" }], NOW);
  assert.deepEqual(history.of("7d"), []);
});

function facts(over: Partial<Facts> = {}): Facts {
  return { parts: {}, models: [], verdicts: [], recent: [], dropped: 0, ...over };
}

function model(over: Partial<StatusModel> = {}): StatusModel {
  const version = {
    version: "2",
    stage: "production",
    registered: true,
    firstSeen: NOW,
    lastSeen: NOW,
    predictions: 100,
    labels: 80,
    evaluation: { accuracy: 0.8 },
    group: GROUP,
  };
  return {
    name: "credit",
    task: "binary",
    served: [{ version: "2", since: "2026-01-14T12:00:00Z", share: 1 }],
    declared: null,
    mismatch: false,
    versions: [version],
    ...over,
  };
}

test("a version that is surely worse than it was registered is told; one that may be is not", () => {
  const [finding] = findingsOf(facts({ models: [model()] }));
  assert.equal(finding?.severity, "warning");
  assert.match(
    finding?.message ?? "",
    /credit 2: accuracy of the last 24h is 0\.7000, registered with 0\.8000/,
  );
  const close = model().versions.map((version) => ({ ...version, evaluation: { accuracy: 0.75 } }));
  assert.deepEqual(findingsOf(facts({ models: [model({ versions: close })] })), []);
  const few = model().versions.map((version) => ({ ...version, group: { ...GROUP, n_labeled: 10 } }));
  assert.deepEqual(findingsOf(facts({ models: [model({ versions: few })] })), []);
});

test("a broken part, a mismatch, a verdict, failing requests and lost facts are told", () => {
  const bin = createPulse().at(NOW).bins[0];
  assert.ok(bin);
  const found = findingsOf(
    facts({
      parts: {
        "probe ready": { state: "degraded", why: "the probe failed: timeout", since: "" },
        otlp: { state: "ok", why: null, since: "" },
      },
      models: [
        model({
          mismatch: true,
          declared: { version: "1", source: "ledger", since: "" },
          versions: [],
        }),
      ],
      verdicts: [
        {
          model: "credit",
          baseline: "1",
          candidate: "2",
          metric: "error_rate",
          difference: 0.1,
          lower: 0.05,
          upper: 0.15,
          verdict: "worse",
        },
      ],
      recent: [{ ...bin, requests: 100, serverErrors: 3, ownErrors: 4 }],
      dropped: 3,
    }),
  );
  assert.deepEqual(
    found.map(({ severity, key }) => [severity, key.split(" ")[0]]),
    [
      ["critical", "part"],
      ["critical", "errors"],
      ["warning", "mismatch"],
      ["warning", "verdict"],
      ["warning", "dropped"],
    ],
  );
});

test("a finding keeps its beginning, and is remembered when it is over", () => {
  const book = createFindingsBook();
  const finding = { key: "a", severity: "warning", message: "first" } as const;
  book.update([finding], NOW);
  book.update([{ ...finding, message: "second" }], NOW + 1000);
  const holding = [{ ...finding, message: "second", since: NOW, until: null }];
  assert.deepEqual(book.seen([{ ...finding, message: "second" }], NOW + 1000), holding);
  book.update([], NOW + 2000);
  const over = [{ ...finding, message: "second", since: NOW, until: NOW + 2000 }];
  assert.deepEqual(book.seen([], NOW + 3000), over);
  for (let i = 0; i < 100; i++) {
    book.update([{ ...finding, key: String(i) }], NOW + i);
    book.update([], NOW + i);
  }
  assert.equal(book.seen([], NOW).length, 50);
});

test("whoever looks at the findings changes none of them: only the timer notes that they began or ended", async () => {
  const clock = handClock(NOW);
  const SINCE = new Date(NOW).toISOString();
  let degraded = true;
  const desk = createStatusDesk({
    clock,
    models: () => [],
    versionModels: () => [],
    groups: () => [],
    comparisons: () => [],
    parts: () => ({
      store: degraded
        ? { state: "degraded", why: "the disk is full", since: SINCE }
        : { state: "ok", why: null, since: SINCE },
    }),
    windows: () => new Set(["24h"]),
    dropped: () => 0,
  });
  await desk.start();
  const findings = () => desk.status("24h").findings.map(({ since, until }) => [since - NOW, until]);
  clock.advance(1000);
  assert.deepEqual(findings(), [[1000, null]]);
  clock.advance(1000);
  // Still as nobody had looked before.
  assert.deepEqual(findings(), [[2000, null]]);
  clock.advance(3000);
  degraded = false;
  assert.deepEqual(findings(), [[5000, NOW + 5000]]);
  degraded = true;
  assert.deepEqual(findings(), [[5000, null]]);
  await desk.stop(0);
});
