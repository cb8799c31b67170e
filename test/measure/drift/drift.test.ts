// Drift over a stream: references that are taken and kept, windows against them, and alarms when errors change.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  createDrift,
  type Drift,
  type DriftOptions,
  type VersionDrift,
} from "../../../src/measure/drift/drift.ts";
import type { ReferenceRule } from "../../../src/measure/drift/stream.ts";
import { createAdwin } from "../../../src/measure/drift/adwin.ts";
import { createPageHinkley } from "../../../src/measure/drift/page-hinkley.ts";
import { parseSpread } from "../../../src/measure/drift/parse-spreads.ts";
import type { Change } from "../../../src/facts/pair.ts";
import type { ModelSpec } from "../../../src/facts/model.ts";
import { binarySpec, predictionOf, specFor } from "../../support/models.ts";
import { normal, overconfident, randomFrom, worldOf } from "../estimate/support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 0, 20);
const FRESH: DriftOptions = { refreshMs: 0 };

function setUp(spec: ModelSpec, options: DriftOptions = {}) {
  const world = worldOf(spec);
  const drift = createDrift({ ...FRESH, ...options }, world.needs);
  world.listen((change) => drift.apply(change));
  return { ...world, drift };
}

/** What a store would hold. */
const statesOf = (drift: Drift): (readonly [string, string])[] =>
  drift.unsaved().states.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const]));

function windowOf(answer: VersionDrift | undefined, stream: string, name: string) {
  const found = answer?.streams.find((each) => each.stream === stream);
  const window = found?.windows.find((each) => each.window === name);
  assert.ok(window, `${stream} ${name}`);
  return window;
}

test("scores that move away from the version's first hours are seen; scores that do not are within the noise", () => {
  const random = randomFrom(1);
  const { predict, drift } = setUp(binarySpec("m"));
  for (let i = 0; i < 2000; i++) predict({ ts: NOW - 6 * DAY + i, score: overconfident(random).score });
  for (let i = 0; i < 2000; i++) predict({ ts: NOW - 2 * DAY + i, score: overconfident(random).score });
  const [still] = drift.at(NOW - DAY);
  const calm = windowOf(still, "score", "7d");
  assert.equal(calm.rows, 2000, "the reference's own rows are not compared with it");
  assert.ok(calm.distances?.ks);
  assert.ok(calm.distances.psi < 3 * calm.distances.psiNoise);
  assert.ok(calm.distances.ks.value < 1.4 * calm.distances.ks.noise);
  for (let i = 0; i < 2000; i++) predict({ ts: NOW - HOUR + i, score: overconfident(random, 1).score });
  const [moved] = drift.at(NOW);
  const alarmed = windowOf(moved, "score", "24h");
  assert.equal(alarmed.rows, 2000);
  assert.ok(alarmed.distances?.ks);
  assert.ok(alarmed.distances.psi > 10 * alarmed.distances.psiNoise);
  assert.ok(alarmed.distances.ks.value > 3 * alarmed.distances.ks.noise);
  assert.ok(alarmed.distances.jensenShannon > 0.15);
  assert.ok((windowOf(moved, "class", "24h").distances?.psi ?? 0) > 0.1);
});

test("until there is a reference, and for windows with few rows, there is no distance and the reason is given", () => {
  const { predict, drift } = setUp(specFor("m"));
  for (let i = 0; i < 999; i++) predict({ ts: NOW - 3 * HOUR + i, value: i });
  assert.equal(windowOf(drift.at(NOW)[0], "prediction", "24h").reason, "reference");
  predict({ ts: NOW - 3 * HOUR + 2000, value: 5 });
  assert.equal(windowOf(drift.at(NOW)[0], "prediction", "24h").reason, "too_few");
  assert.equal(drift.at(NOW)[0]?.streams[0]?.referenceRows, 1000);
});

