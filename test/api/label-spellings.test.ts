// One label, two ways in: what the API takes and refuses is what a replay of the same line does.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLabelCells, parseLabelEvent, parseLabelText } from "../../src/api/label-event.ts";
import { parseEvent } from "../../src/cli/replay-events.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { LabelEvent, Told } from "../../src/facts/label.ts";
import type { Value } from "../../src/facts/prediction.ts";
import { normaliseLabel } from "../../src/measure/semantics.ts";
import { specFor } from "../support/models.ts";

const isList = (label: LabelEvent["label"]): label is readonly (Told | null)[] => Array.isArray(label);

const NOW = 1_767_571_200_000;
const SPECS: readonly ModelSpec[] = [
  specFor("m"),
  specFor("m", { task: "binary", classes: ["0", "1"], positive: "1" }),
  specFor("m", { task: "binary", classes: ["0", "9007199254740993"], positive: "0" }),
  specFor("m", { task: "multiclass", classes: ["a", "1"] }),
];
/** JSON as it stands in the line. */
const SPELLINGS = [
  "1",
  "1.0",
  "1e0",
  "0",
  "-0",
  "-0.0",
  "0.5",
  "true",
  "false",
  "null",
  '"1"',
  '"0"',
  '"1.0"',
  '"a"',
  '""',
  '"true"',
  '"1.5"',
  '"1e3"',
  '"NaN"',
  "5e-324",
  "1e308",
  "{}",
  // A double holds these, and not those.
  "9007199254740992",
  '"9007199254740992"',
  "1000000000000000000",
  '"1000000000000000000"',
  "9007199254740993",
  '"9007199254740993"',
  "-9007199254740993",
  '"-9007199254740993"',
  "12345678901234567890",
  '"12345678901234567890"',
  "123456789012345678901",
  '"123456789012345678901"',
];

/** What the model's task makes of it; undefined: it is refused. -0 and 0 are the same truth. */
function fitted(spec: ModelSpec, { label }: Pick<LabelEvent, "label">): Value | null | undefined {
  if (label === null) return null;
  assert.ok(!isList(label));
  const normal = normaliseLabel(spec, label);
  if (!normal.ok) return undefined;
  return typeof normal.value === "number" ? normal.value + 0 : normal.value;
}

function overHttp(spec: ModelSpec, json: string): Value | null | undefined {
  const event = parseLabelEvent(parseLabelText(`{"id":"x","label":${json}}`), NOW);
  return "result" in event ? undefined : fitted(spec, event);
}

function fromCell(spec: ModelSpec, label: string): Value | null | undefined {
  const event = parseLabelCells({ id: "x", label, model: null, ts: null }, NOW);
  return "result" in event ? undefined : fitted(spec, event);
}

function replayed(spec: ModelSpec, json: string): Value | null | undefined {
  const line = `{"kind":"label","id":"x","model":"m","at":${NOW},"label":${json}}`;
  const event = parseEvent(line, () => spec);
  return event.kind === "label" ? fitted(spec, event.label) : undefined;
}

test("a label is taken or refused alike by the API and by a replay, and means the same", () => {
  for (const spec of SPECS) {
    for (const json of SPELLINGS) {
      assert.equal(overHttp(spec, json), replayed(spec, json), `${spec.task}: ${json}`);
    }
  }
});

test("text and true are no labels of a regression, however much the text looks like a number", () => {
  const [regression] = SPECS;
  assert.ok(regression);
  for (const json of ["true", "false", '"1.5"', '"9007199254740993"', '"12345678901234567890"']) {
    assert.equal(overHttp(regression, json), undefined, json);
  }
  assert.equal(overHttp(regression, "9007199254740993"), 9007199254740992);
});

test("a CSV cell has no quotes: digits are a number, true and false are not", () => {
  const [regression, binary] = SPECS;
  assert.ok(regression && binary);
  assert.equal(fromCell(regression, "9007199254740993"), 9007199254740992);
  assert.equal(fromCell(regression, "1.5"), 1.5);
  assert.equal(fromCell(regression, "True"), undefined);
  assert.equal(fromCell(binary, "True"), "1");
  assert.equal(fromCell(binary, "0"), "0");
  // What is no number of JSON is text, also where a double could not hold it.
  for (const cell of ["0012345678901234567", "0012345678901234568", "007"]) {
    for (const spec of SPECS) assert.equal(fromCell(spec, cell), overHttp(spec, `"${cell}"`), cell);
  }
});
