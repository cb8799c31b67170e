// Sums without rounding: against whole-number arithmetic, in any order, forth and back.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ratio, toUnits, UNIT_BITS } from "../../src/measure/exact-rational.ts";
import { ExactSquares, ExactSum, squareInto } from "../../src/measure/exact-sum.ts";

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const anySize = fc.oneof(
  finite,
  fc.double({ min: -1, max: 1, noNaN: true }),
  fc.constantFrom(1e308, -1e308, 1.7976931348623157e308, 5e-324, -5e-324, 1e16, 1, -1, 2 ** 970, -0, 0.1),
);
const numbers = fc.array(anySize, { maxLength: 60 });

function sumOf(values: readonly number[]): ExactSum {
  const sum = new ExactSum();
  for (const value of values) sum.add(value);
  return sum;
}

/** The sum in whole units of 2^-1074. */
function truth(values: readonly number[]): bigint {
  let sum = 0n;
  for (const value of values) sum += toUnits(value);
  return sum;
}

/** A double next to `value`, above (1) or below (-1). */
function neighbour(value: number, direction: 1 | -1): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value === 0 ? direction * 5e-324 : value);
  if (value === 0) return bits.getFloat64(0);
  bits.setBigInt64(0, bits.getBigInt64(0) + (value > 0 === direction > 0 ? 1n : -1n));
  return bits.getFloat64(0);
}

test("a double is a whole number of units and comes back", () => {
  fc.assert(
    fc.property(anySize, (value) => {
      assert.equal(ratio(toUnits(value), 1n << UNIT_BITS), value + 0);
    }),
  );
});

test("the value of a sum is the double nearest to the exact sum", () => {
  fc.assert(
    fc.property(numbers, (values) => {
      const sum = sumOf(values);
      const exact = truth(values);
      assert.equal(sum.units(), exact);
      const value = sum.value();
      if (!Number.isFinite(value)) return;
      const distance = (other: number): bigint => {
        const away = toUnits(other) - exact;
        return away < 0n ? -away : away;
      };
      for (const direction of [1, -1] as const) {
        const other = neighbour(value, direction);
        if (Number.isFinite(other)) assert.ok(distance(value) <= distance(other));
      }
    }),
  );
});

test("half-way cases round to even, whatever lies below decides", () => {
  assert.equal(sumOf([1, 2 ** -53]).value(), 1);
  assert.equal(sumOf([1, 2 ** -53, 2 ** -200]).value(), 1 + 2 ** -52);
  assert.equal(sumOf([1, 2 ** -53, -(2 ** -200)]).value(), 1);
  assert.equal(sumOf([1 + 2 ** -52, 2 ** -53]).value(), 1 + 2 ** -51);
  assert.equal(sumOf([1 + 2 ** -52, 2 ** -53, -(2 ** -200)]).value(), 1 + 2 ** -52);
});

test("order, grouping and rows that came and went leave no trace, bit for bit", () => {
  fc.assert(
    fc.property(numbers, numbers, fc.integer(), (kept, gone, seed) => {
      const expected = sumOf(kept).value();
      const steps = [
        ...kept.map((value, i) => ({ value, at: Math.sin(seed + i) })),
        ...gone.map((value, i) => ({ value, at: Math.sin(seed + i * 7) })),
        ...gone.map((value, i) => ({ value: -value, at: Math.sin(seed + i * 13) })),
      ].sort((a, b) => a.at - b.at);
      const shuffled = sumOf(steps.map(({ value }) => value));
      assert.ok(Object.is(shuffled.value(), expected));
      const half = steps.length >> 1;
      const merged = sumOf(steps.slice(half).map(({ value }) => value));
      merged.merge(sumOf(steps.slice(0, half).map(({ value }) => value)), 1);
      assert.ok(Object.is(merged.value(), expected));
      merged.merge(sumOf(kept), -1);
      assert.equal(merged.value(), 0);
    }),
  );
});

test("many addends at once are the same as one after the other", () => {
  fc.assert(
    fc.property(numbers, numbers, (before, values) => {
      const atOnce = sumOf(before);
      atOnce.addAll({ values: Float64Array.from([...values, 7]), size: values.length });
      const inTurn = sumOf([...before, ...values]);
      assert.ok(Object.is(atOnce.value(), inTurn.value()));
      assert.equal(atOnce.units(), inTurn.units());
    }),
  );
});

test("a mean is right even where the sum is beyond the doubles", () => {
  const sum = sumOf([1.5e308, 1.5e308, 1.5e308]);
  assert.equal(sum.value(), Infinity);
  assert.equal(sum.mean(3), 1.5e308);
});

test("the sum of squares is exact for every magnitude", () => {
  fc.assert(
    fc.property(numbers, (values) => {
      const squares = new ExactSquares();
      const square = { high: 0, low: 0, units: 0n };
      let exact = 0n;
      for (const value of values) {
        squareInto(square, value);
        squares.add(square, 1);
        exact += toUnits(value) ** 2n;
      }
      assert.equal(squares.units(), exact);
      const other = new ExactSquares();
      other.merge(squares, -1);
      other.merge(squares, 1);
      assert.equal(other.units(), 0n);
    }),
  );
});
