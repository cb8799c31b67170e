// What is measured when the disk fails in the middle of a reading.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { LabelEvent } from "../../src/facts/label.ts";
import type { ExchangeRecord } from "../../src/facts/prediction.ts";
import { loadConfig } from "../../src/config/config.ts";
import { ArchiveError, ArchiveWriter } from "../../src/kernel/archive.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createLedger, type Ledger } from "../../src/ledger/ledger.ts";
import { createMeasuring, type Measuring } from "../../src/observer/measuring.ts";
import { configuredBook, ledgerOptions } from "../../src/observer/options.ts";
import { normaliseLabel } from "../../src/measure/semantics.ts";
import { NOW, exchange, label, tempFolder } from "../ledger/support.ts";
import { handClock } from "../support/hand-clock.ts";
import type { HandClock } from "../support/hand-clock.ts";

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

interface Room {
  readonly ledger: Ledger;
  readonly clock: HandClock;
  readonly measuring: Measuring;
  /** Fed with the same changes, from a disk that never fails. */
  readonly twin: Measuring;
  readonly disk: { fails: boolean; readings: number };
  tell(exchanges: readonly ExchangeRecord[], labels: readonly LabelEvent[]): Promise<void>;
}

function room(t: { after(fn: () => void): void }): Room {
  const folder = tempFolder(t);
  const file = join(folder, "outrider.yaml");
  const models = `[{ name: m, task: regression, windows: [1h, all], labelHorizon: 1h }]`;
  const store = `{ path: ${join(folder, "store")}, retention: 1d }`;
  writeFileSync(file, `upstream: http://127.0.0.1:9\nstore: ${store}\nmodels: ${models}\n`);
  const { config } = loadConfig({ file, flags: {}, env: {}, cwd: folder });
  const clock = handClock(NOW);
  const parts = { clock, log: silentLog };
  const disk = { fails: false, readings: 0 };
  const all: Measuring[] = [];
  const ledger = createLedger(ledgerOptions(config), {
    ...parts,
    normalise: (_model, told) => normaliseLabel(null, told),
    onChanges: (changes) => {
      for (const change of changes) for (const each of all) each.apply(change);
    },
  });
  const flaky = failing(ledger, () => {
    disk.readings++;
    return disk.fails;
  });
  const versions = (): { declared: () => null; record: () => null } => ({
    declared: () => null,
    record: () => null,
  });
  const [measuring, twin] = [flaky, ledger].map((from) =>
    createMeasuring({ ...parts, config, ledger: from, book: configuredBook(config), versions }),
  );
  assert.ok(measuring !== undefined && twin !== undefined);
  all.push(measuring, twin);
  assert.equal(ledger.open().kind, "open");
  return {
    ledger,
    clock,
    measuring,
    twin,
    disk,
    tell: async (exchanges, labels) => {
      const kept = ledger.record(exchanges, null);
      const joined = ledger.label(labels);
      ledger.flushNow();
      assert.deepEqual([(await kept).kind, (await joined).kind], ["kept", "kept"]);
    },
  };
}

test("a model of which not all rows could be read is read again, at most once a minute while the disk goes on failing", async (t) => {
  const { ledger, clock, measuring, disk, tell } = room(t);
  for (let i = 0; i < 120; i++) {
    await tell([exchange(`e${i}`, { ts: clock.wallMs() })], [label(`e${i}`, 2)]);
    clock.advance(MINUTE_MS);
  }
  const { measure } = measuring;
  measure.groups(clock.wallMs());
  assert.deepEqual(measure.verify(clock.wallMs()).differences, []);

  disk.fails = true;
  // Into the middle of a pane: its rows are read one by one.
  clock.advance(20 * MINUTE_MS + 30_000);
  measure.groups(clock.wallMs());
  measuring.work(clock.wallMs());
  const before = disk.readings;
  for (let i = 0; i < 50; i++) {
    clock.advance(1000);
    measuring.work(clock.wallMs());
  }
  assert.ok(disk.readings - before < 60, `${disk.readings - before} readings in 50 s`);
  disk.fails = false;
  clock.advance(MINUTE_MS);
  measuring.work(clock.wallMs());
  const [group] = measure.groups(clock.wallMs());
  assert.ok((group?.n_predictions ?? 0) > 0);
  const { compared, differences } = measure.verify(clock.wallMs());
  assert.deepEqual([compared > 0, differences], [true, []]);
  await ledger.close();
});

