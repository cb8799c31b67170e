// Recorded streams through the ledger on disk and the measuring room, as `outrider replay` runs them.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { replay, type ReplayNeeds } from "../src/cli/replay.ts";
import { parseEvent } from "../src/cli/replay-events.ts";
import { Problem } from "../src/kernel/problem.ts";
import { silentLog } from "../src/kernel/log.ts";
import { createLedger } from "../src/ledger/ledger.ts";
import { compareAnswers, goldenCases } from "./support/golden.ts";
import { specFor } from "./support/models.ts";

const needs: ReplayNeeds = { createLedger, log: silentLog, models: [] };
let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "outrider-test-"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

for (const golden of goldenCases()) {
  test(`replaying ${golden.name} answers as expected, and writes the same to a file`, async () => {
    const outFile = join(folder, `${golden.name}.json`);
    const files = { eventsFile: golden.eventsFile, caseFile: golden.configFile, outFile };
    const result = await replay(files, needs);
    compareAnswers(result.queries, golden);
    assert.deepEqual(JSON.parse(readFileSync(outFile, "utf8")), JSON.parse(JSON.stringify(result)));
    const { counters } = golden.expected;
    for (const name of ["predictions_accepted", "predictions_duplicate", "predictions_conflict"]) {
      assert.equal(result.counters[name] ?? 0, counters[name], name);
    }
    assert.equal(result.counters["predictions_rejected"] ?? 0, counters["predictions_rejected"]);
    assert.equal(result.counters["labels_rejected"] ?? 0, counters["labels_rejected"]);
    assert.equal(result.counters["labels_received"], counters["labels_received"]);
  });
}

test("two arrival orders of one stream give the same numbers, bit for bit", async () => {
  const cases = goldenCases().filter(({ name }) => name.startsWith("order-"));
  const answers: unknown[] = [];
  for (const { eventsFile, configFile } of cases) {
    const { queries } = await replay({ eventsFile, caseFile: configFile, outFile: null }, needs);
    // Maturity speaks of how long labels take to arrive: it is the one figure that another order of arrival changes.
    answers.push(queries.map(({ groups }) => groups.map((group) => ({ ...group, maturity: null }))));
  }
  assert.equal(answers.length, 2);
  assert.deepEqual(sortKeys(answers[0]), sortKeys(answers[1]));
});

test("lines that cannot be used are counted and the stream goes on", async () => {
  const eventsFile = join(folder, "broken.ndjson");
  const model = { name: "m", task: "regression", classes: null, positive: null, threshold: 0.5 } as const;
  const spec = { ...model, scoreKind: "probability", labelOffset: 0, minSamples: 1, maxClasses: 20 } as const;
  const lines = [
    "{",
    "[]",
    '{"kind":"surprise","at":1}',
    '{"kind":"prediction","id":"a","model":"m","version":"1","ts":1000,"prediction":1,"at":1000}',
    '{"kind":"prediction","id":"b","model":"m","version":"1","ts":1000,"prediction":1e999,"at":1000}',
    '{"kind":"label","id":"a","model":"__proto__","label":3,"at":1001}',
    '{"kind":"label","id":"a","model":"m","label":true,"at":1001}',
    '{"kind":"label","id":"a","model":"m","label":3,"at":1002}',
    '{"kind":"query","name":"q","at":2000}',
  ];
  writeFileSync(eventsFile, lines.join("\n"));
  const models = [{ ...spec, labelHorizonMs: 1000, windows: ["1h", "all"] }];
  const result = await replay({ eventsFile, caseFile: null, outFile: null }, { ...needs, models });
  const { counters, queries } = result;
  assert.equal(counters["events_rejected"], 3);
  assert.equal(counters["predictions_rejected"], 1);
  assert.equal(counters["labels_rejected"], 2);
  assert.deepEqual(
    queries[0]?.groups.map(({ window, n_labeled, metrics }) => [window, n_labeled, metrics["mae"]]),
    [
      ["1h", 1, 2],
      ["all", 1, 2],
    ],
  );
});

test("a file that is not there, or is no case, is told as a problem", async () => {
  const eventsFile = join(folder, "none.ndjson");
  await assert.rejects(replay({ eventsFile, caseFile: null, outFile: null }, needs), Problem);
  const caseFile = join(folder, "case.json");
  writeFileSync(caseFile, "{");
  await assert.rejects(replay({ eventsFile, caseFile, outFile: null }, needs), Problem);
});

function sortKeys(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sortKeys);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [key, sortKeys(each)]));
}

test("slice values are texts as they are live: true is no 1, and what is no plain value is left out", () => {
  const slice = { a: "eu", b: 7, c: 1.5, d: true, e: false, f: null, g: [1], h: {} };
  const line = JSON.stringify({
    kind: "prediction",
    at: 1,
    ts: 1,
    id: "r",
    model: "m",
    version: "1",
    prediction: 1,
    slice,
  });
  const event = parseEvent(line, () => specFor("m"));
  assert.ok(event.kind === "prediction");
  assert.deepEqual(event.prediction.slice, { a: "eu", b: "7", c: "1.5", d: "true", e: "false" });
});

test("classes are told apart by all digits of their numbers; a regression takes the nearest number", async () => {
  const one = "9007199254740993";
  const other = "9007199254740992";
  const lines = [one, other].flatMap((predicted, i) => [
    `{"kind":"prediction","id":"${i}","model":"code","version":"1","ts":1,"prediction":${predicted},"at":1}`,
    `{"kind":"label","id":"${i}","model":"code","label":${one},"ts":2,"at":2}`,
    `{"kind":"prediction","id":"${i}","model":"ns","version":"1","ts":1,"prediction":${predicted},"at":1}`,
    `{"kind":"label","id":"${i}","model":"ns","label":${other},"ts":2,"at":2}`,
    // Text is no number to a regression, however it reads.
    `{"kind":"label","id":"${i}","model":"ns","label":"${one}","ts":3,"at":3}`,
  ]);
  const eventsFile = join(folder, "digits.ndjson");
  const caseFile = join(folder, "digits.json");
  writeFileSync(eventsFile, [...lines, '{"kind":"query","name":"q","at":9}', ""].join("\n"));
  const models = { code: { task: "multiclass", classes: [one, other] }, ns: { task: "regression" } };
  writeFileSync(caseFile, JSON.stringify({ models }));
  const { queries } = await replay({ eventsFile, caseFile, outFile: null }, needs);
  const [code, ns] = ["code", "ns"].map((model) =>
    queries[0]?.groups.find((group) => group.model === model && group.window === "all"),
  );
  assert.deepEqual(code?.confusion, { [one]: { [one]: 1, [other]: 1 } });
  assert.deepEqual([ns?.n_labeled, ns?.metrics["mse"]], [2, 0]);
});
