// What is wrong with a model's task, classes and threshold; looked at even when something else in the model is wrong.

import { canonicalClass } from "../kernel/classes.ts";
import * as z from "zod";
import { modelFields } from "./model.ts";

/** What decides about classes; looked at even when something else in the model is wrong, so that all is told at once. */
const taskFields = z.object(modelFields.shape).pick({
  task: true,
  classes: true,
  positive: true,
  threshold: true,
  scoreKind: true,
  maxClasses: true,
  absentMeans: true,
});

type TaskFields = z.output<typeof taskFields>;
type Complain = (key: string, message: string) => void;

const isZeroOne = (classes: readonly string[]): boolean =>
  classes.length === 2 && classes.includes("0") && classes.includes("1");
const quoted = (classes: readonly string[]): string => classes.map((text) => JSON.stringify(text)).join(", ");

function checkBinary({ classes, positive }: TaskFields, complain: Complain): void {
  if (classes === null) {
    if (positive === null || positive === "0" || positive === "1") return;
    return complain("classes", `is required: name both classes, e.g. ["other", ${JSON.stringify(positive)}]`);
  }
  if (classes.length !== 2) return complain("classes", "must be exactly two for a binary model");
  if (positive === null && !isZeroOne(classes)) {
    complain("positive", `is required: say which of ${quoted(classes)} is the positive class`);
  }
  if (positive !== null && !classes.includes(positive)) {
    complain("positive", `must be one of ${quoted(classes)}, not ${JSON.stringify(positive)}`);
  }
}

function checkOthers(
  { task, classes, positive, threshold, maxClasses }: TaskFields,
  complain: Complain,
): void {
  if (positive !== null) complain("positive", "belongs to a binary model: set task: binary");
  if (classes !== null && task !== "multiclass")
    complain("classes", "needs task: binary or task: multiclass");
  if (classes !== null && classes.length > maxClasses) {
    complain("classes", `are more than maxClasses (${maxClasses}): raise it`);
  }
  if (threshold !== null && task !== "auto")
    complain("threshold", "belongs to a binary model: set task: binary");
}

function checkAbsentMeans({ task, classes, absentMeans }: TaskFields, complain: Complain): void {
  if (absentMeans === null) return;
  const { value } = absentMeans;
  if (task === "regression" && typeof value !== "number") {
    complain("absentMeans.value", "must be a number for a regression");
  }
  const known = task === "binary" ? (classes ?? ["0", "1"]) : classes;
  if (known !== null && !known.includes(canonicalClass(value))) {
    complain("absentMeans.value", `must be one of ${quoted(known)}, not ${JSON.stringify(value)}`);
  }
}

/** What is wrong with the task, classes and threshold of one model as it was written. */
export function checkTask(raw: unknown, complain: Complain): void {
  const parsed = taskFields.safeParse(raw);
  if (!parsed.success) return;
  const { data } = parsed;
  const { classes, threshold } = data;
  if (classes !== null && new Set(classes).size !== classes.length) {
    complain("classes", 'must not name one class twice (1, 1.0, true and "1" are the same class)');
  }
  if (data.task === "binary") checkBinary(data, complain);
  else checkOthers(data, complain);
  if (data.scoreKind === "probability" && threshold !== null && !(threshold >= 0 && threshold <= 1)) {
    complain(
      "threshold",
      `must be from 0 to 1 for probabilities, not ${threshold} (or set scoreKind: margin)`,
    );
  }
  checkAbsentMeans(data, complain);
}
