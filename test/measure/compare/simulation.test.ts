import assert from "node:assert/strict";
import { test } from "node:test";
import { DIFFERENT, runPaired, runScenario, SAME } from "../../../bench/compare.ts";

const RUNS = 200;
/** Upper end of what 5 % give by chance in 200 runs (99.9 %). */
const BY_CHANCE = 0.11;

for (const scenario of SAME) {
  test(`of ${RUNS} weeks of two equal versions, looked at after every label, at most a chance share is called different: ${scenario.name}`, () => {
    const { share } = runScenario(scenario, RUNS, 11);
    assert.ok(share.stratified <= 0.06, `stratified ${share.stratified}`);
    assert.ok(share["z cumulative"] > BY_CHANCE, `a z-test on the same weeks: ${share["z cumulative"]}`);
  });
}

test("one version wrong in 20 % instead of 10 % is found within the week, also by a 5 % canary", () => {
  const [, even, canary] = DIFFERENT.map((scenario) => runScenario(scenario, 40, 3));
  assert.equal(even?.share.stratified, 1);
  assert.ok((even?.median.stratified ?? Infinity) < 1000, `${even?.median.stratified} labels`);
  assert.ok((canary?.share.stratified ?? 0) >= 0.95, `${canary?.share.stratified}`);
});

test("12 % instead of 10 % is found in more than half of the weeks", () => {
  const [scenario] = DIFFERENT;
  assert.ok(scenario);
  assert.ok(runScenario(scenario, 60, 5).share.stratified > 0.5);
});

test("rows that both versions answered need a third of the labels", () => {
  const { paired, unpaired } = runPaired({ name: "", rates: [0.1, 0.12], common: 0.08 }, 60);
  assert.equal(paired.share, 1);
  assert.ok(unpaired.median > 2.5 * paired.median, `${unpaired.median} against ${paired.median}`);
  const same = runPaired({ name: "", rates: [0.1, 0.1], common: 0.08 }, 200);
  assert.ok(same.paired.share <= 0.06, `${same.paired.share}`);
});
