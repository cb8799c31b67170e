// Revisions in packs and in single rows are the same revisions, whatever happens to them.

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import { LabelTable, revisionAt, revisionsBetween } from "../../src/ledger/label-table.ts";
import { SCHEMA, prepareSql } from "../../src/ledger/sql.ts";
import { createRandom } from "../support/random.ts";
import { DAY_MS, NOW, exchange, label, openBench, tempFolder } from "./support.ts";

test("what is added, relinked and dropped in any order is what a list of revisions says", () => {
  const { next } = createRandom(3);
  const below = (most: number): number => Math.floor(next() * most);
  const db = new DatabaseSync(":memory:");
  db.exec(SCHEMA);
  const sql = prepareSql(db);
  const known = new Map<number, { row: number; prev: number; value: number | string | null }>();
  let seq = 0;
  for (let transaction = 0; transaction < 60; transaction++) {
    const table = new LabelTable(sql);
    for (let step = below(300); step >= 0; step--) {
      const dice = next();
      const some = [...known.keys()][below(known.size)];
      if (dice < 0.9 || some === undefined) {
        // A gap now and then: other keys come from the same counter.
        seq += next() < 0.01 ? 3 : 1;
        const prev = next() < 0.02 ? seq - 1 : 0;
        const value = next() < 0.03 ? "word" : next() < 0.02 ? null : below(100) / 7;
        table.add({ seq, row: seq * 2, prev, ts: NOW + seq, received: NOW, first: 0, state: 0, value });
        known.set(seq, { row: seq * 2, prev, value });
      } else if (dice < 0.93) {
        table.relink(1_000_000 + some, some);
        known.set(some, { ...(known.get(some) ?? { row: 0, value: 0 }), prev: 1_000_000 + some });
      } else {
        table.drop(some);
        known.delete(some);
      }
      const asked = below(seq) + 1;
      assert.deepEqual(plain(table.get(asked)), known.get(asked) ?? null, `${asked}`);
    }
    table.flush();
  }
  for (let each = 0; each <= seq + 1; each++)
    assert.deepEqual(plain(revisionAt(sql, each)), known.get(each) ?? null);
  const [from, to] = [Math.floor(seq / 3), Math.floor(seq / 2)];
  const between = [...revisionsBetween(sql, from, to)].map((revision) => revision.seq);
  const expected = [...known.keys()].filter((key) => key >= from && key <= to);
  assert.deepEqual(
    between.toSorted((a, b) => a - b),
    expected.toSorted((a, b) => a - b),
  );
  const packs = Number(db.prepare("SELECT count(*) AS n FROM pack").get()?.["n"]);
  const table = new LabelTable(sql);
  for (const key of known.keys()) table.drop(key);
  table.flush();
  const left = db.prepare("SELECT (SELECT count(*) FROM pack) + (SELECT count(*) FROM label) AS n").get();
  assert.ok(packs > 20, `${packs} packs`);
  assert.equal(left?.["n"], 0);
});

function plain(revision: ReturnType<typeof revisionAt>): unknown {
  return revision === null ? null : { row: revision.row, prev: revision.prev, value: revision.value };
}

test("thousands of labels of one request, then corrected, outdated, retracted and forgotten, hold over restarts", async (t) => {
  const path = tempFolder(t);
  const { next } = createRandom(5);
  const options = { retentionMs: 2 * DAY_MS };
  const many = Array.from({ length: 3000 }, (_, i) =>
    exchange(`e${i}`, { ts: NOW - (i % 3 === 0 ? 3 * DAY_MS : 0), values: i % 5 === 0 ? [1, 2] : [1] }),
  );
  let bench = openBench(path, options);
  await bench.record(...many);
  const names = many.flatMap(({ predictions }) => predictions.map(({ id }) => id));
  const shuffled = names.toSorted(() => next() - 0.5);
  await bench.say(...shuffled.map((name, i) => label(name, i / 7, { ts: NOW })));
  const truths = (): Record<string, unknown> => bench.listener.truths();
  const reopen = async (): Promise<void> => {
    const before = truths();
    await bench.ledger.close();
    bench = openBench(path, options);
    assert.deepEqual(truths(), before);
  };
  await reopen();
  for (let round = 0; round < 3; round++) {
    const some = names.filter(() => next() < 0.1);
    const said = some.map((name, i) => {
      const value = i % 7 === 0 ? null : i;
      return label(name, value, { ts: NOW + (i % 3 === 0 ? -1 : round + 1) });
    });
    await bench.say(...said);
    await reopen();
  }
  assert.ok(bench.ledger.labelsOf(names[1] ?? "").length >= 1);
  while (bench.ledger.sweep(NOW).more) continue;
  await reopen();
  assert.equal(Object.keys(truths()).length, names.length - 1200);
  bench.clock.advance(3 * DAY_MS);
  for (let step = 0; step < 1000; step++) bench.ledger.sweep(bench.clock.wallMs());
  await bench.ledger.close();
});
