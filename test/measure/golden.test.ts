// The golden cases straight through the measuring room, with the plainest possible join in front of it.

import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseCase, parseEvent } from "../../src/cli/replay-events.ts";
import type { Change } from "../../src/facts/pair.ts";
import { createMeasure, type Measure } from "../../src/measure/measure.ts";
import { type Answer, compareAnswers, goldenCases } from "../support/golden.ts";
import { createPlainJoin } from "../support/plain-join.ts";

for (const golden of goldenCases()) {
  test(`golden case ${golden.name}: counts are equal, metrics within the tolerance`, () => {
    const specs = parseCase(readFileSync(golden.configFile, "utf8"));
    const specOf = (model: string) => specs.get(model) ?? null;
    const told: Change[] = [];
    const fresh = (): Measure =>
      createMeasure({}, { specOf, scan: (range, visit) => join.scan(range, visit) });
    const join = createPlainJoin((change) => {
      told.push(change);
      measure.apply(change);
    });
    let measure = fresh();
    const answers: Answer[] = [];
    for (const line of golden.lines) {
      const event = parseEvent(line, specOf);
      if (event.kind === "prediction") join.record([event.prediction]);
      else if (event.kind === "label") join.label([event.label]);
      else if (event.kind === "query") {
        answers.push({ name: event.name, at: event.at, groups: measure.groups(event.at) });
      } else if (event.kind === "restart") {
        measure = fresh();
        for (const change of told) measure.restore(change);
      }
    }
    compareAnswers(answers, golden);
  });
}
