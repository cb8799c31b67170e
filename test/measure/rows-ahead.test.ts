// Reading ahead takes every row once and in order, in readings that stay small, whatever comes in one millisecond or one hour.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RowsAhead, type ReadRows } from "../../src/measure/rows-ahead.ts";
import { predictionOf } from "../support/models.ts";

/** Rows at these times, and how many each reading gave. */
function storeOf(times: readonly number[]) {
  const rows = times.map((ts, i) => predictionOf({ id: `r${i}`, ts }));
  const readings: number[] = [];
  const read: ReadRows = ({ fromTs, toTs, rowsMax = Number.POSITIVE_INFINITY }, visit) => {
    let visited = 0;
    for (const row of rows) {
      if (visited > rowsMax) break;
      if (row.ts <= fromTs || row.ts > toTs) continue;
      visited++;
      visit(row, null);
    }
    readings.push(visited);
  };
  return { read, readings };
}

const burst = (at: number, rows: number, lengthMs: number): number[] =>
  Array.from({ length: rows }, (_, i) => at + Math.floor((i / rows) * lengthMs));

test("a burst after a long silence is read in small pieces, each row once", () => {
  const times = [...burst(0, 50, 3_600_000), ...burst(7_200_000, 30_000, 500)];
  for (const direction of ["forward", "backward"] as const) {
    const { read, readings } = storeOf(times);
    const ahead = new RowsAhead(read);
    const taken: number[] = [];
    const range = { fromTs: -1, toTs: 10_000_000 };
    const reached = ahead[direction](range, { rows: 1e9 }, ({ ts }) => taken.push(ts));
    assert.equal(reached, direction === "forward" ? range.toTs : range.fromTs);
    assert.equal(taken.length, times.length);
    assert.ok(Math.max(...readings) <= 2049, `${Math.max(...readings)}`);
    const all = readings.reduce((sum, rows) => sum + rows, 0);
    assert.ok(all < 2 * times.length, `${all}`);
  }
});

test("more rows of one millisecond than a reading may have are taken all the same", () => {
  const { read } = storeOf([...burst(10, 5000, 1), 11, 12]);
  const ahead = new RowsAhead(read);
  let taken = 0;
  assert.equal(
    ahead.forward({ fromTs: 0, toTs: 20 }, { rows: 1e9 }, () => taken++),
    20,
  );
  assert.equal(taken, 5002);
});

test("with little to spend it goes on where it stopped, and takes what is in the range, no more", () => {
  const time = fc.integer({ min: 0, max: 5000 });
  fc.assert(
    fc.property(fc.array(time, { maxLength: 50 }), time, time, (few, a, b) => {
      const times = [...few, ...few.flatMap((at) => burst(at, 200, 1 + (at % 7)))];
      const range = { fromTs: Math.min(a, b), toTs: Math.max(a, b) };
      const expected = times.filter((ts) => ts > range.fromTs && ts <= range.toTs).toSorted((x, y) => x - y);
      const { read } = storeOf(times);
      const ahead = new RowsAhead(read);
      const taken: number[] = [];
      let at = range.fromTs;
      for (let steps = 0; at < range.toTs && steps < 10_000; steps++)
        at = ahead.forward({ ...range, fromTs: at }, { rows: 100 }, ({ ts }) => taken.push(ts));
      assert.deepEqual(taken, expected);
      let down = range.toTs;
      let back = 0;
      for (let steps = 0; down > range.fromTs && steps < 10_000; steps++)
        down = ahead.backward({ ...range, toTs: down }, { rows: 100 }, () => back++);
      assert.equal(back, expected.length);
    }),
    { numRuns: 60 },
  );
});
