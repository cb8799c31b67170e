// What is learnt of models that nobody configured.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Prediction } from "../../src/facts/prediction.ts";
import type { SavedModel } from "../../src/observe/models.ts";
import { answer, bookOf, rigOf, said, specOf } from "./kit.ts";

type Said = Partial<Pick<Prediction, "value" | "score" | "scores">>;

const rows = (...list: Said[]): Prediction[] =>
  list.map((row, at) => ({
    model: "m",
    version: "1",
    id: String(at),
    ts: 0,
    value: null,
    score: null,
    scores: null,
    slice: null,
    ...row,
  }));
const values = (...list: (number | string)[]): Prediction[] => rows(...list.map((value) => ({ value })));

function learnt(...steps: Prediction[][]): unknown[] {
  const book = bookOf();
  book.admit("m");
  return steps.map((step) => [book.learn("m", step), book.specOf("m")?.task]);
}

test("a task follows from what the model says", () => {
  assert.deepEqual(learnt(values(1, 0), values(1)), [
    ["resolved", "binary"],
    ["unchanged", "binary"],
  ]);
  assert.deepEqual(learnt(values("0", "1")), [["resolved", "binary"]]);
  assert.deepEqual(learnt(values("spam")), [["resolved", "multiclass"]]);
  assert.deepEqual(learnt(values(3.5), values(3)), [
    ["resolved", "regression"],
    ["unchanged", "regression"],
  ]);
  assert.deepEqual(learnt(rows({ score: 0.2 })), [["resolved", "binary"]]);
  assert.deepEqual(learnt(rows({ value: 2, scores: { 0: 0.1, 1: 0.1, 2: 0.8 } })), [
    ["resolved", "multiclass"],
  ]);
  assert.deepEqual(learnt(rows({ value: 0.5, score: 0.2 })), [["unchanged", "auto"]]);
});

test("a first guess gives way: to fractions, to more classes, to whole numbers nobody can tell", () => {
  assert.deepEqual(learnt(values(1, 0), values(0.5)), [
    ["resolved", "binary"],
    ["changed", "regression"],
  ]);
  assert.deepEqual(learnt(values(1, 0), values("maybe")), [
    ["resolved", "binary"],
    ["changed", "multiclass"],
  ]);
  assert.deepEqual(learnt(values(1, 0), values(2), values(1), values(2.5), values(7, 1)), [
    ["resolved", "binary"],
    ["changed", "auto"],
    ["unchanged", "auto"],
    ["resolved", "regression"],
    ["unchanged", "regression"],
  ]);
  assert.deepEqual(learnt(values(7), values(0, 1)), [
    ["unchanged", "auto"],
    ["unchanged", "auto"],
  ]);
});

test("a learnt binary model has classes and a positive one", () => {
  const book = bookOf();
  book.admit("m");
  book.learn("m", values(1));
  const spec = book.specOf("m");
  assert.deepEqual([spec?.classes, spec?.positive, spec?.threshold], [["0", "1"], "1", 0.5]);
});

test("configured tasks stay; classes beside auto settle it", () => {
  const book = bookOf([
    specOf("r", { task: "regression" }),
    specOf("c", { classes: ["no", "yes"] }),
    specOf("a", { minSamples: 30 }),
  ]);
  assert.equal(book.learn("r", values("x")), "unchanged");
  assert.deepEqual([book.specOf("c")?.task, book.specOf("c")?.positive], ["binary", "yes"]);
  assert.deepEqual([book.isFixed("r"), book.isFixed("c"), book.isFixed("a")], [true, true, false]);
  assert.equal(book.learn("a", values(0.5)), "resolved");
  assert.deepEqual([book.specOf("a")?.task, book.specOf("a")?.minSamples], ["regression", 30]);
});

test("models beyond the cap are one, which learns nothing", () => {
  const book = bookOf([specOf("configured")], 3);
  assert.deepEqual(
    ["a", "b", "c", "a", "_OTHER"].map((name) => book.admit(name)),
    ["a", "b", "_OTHER", "a", "_OTHER"],
  );
  assert.equal(book.overflows(), 1);
  assert.equal(book.learn("_OTHER", values(0.5)), "unchanged");
  assert.equal(book.specOf("_OTHER")?.task, "auto");
  assert.equal(book.specOf("c"), null);
  assert.deepEqual(
    book.all().map((spec) => spec.name),
    ["configured", "a", "b"],
  );
});

test("what was learnt survives a restart; a spoilt record does not", () => {
  const book = bookOf();
  book.admit("m");
  book.admit("n");
  book.learn("m", values(0.5));
  book.learn("n", values(7));
  const again = bookOf([specOf("fixed", { task: "binary", classes: ["0", "1"], positive: "1" })], 3);
  const spoilt = JSON.parse(
    '[{"name":"__proto__ ","guess":"binary"},{"name":"z","guess":"psychic"}]',
  ) as SavedModel[];
  again.restore([
    ...spoilt,
    { name: "fixed", guess: "regression" },
    ...book.save(),
    { name: "late", guess: "none" },
  ]);
  assert.deepEqual(
    again.all().map((spec) => [spec.name, spec.task]),
    [
      ["fixed", "binary"],
      ["m", "regression"],
      ["n", "auto"],
    ],
  );
  assert.equal(again.learn("n", values(1)), "unchanged");
});

test("answers are read by the task that was learnt from the ones before", () => {
  const rig = rigOf();
  assert.deepEqual(said(rig.read(answer([0.5]))), [[0.5, null, null]]);
  assert.deepEqual(said(rig.read(answer([3]))), [[3, null, null]]);
  assert.equal(rig.read(answer(["x"])).failure?.reason, "invalid_value");
  const classes = rigOf();
  classes.read(answer(["x"]));
  assert.equal(classes.read(answer([0.5])).failure?.reason, "invalid_value");
  assert.deepEqual(said(classes.read(answer([4]))), [[4, null, null]]);
});
