// What is measured when the disk fails in the middle of a reading.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { loadConfig } from "../../src/config/config.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createLedger, type Ledger } from "../../src/ledger/ledger.ts";
import { createMeasuring, type Measuring } from "../../src/observer/measuring.ts";
import { configuredBook, ledgerOptions } from "../../src/observer/options.ts";
import { normaliseLabel } from "../../src/measure/semantics.ts";
import { NOW, exchange, label, tempFolder } from "../ledger/support.ts";
import { handClock } from "../support/hand-clock.ts";

const MINUTE_MS = 60_000;

/** The ledger, of which a reading gives every second row and then fails, while `fails()`. */
function failing(ledger: Ledger, fails: () => boolean): Ledger {
  const scan: Ledger["scan"] = (of, visit) => {
    if (!fails()) return ledger.scan(of, visit);
    ledger.scan(of, (row, prediction, truth) => {
      if (row % 2 === 0) visit(row, prediction, truth);
    });
    return false;
  };
  return new Proxy(ledger, {
    get: (target, name) => {
      if (name === "scan") return scan;
      const found: unknown = Reflect.get(target, name);
      return typeof found === "function" ? found.bind(target) : found;
    },
  });
}

test("a model of which not all rows could be read is read again, at most once a minute while the disk goes on failing", async (t) => {
  const folder = tempFolder(t);
  const file = join(folder, "outrider.yaml");
  const models = `[{ name: m, task: regression, windows: [1h], labelHorizon: 1h }]`;
  writeFileSync(
    file,
    `upstream: http://127.0.0.1:9\nstore: { path: ${join(folder, "store")} }\nmodels: ${models}\n`,
  );
  const { config } = loadConfig({ file, flags: {}, env: {}, cwd: folder });
  const clock = handClock(NOW);
  const parts = { clock, log: silentLog };
  let fails = false;
  let readings = 0;
  let measuring: Measuring | null = null;
  const ledger = createLedger(ledgerOptions(config), {
    ...parts,
    normalise: (_model, told) => normaliseLabel(null, told),
    onChanges: (changes) => {
      for (const change of changes) measuring?.apply(change);
    },
  });
  const flaky = failing(ledger, () => {
    readings++;
    return fails;
  });
  measuring = createMeasuring({
    ...parts,
    config,
    ledger: flaky,
    book: configuredBook(config),
    versions: () => ({ declared: () => null, record: () => null }),
  });
  assert.equal(ledger.open().kind, "open");
  for (let i = 0; i < 120; i++) {
    const kept = ledger.record([exchange(`e${i}`, { ts: clock.wallMs() })], null);
    const joined = ledger.label([label(`e${i}`, 2)]);
    ledger.flushNow();
    assert.deepEqual([(await kept).kind, (await joined).kind], ["kept", "kept"]);
    clock.advance(MINUTE_MS);
  }
  const { measure } = measuring;
  measure.groups(clock.wallMs());
  assert.deepEqual(measure.verify(clock.wallMs()).differences, []);

  fails = true;
  // Into the middle of a pane: its rows are read one by one.
  clock.advance(20 * MINUTE_MS + 30_000);
  measure.groups(clock.wallMs());
  measuring.work(clock.wallMs());
  const before = readings;
  for (let i = 0; i < 50; i++) {
    clock.advance(1000);
    measuring.work(clock.wallMs());
  }
  assert.ok(readings - before < 60, `${readings - before} readings in 50 s`);
  fails = false;
  clock.advance(MINUTE_MS);
  measuring.work(clock.wallMs());
  const [group] = measure.groups(clock.wallMs());
  assert.ok((group?.n_predictions ?? 0) > 0);
  const { compared, differences } = measure.verify(clock.wallMs());
  assert.deepEqual([compared > 0, differences], [true, []]);
  await ledger.close();
});
