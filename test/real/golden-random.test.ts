// Random streams of every odd kind, replayed, against the independent implementation of the golden rules on scikit-learn.

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

const FIRST_SEED = 1000;
const CASES = 40;

test(
  `${CASES} random streams give the same answers as the reference`,
  { timeout: 20 * 60_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrider-random-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const { python } = await ensurePython();
    await run(python, [join(pythonFolder, "golden_random.py"), folder, String(FIRST_SEED), String(CASES)]);
    for (const golden of goldenCases(folder)) {
      await t.test(`seed ${golden.name}`, async () => {
        const files = { eventsFile: golden.eventsFile, caseFile: golden.configFile, outFile: null };
        const { queries } = await replay(files, { createLedger, log: silentLog, models: [] });
        compareAnswers(queries, golden);
      });
    }
  },
);