test("a reference outlives its rows, a rebuild and a restart", () => {
  const random = randomFrom(8);
  const world = setUp(specFor("m"));
  const { rows, needs, predict, drift } = world;
  for (let i = 0; i < 1500; i++) predict({ ts: NOW - 5 * DAY + i, value: normal(random) });
  drift.at(NOW - 4 * DAY);
  for (let i = 0; i < 500; i++) predict({ ts: NOW - HOUR + i, value: 2 + normal(random) });
  const before = drift.at(NOW);
  for (const [row, { prediction }] of rows.slice(0, 1500).entries()) {
    drift.apply({ kind: "forgotten", row, prediction, before: null });
  }
  rows.splice(0, 1500);
  assert.deepEqual(drift.at(NOW)[0]?.streams, before[0]?.streams);
  drift.rebuild("m");
  assert.deepEqual(drift.at(NOW)[0]?.streams, before[0]?.streams);
  const restarted = createDrift(FRESH, needs);
  restarted.load(statesOf(drift), true);
  restarted.rebuild("m");
  const [found] = restarted.at(NOW);
  assert.equal(found?.streams[0]?.referenceRows, 1500);
  const psi = windowOf(before[0], "prediction", "24h").distances?.psi ?? Number.NaN;
  assert.equal(windowOf(found, "prediction", "24h").distances?.psi, psi);
});

test("what was saved and is no spread is left out", () => {
  const fine = {
    model: "m",
    version: "1",
    stream: "s",
    kind: "number",
    role: "first",
    from: 0,
    through: 1,
    bits: 52,
    values: [1],
    counts: [2],
  };
  const wrong = [
    null,
    1,
    [],
    { ...fine, kind: "x" },
    { ...fine, role: "x" },
    { ...fine, from: "0" },
    { ...fine, counts: [] },
    { ...fine, counts: [-1] },
    { ...fine, values: ["a"] },
  ];
  assert.deepEqual(parseSpread(JSON.stringify(fine)), fine);
  for (const text of ["{", ...wrong.map((each) => JSON.stringify(each))])
    assert.equal(parseSpread(text), null);
});

/** Inputs of two days, told to a drift that has just begun, or that goes on. */
function tellInputs(drift: Drift, days: number): void {
  const random = randomFrom(31 + days);
  for (let i = 0; i < 400; i++) {
    const ts = NOW - days * DAY + 1 + i * 10_000;
    drift.input({ model: "m", version: "1", ts }, "age", Math.floor(60 * random()));
    drift.input({ model: "m", version: "1", ts }, "city", i % 3 === 0 ? "Bern" : "Genf");
  }
}

const inputsIn = (answer: VersionDrift | undefined) =>
  answer?.streams
    .filter(({ stream }) => stream.startsWith("input:"))
    .toSorted((a, b) => (a.stream < b.stream ? -1 : 1));