test("rows are read again in small steps, while new ones and labels come, and meanwhile the model says that it is behind", async (t) => {
  const { ledger, clock, measuring, twin, disk, tell } = room(t);
  const both = [measuring, twin];
  const ROWS = 6000;
  const named = (i: number): string => `e${i}`;
  for (let at = 0; at < ROWS; at += 500) {
    const ids = Array.from({ length: 500 }, (_, i) => at + i);
    const ts = clock.wallMs();
    await tell(
      ids.map((i) => exchange(named(i), { ts, version: String(i % 2), values: [i % 7] })),
      ids.filter((i) => i % 3 !== 0).map((i) => label(named(i), i % 5, { ts, receivedAt: ts + 1000 })),
    );
    clock.advance(10 * MINUTE_MS + 7);
  }
  for (const each of both) each.measure.groups(clock.wallMs());
  disk.fails = true;
  clock.advance(4 * MINUTE_MS + 31);
  for (const each of both) each.measure.groups(clock.wallMs());
  assert.equal(measuring.settled, false);
  const shown = measuring.measure.series();
  disk.fails = false;
  clock.advance(MINUTE_MS);
  let steps = 0;
  for (; !measuring.settled; steps++) {
    assert.ok(steps < 100);
    assert.ok(measuring.work(clock.wallMs()) || measuring.settled);
    if (!measuring.settled) {
      for (const basis of ["all", "matured"] as const) {
        const groups = measuring.measure.groups(clock.wallMs(), { basis });
        assert.deepEqual(
          new Set(groups.map((group) => `${group.undefined["any"]} ${group.n_predictions}`)),
          new Set(["catching_up 0"]),
        );
      }
      assert.deepEqual(measuring.measure.windowStats(clock.wallMs()), []);
      // Of its oldest rows alone it would be told that the last prediction was long ago, and that labels are quick.
      assert.deepEqual(measuring.measure.series(), shown);
      assert.deepEqual(measuring.measure.delays(clock.wallMs()), []);
      assert.throws(() => measuring.archive(new ArchiveWriter(1 << 20)), ArchiveError);
    }
    // Before and behind where the reading is: a new row of a new version, first labels, a correction, a retraction.
    const ts = clock.wallMs();
    const said = { ts, receivedAt: ts };
    await tell(
      [exchange(`new${steps}`, { ts, version: `new${steps % 2}` })],
      [
        label(`new${steps}`, 4, said),
        label(named(3 * steps), 4, said),
        label(named(ROWS - 3 - 3 * steps), 4, said),
        label(named(3 * steps + 1), 1.5, said),
        label(named(ROWS - 2 - 3 * steps), 1.5, said),
        label(named(3 * steps + 2), null, said),
        label(named(ROWS - 1 - 3 * steps), null, said),
      ],
    );
    clock.advance(1000);
  }
  assert.ok(steps >= 3, `${steps} steps`);
  const at = clock.wallMs();
  for (const each of both) while (each.measure.catchUp(at));
  const { compared, differences } = measuring.measure.verify(at);
  assert.deepEqual([compared > 0, differences], [true, []]);
  for (const basis of ["all", "matured"] as const)
    assert.deepEqual(measuring.measure.groups(at, { basis }), twin.measure.groups(at, { basis }));
  assert.deepEqual(measuring.measure.delays(at), twin.measure.delays(at));
  for (const version of ["0", "1", "new0", "new1"])
    assert.deepEqual(measuring.measure.arrival("m", version), twin.measure.arrival("m", version), version);
  await ledger.close();
});

test("rows that retention takes while they are read again are gone in the end", async (t) => {
  const { ledger, clock, measuring, twin, disk, tell } = room(t);
  for (let at = 0; at < 5000; at += 500) {
    const ids = Array.from({ length: 500 }, (_, i) => at + i);
    const ts = clock.wallMs();
    await tell(
      ids.map((i) => exchange(`e${i}`, { ts, values: [i % 7] })),
      ids.map((i) => label(`e${i}`, i % 5, { ts, receivedAt: ts })),
    );
    clock.advance(10 * MINUTE_MS + 7);
  }
  for (const each of [measuring, twin]) each.measure.groups(clock.wallMs());
  disk.fails = true;
  clock.advance(4 * MINUTE_MS + 31);
  for (const each of [measuring, twin]) each.measure.groups(clock.wallMs());
  disk.fails = false;
  // An hour at a time, until the next one makes half of the rows too old.
  for (let hour = 0; hour < 22; hour++) {
    clock.advance(60 * MINUTE_MS);
    ledger.sweep(clock.wallMs());
  }
  measuring.work(clock.wallMs());
  assert.equal(measuring.settled, false);
  const before = ledger.stats().rows;
  clock.advance(60 * MINUTE_MS);
  for (let steps = 0; ledger.sweep(clock.wallMs()).more; steps++) {
    assert.ok(steps < 1000);
    if (steps % 4 === 0) measuring.work(clock.wallMs());
  }
  assert.ok(ledger.stats().rows < before);
  for (let steps = 0; !measuring.settled; steps++) {
    assert.ok(steps < 100);
    measuring.work(clock.wallMs());
  }
  const at = clock.wallMs();
  assert.deepEqual(measuring.measure.verify(at).differences, []);
  assert.deepEqual(measuring.measure.groups(at), twin.measure.groups(at));
  await ledger.close();
});
