// What nowcasts said is held against the labels once they are in, also after a restart.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createEstimates } from "../../../src/measure/estimate/estimates.ts";
import { parseNotes } from "../../../src/measure/estimate/parse-notes.ts";
import { LATE_MS, PastNowcasts } from "../../../src/measure/estimate/past-nowcasts.ts";
import { binarySpec, specFor } from "../../support/models.ts";
import { normal, overconfident, randomFrom, worldOf } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 0, 20);
const DELAY = {
  maturedUntil: (_m: string, _v: string, at: number) => at - DAY,
  completeUntil: (_m: string, _v: string, at: number) => at - 2 * DAY,
};

interface Waiting {
  readonly row: number;
  readonly value: number;
  readonly at: number;
}

/** Eleven days of rows whose positives are labelled late, with a question every eight hours from the eighth day on. */
function live(restartEvery: number | null) {
  const random = randomFrom(77);
  const world = worldOf(binarySpec("credit", { labelHorizonMs: 2 * DAY, windows: ["24h"] }), DELAY);
  let estimates = createEstimates({ refreshMs: 0 }, world.needs);
  world.listen((change) => estimates.apply(change));
  const disk = new Map<string, string>();
  const restart = (): void => {
    const { states, saved } = estimates.unsaved();
    for (const [key, value] of states) {
      if (value === null) disk.delete(key);
      else disk.set(key, value);
    }
    saved();
    estimates = createEstimates({ refreshMs: 0 }, world.needs);
    estimates.load(disk);
    estimates.rebuild("credit");
  };
  const said = new Map<number, { accuracy: number; recall: number }>();
  let waiting: Waiting[] = [];
  let last = START;
  for (let hour = 1; hour <= 11 * 24; hour++) {
    last = START + hour * HOUR;
    for (let i = 0; i < 30; i++) {
      const { score, positive } = overconfident(random);
      const ts = last - HOUR + Math.floor(((i + 0.5) / 30) * HOUR);
      const delay = -Math.log(1 - random()) * (positive ? 8 : 2) * HOUR;
      waiting.push({
        row: world.predict({ ts, score }),
        value: positive ? 1 : 0,
        at: ts + Math.min(delay, DAY),
      });
    }
    for (const { row, value, at } of waiting) if (at <= last) world.label(row, value, Math.floor(at));
    waiting = waiting.filter(({ at }) => at > last);
    if (hour < 7 * 24 || hour % 8 > 0) continue;
    const window = estimates.at(last + 1000)[0]?.windows[0];
    const of = (metric: string) =>
      window?.nowcast.metrics.find((one) => one.metric === metric)?.value ?? Number.NaN;
    said.set(last, { accuracy: of("accuracy"), recall: of("recall") });
    if (restartEvery !== null && hour % restartEvery === 0) restart();
  }
  return { world, said, last, answer: () => estimates.at(last + 2000)[0]?.windows[0] };
}

test("a nowcast of two days ago is held against what the labels of its window have turned out to say", () => {
  const { world, said, last, answer } = live(null);
  const end = last - 2 * DAY;
  const rows = world.rows.filter(({ prediction: { ts } }) => ts > end - DAY && ts <= end);
  assert.ok(rows.every(({ truth }) => truth !== null));
  const right = rows.filter(
    ({ prediction, truth }) => (prediction.score ?? 0) >= 0.5 === (truth?.value === 1),
  );
  const found = answer()?.nowcastErrors.find(({ metric }) => metric === "accuracy");
  assert.equal(found?.realised, right.length / rows.length);
  assert.ok(Math.abs(found.estimated - (said.get(end)?.accuracy ?? Number.NaN)) < 0.02);
  assert.ok(Math.abs(found.estimated - found.realised) < 0.03, JSON.stringify(found));
});

test("restarts lose none of the nowcasts that wait for their labels", () => {
  assert.deepEqual(live(16).answer()?.nowcastErrors, live(null).answer()?.nowcastErrors);
});

test("a corrected label moves what was realised, not what was said", () => {
  const { world, last, answer } = live(null);
  const before = answer()?.nowcastErrors.find(({ metric }) => metric === "accuracy");
  const row = world.rows.findIndex(({ prediction: { ts } }) => ts > last - 2.5 * DAY);
  world.label(row, world.rows[row]?.truth?.value === 1 ? 0 : 1, last);
  const after = answer()?.nowcastErrors.find(({ metric }) => metric === "accuracy");
  assert.equal(after?.estimated, before?.estimated);
  assert.notEqual(after?.realised, before?.realised);
});

test("a regression's nowcast is judged too", () => {
  const random = randomFrom(5);
  const world = worldOf(specFor("m", { labelHorizonMs: 2 * DAY, windows: ["24h", "7d"] }), DELAY);
  const estimates = createEstimates({ refreshMs: 0 }, world.needs);
  world.listen((change) => estimates.apply(change));
  const at = START + 10 * DAY;
  for (let i = 0; i < 6000; i++) {
    const ts = at - 9 * DAY + Math.floor((i / 6000) * 9 * DAY);
    const row = world.predict({ ts, value: normal(random) });
    if (at - ts > 6 * HOUR) world.label(row, normal(random), ts + 6 * HOUR);
  }
  estimates.at(at);
  const windows = estimates.at(at + 3 * DAY)[0]?.windows ?? [];
  for (const { window, nowcastErrors } of windows) {
    assert.deepEqual(
      nowcastErrors.map(({ metric }) => metric),
      ["mae", "mse", "rmse"],
      window,
    );
    for (const { estimated, realised } of nowcastErrors) assert.ok(Math.abs(estimated / realised - 1) < 0.1);
  }
  assert.equal(windows.length, 2);
});

test("notes are made once an hour, soon after it is over, and thinned out when many wait", () => {
  const past = new PastNowcasts();
  assert.equal(past.due(START + LATE_MS + 1), null);
  assert.equal(past.due(START + 1000), START);
  past.note("24h", START, [{ metric: "accuracy", value: 0.5 }]);
  assert.equal(past.due(START + 2000), null);
  assert.equal(past.settled("24h", START - 1), null);
  for (let hour = 1; hour <= 1000; hour++)
    past.note("24h", START + hour * HOUR, [{ metric: "accuracy", value: hour / 1000 }]);
  assert.ok(past.all().length <= 64);
  assert.equal(past.all()[0]?.end, START, "the one that settles first stays");
  assert.equal(past.settled("24h", START)?.said["accuracy"], 0.5);
  assert.equal(past.all().at(-1)?.end, START + 1000 * HOUR);
});

test("what was saved and is no note is left out", () => {
  const fine = { window: "24h", end: 1, said: { accuracy: 0.5 } };
  const wrong = [
    null,
    1,
    { ...fine, window: 1 },
    { ...fine, end: 1.5 },
    { ...fine, said: { accuracy: "x" } },
    { ...fine, said: null },
  ];
  assert.deepEqual(parseNotes(JSON.stringify([...wrong, fine])), [fine]);
  for (const text of ["", "{", "{}", "null"]) assert.deepEqual(parseNotes(text), []);
});