for (const [name, rule] of Object.entries({
  "its first rows": { kind: "first", rows: 300 },
  "a configured span": { kind: "span", from: NOW - 6 * DAY, to: NOW - 4 * DAY },
  "a registered baseline": {
    kind: "baseline",
    reference: { kind: "bins", edges: [0, 20, 40, 60], counts: [100, 100, 100] },
  },
} satisfies Record<string, ReferenceRule>)) {
  test(`windows and reference of an input outlive restarts and rebuilds: compared with ${name}`, () => {
    const options = { ...FRESH, referenceOf: () => rule };
    const { needs, predict, drift, rows } = setUp(specFor("m"), options);
    predict({ ts: NOW - 5 * DAY, value: 1 });
    tellInputs(drift, 5);
    // The reference is taken from these hours when they are over, and outlives them.
    drift.at(NOW - 4 * DAY);
    tellInputs(drift, 1);
    const before = inputsIn(drift.at(NOW)[0]);
    assert.deepEqual(
      before?.map(({ stream, windows }) => [stream, windows.map(({ rows: held }) => held)]),
      [
        ["input:age", [400, rule.kind === "first" ? 440 : 800]],
        ["input:city", [400, rule.kind === "first" ? 440 : 800]],
      ],
    );
    assert.ok(before[0]?.windows.every(({ distances }) => distances !== null));
    drift.rebuild("m");
    assert.deepEqual(inputsIn(drift.at(NOW)[0]), before);
    const disk = statesOf(drift);
    let last = drift;
    for (let restart = 0; restart < 3; restart++) {
      last = createDrift(options, needs);
      last.load(disk, true);
      for (const [row, { prediction }] of rows.entries())
        last.restore({ kind: "predicted", row, prediction });
      assert.deepEqual(inputsIn(last.at(NOW)[0]), before);
      assert.deepEqual(last.unsaved().states, [], "nothing has changed");
    }
    // Older than the longest window: dropped, the reference is not.
    const later = inputsIn(last.at(NOW + 8 * DAY)[0]);
    assert.deepEqual(
      later?.map(({ referenceRows, windows }) => [referenceRows, windows[1]?.rows]),
      before.map(({ referenceRows }) => [referenceRows, 0]),
    );
    const left = last.unsaved().states.filter(([, value]) => value === null);
    assert.ok(left.length >= 4, "hours are dropped from the store too");
    const without = createDrift(options, needs);
    without.load(disk, false);
    for (const [row, { prediction }] of rows.entries())
      without.restore({ kind: "predicted", row, prediction });
    const hours = without.unsaved().states.filter(([key, value]) => value === null && key.includes('"hour"'));
    assert.equal(hours.length, disk.filter(([key]) => key.includes('"hour"')).length);
  });
}

test("a configured span or a registered baseline can be the reference, and inputs are streams like any other", () => {
  const random = randomFrom(12);
  const { predict, drift } = setUp(specFor("m"), {
    streamsMax: 3,
    referenceOf: (_model, _version, stream) =>
      stream === "input:age"
        ? { kind: "baseline", reference: { kind: "bins", edges: [0, 20, 40, 60], counts: [100, 100, 100] } }
        : { kind: "span", from: NOW - 3 * DAY, to: NOW - 2 * DAY },
  });
  for (let i = 0; i < 600; i++) {
    const ts = i < 300 ? NOW - 2.5 * DAY + i : NOW - HOUR + i;
    predict({ ts, value: random() });
    drift.input({ model: "m", version: "1", ts }, "age", 60 * random());
    drift.input({ model: "m", version: "1", ts }, "region", i < 300 ? "eu" : "us");
    drift.input({ model: "m", version: "1", ts }, "beyond", 1);
  }
  drift.input({ model: "m", version: "1", ts: NOW }, "age", "forty");
  const [answer] = drift.at(NOW);
  const age = windowOf(answer, "input:age", "24h").distances;
  assert.ok(age && age.psi < 3 * age.psiNoise);
  const region = windowOf(answer, "input:region", "24h").distances;
  assert.ok(region && region.jensenShannon === 1);
  assert.equal(drift.counters().droppedValues, 601);
});

test("a change of the errors is found from matured rows only, and once the stream is calm nothing is", () => {
  const random = randomFrom(21);
  const { predict, label, drift } = setUp(binarySpec("m", { labelHorizonMs: DAY }));
  drift.at(NOW - 10 * DAY);
  for (let i = 0; i < 8000; i++) {
    const ts = Math.floor(NOW - 6 * DAY + (i / 8000) * 6 * DAY);
    const wrong = random() < (ts > NOW - 3 * DAY ? 0.3 : 0.1);
    const row = predict({ ts, value: 1 });
    label(row, wrong ? 0 : 1);
  }
  const alarmsAt = (at: number): Record<string, number> => {
    let answer: VersionDrift | undefined;
    do [answer] = drift.at(at);
    while ((answer?.behindMs ?? 0) > 0);
    return Object.fromEntries(
      (answer?.alarms ?? []).map(({ detector, direction, alarms }) => [`${detector} ${direction}`, alarms]),
    );
  };
  const none = { "adwin up": 0, "adwin down": 0, "page_hinkley up": 0, "page_hinkley down": 0 };
  assert.deepEqual(alarmsAt(NOW - 2 * DAY), none, "what has changed has not matured yet");
  const later = alarmsAt(NOW);
  assert.ok((later["adwin up"] ?? 0) >= 1);
  assert.ok((later["page_hinkley up"] ?? 0) >= 1);
  assert.equal(later["adwin down"], 0);
});

