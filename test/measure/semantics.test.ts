// What can be measured, and how a label is spelled.

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPrediction, normaliseLabel } from "../../src/measure/semantics.ts";
import { binarySpec, predictionOf, specFor } from "../support/models.ts";

const regression = specFor("m");
const binary = binarySpec("m");
const multiclass = specFor("m", { task: "multiclass", classes: ["a", "b"] });
const open = specFor("m", { task: "auto" });

test("1, 1.0 and the text 1 are one class; a class outside the set is refused with both named", () => {
  assert.deepEqual(normaliseLabel(binary, 1), { ok: true, value: "1" });
  assert.deepEqual(normaliseLabel(binary, "1"), { ok: true, value: "1" });
  assert.deepEqual(normaliseLabel(binary, -0), { ok: true, value: "0" });
  const refused = normaliseLabel(binary, "maybe");
  assert.ok(!refused.ok);
  assert.match(refused.message, /"maybe".*"0", "1"/);
  assert.equal(normaliseLabel(binary, 0.5).ok, false);
});

test("a regression label is a finite number and nothing else", () => {
  assert.deepEqual(normaliseLabel(regression, -1e308), { ok: true, value: -1e308 });
  for (const label of [Number.NaN, Infinity, -Infinity, "1"]) {
    assert.equal(normaliseLabel(regression, label).ok, false);
  }
});

test("an integer that no number holds is a class by its digits, and the nearest number to a regression", () => {
  const digits = "9007199254740993";
  const multi = specFor("m", { task: "multiclass", classes: [digits] });
  assert.deepEqual(normaliseLabel(multi, digits), { ok: true, value: digits });
  assert.deepEqual(normaliseLabel(regression, digits), { ok: true, value: 9_007_199_254_740_992 });
  for (const text of ["9007199254740992", `0.${digits}`, `${digits}000000`, ` ${digits}`])
    assert.equal(normaliseLabel(regression, text).ok, false, text);
});

test("a multiclass label may be outside the classes, but not empty; an unresolved model keeps what came", () => {
  assert.deepEqual(normaliseLabel(multiclass, "new"), { ok: true, value: "new" });
  assert.deepEqual(normaliseLabel(multiclass, 3), { ok: true, value: "3" });
  assert.equal(normaliseLabel(multiclass, "").ok, false);
  assert.deepEqual(normaliseLabel(open, 3), { ok: true, value: 3 });
  assert.equal(normaliseLabel(open, Number.NaN).ok, false);
});

test("a long label is shortened in the message", () => {
  const refused = normaliseLabel(binary, "x".repeat(100_000));
  assert.ok(!refused.ok && refused.message.length < 300);
});

test("predictions that can never be measured are refused with a reason", () => {
  const check = (spec: typeof binary, change: object): string => {
    const verdict = checkPrediction(spec, predictionOf({ id: "a", ...change }));
    return verdict.ok ? "ok" : verdict.reason;
  };
  assert.equal(check(regression, { value: 1 }), "ok");
  assert.equal(check(regression, { value: Infinity }), "not_finite");
  assert.equal(check(regression, { value: "1" }), "not_a_number");
  assert.equal(check(regression, {}), "not_a_number");
  assert.equal(check(binary, { score: 0.3 }), "ok");
  assert.equal(check(binary, { value: 1 }), "ok");
  assert.equal(check(binary, { value: "yes" }), "unknown_class");
  assert.equal(check(binary, {}), "no_prediction");
  assert.equal(check(binary, { score: 1.5 }), "score_out_of_range");
  assert.equal(check(binary, { score: Number.NaN, value: 1 }), "score_out_of_range");
  assert.equal(check({ ...binary, scoreKind: "margin" }, { score: -17 }), "ok");
  assert.equal(check(multiclass, { value: "z" }), "ok");
  assert.equal(check(multiclass, { scores: { a: 1, b: 0 } }), "no_prediction");
  assert.equal(check(multiclass, { value: "a", scores: { a: 2, b: 0 } }), "score_out_of_range");
  assert.equal(check(open, {}), "no_prediction");
  assert.equal(check(open, { value: 7 }), "ok");
});
