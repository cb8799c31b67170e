// Streams of several models, replayed, against a second recompute that shares no code with us nor with the golden reference:
// as they came, in another order, and with every event sent twice.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { replay } from "../../src/cli/replay.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { compareAnswers, goldenCases } from "../support/golden.ts";
import { run } from "./support/command.ts";
import { ensurePython, pythonFolder } from "./support/install.ts";

const FIRST_SEED = 2000;
const SEEDS = 12;

/** What a stream must have met to show anything. */
const MET = [
  "no_labels",
  "single_class",
  "no_scores",
  "class_absent",
  "no_predicted_positive",
  "no_actual_positive",
  "no_positive",
  "too_few",
  "constant_target",
  "zero_target",
  "overflow",
];

test(
  `${SEEDS} streams give what the rules say: as they came, permuted, and sent twice`,
  { timeout: 20 * 60_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrider-oracle-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const { python } = await ensurePython();
    await run(python, [join(pythonFolder, "oracle.py"), folder, String(FIRST_SEED), String(SEEDS)]);
    const cases = goldenCases(folder);
    assert.equal(cases.length, 3 * SEEDS);
    const reasons = new Set<string>();
    let compared = 0;
    for (const golden of cases) {
      await t.test(`seed ${golden.name}`, async () => {
        const files = { eventsFile: golden.eventsFile, caseFile: golden.configFile, outFile: null };
        const { queries } = await replay(files, { createLedger, log: silentLog, models: [] });
        compareAnswers(queries, golden);
        for (const [i, { groups }] of golden.expected.queries.entries()) {
          for (const [j, { extra, undefined: missing }] of groups.entries()) {
            const given = queries[i]?.groups[j]?.extra ?? {};
            assert.deepEqual(
              Object.keys(extra).filter((name) => given[name] === undefined),
              [],
            );
            for (const reason of Object.values(missing)) reasons.add(reason);
            compared++;
          }
        }
      });
    }
    t.diagnostic(`${compared} groups compared`);
    assert.ok(compared > 1000, `${compared} groups`);
    assert.deepEqual(
      MET.filter((reason) => !reasons.has(reason)),
      [],
    );
  },
);