test("stationary errors hardly ever raise an alarm in 20,000 rows; a rise from 10 to 15 % is found within 4,000", () => {
  let found = 0;
  let early = 0;
  for (let run = 0; run < 10; run++) {
    const random = randomFrom(100 + run);
    for (const detector of [createAdwin(), createPageHinkley()]) {
      let late = 0;
      for (let i = 0; i < 20_000; i++) if (detector.update(random() < 0.1 ? 1 : 0) !== null) early++;
      for (let i = 0; i < 4000; i++) if (detector.update(random() < 0.15 ? 1 : 0) === "up") late++;
      if (late > 0) found++;
    }
  }
  assert.ok(early <= 2, `${early} false alarms`);
  assert.ok(found >= 18, `${found} of 20`);
});

test("any order of predictions, with some forgotten again, ends in the same distances", () => {
  const row = fc.record({
    ts: fc.integer({ min: NOW - 3 * DAY, max: NOW }),
    value: fc.integer({ min: 0, max: 60 }),
    forgotten: fc.boolean(),
  });
  const referenceOf = () =>
    ({ kind: "baseline", reference: { kind: "bins", edges: [0, 20, 40, 60], counts: [9, 9, 9] } }) as const;
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 80, maxLength: 120 }),
      fc.array(fc.nat(), { maxLength: 300 }),
      (rows, picks) => {
        const { needs } = worldOf(specFor("m"));
        const queues = rows.map(({ ts, value, forgotten }, i): Change[] => {
          const prediction = predictionOf({ id: `r${i}`, ts, value });
          const gone: Change[] = forgotten ? [{ kind: "forgotten", row: i, prediction, before: null }] : [];
          return [{ kind: "predicted", row: i, prediction }, ...gone];
        });
        const kept = queues.filter(({ length }) => length === 1).flat();
        const shuffled = createDrift({ ...FRESH, referenceOf }, needs);
        const plain = createDrift({ ...FRESH, referenceOf }, needs);
        const open = [...queues.keys()];
        for (let turn = 0; open.length > 0; turn++) {
          const at = (picks[turn % Math.max(1, picks.length)] ?? 0) % open.length;
          const queue = queues[open[at] ?? 0] ?? [];
          const change = queue.shift();
          if (change !== undefined) shuffled.apply(change);
          if (queue.length === 0) open.splice(at, 1);
        }
        for (const change of kept) plain.apply(change);
        assert.deepEqual(shuffled.at(NOW), plain.at(NOW));
      },
    ),
    { numRuns: 30 },
  );
});

test("versions beyond the cap are left out and counted", () => {
  const { predict, drift } = setUp(specFor("m"), { versionsMax: 1 });
  predict({ ts: NOW, version: "1", value: 1 });
  predict({ ts: NOW, version: "2", value: 1 });
  assert.equal(drift.at(NOW).length, 1);
  assert.equal(drift.counters().refusedVersions, 1);
});

test("a stream tells 50 categories apart; further ones are counted together, and that is counted", () => {
  const { predict, drift } = setUp(specFor("m", { task: "multiclass" }));
  for (let i = 0; i < 60; i++) predict({ ts: NOW - HOUR, value: `class ${i}` });
  assert.equal(drift.counters().otherValues, 10);
  assert.equal(windowOf(drift.at(NOW)[0], "class", "24h").rows, 60);
});
