// The process that a crash test kills: writes predictions and labels as fast as it can and says what was acknowledged.

import { writeSync } from "node:fs";

import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import { DAY_MS, Listener, checkpointed, exchange, label, normalise } from "./support.ts";

const [, , path = "", round = ""] = process.argv;
const now = Date.now();

// A step of the log after every few pages: most kills come near one.
const small = { walPagesMax: 64 };
const listener = new Listener();
const ledger = createLedger(
  {
    path,
    retentionMs: 30 * DAY_MS,
    labelHorizonMs: 7 * DAY_MS,
    groupCommitMs: 2,
    checkpointChanges: 40,
    ...small,
  },
  {
    clock: systemClock,
    log: silentLog,
    normalise,
    checkpointed: checkpointed(listener),
    onChanges: (changes) => listener.take(changes),
  },
);
const opened = ledger.open();
if (opened.kind !== "open") throw new Error(JSON.stringify(opened));
writeSync(1, `open ${Math.round(opened.tookMs)}\n`);

for (let batch = 1; ; batch++) {
  const ids = Array.from({ length: 5 }, (_, i) => `${round}-${batch}-${i}`);
  const early = ids.slice(0, 2).map((id) => label(id, batch, { ts: now, receivedAt: now }));
  const late = ids.slice(2, 4).map((id) => label(id, batch, { ts: now, receivedAt: now }));
  const first = ledger.label(early);
  const kept = ledger.record(
    ids.map((id) => exchange(id, { ts: now })),
    { session: round, batch },
  );
  const second = ledger.label(late);
  const results = await Promise.all([first, kept, second]);
  const { wal, walBytes } = ledger.stats();
  if (results.some((result) => result.kind !== "kept"))
    throw new Error(JSON.stringify({ results, wal, walBytes }));
  writeSync(1, `kept ${batch} after ${wal.steps} steps\n`);
}
