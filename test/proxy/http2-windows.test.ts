// The windows of a connection whose uploads stand still: however many streams there may be, what all may still send has its place.

import assert from "node:assert/strict";
import test from "node:test";
import { WIDE, nextStep, type WindowStep } from "../../src/proxy/http2/windows.ts";

const KIB = 1024;
/** Where the connection is closed without small windows, and what may be under way then. */
const HELD = 640 * KIB + 64 * KIB;

test("uploads that stand still make windows of 16 KiB at first, as long as not too much is held, and nothing else changes", () => {
  const middle = nextStep(WIDE, { open: 3, max: 128, closed: false });
  assert.deepEqual(middle, { ...WIDE, window: 16 * KIB });
  assert.equal(nextStep(middle, { open: 50, max: 128, closed: false }), middle);
});

for (const max of [1, 8, 128, 129, 1000, 10_000]) {
  test(`what all of ${max} streams may still send is within the bound, at each step`, () => {
    for (const open of [1, 8, Math.ceil(max / 3), max].filter((one) => one <= max)) {
      const steps: WindowStep[] = [nextStep(WIDE, { open, max, closed: true })];
      for (let last = steps.at(-1); last !== undefined && !last.last; last = steps.at(-1))
        steps.push(nextStep(last, { open: max, max, closed: true }));
      assert.ok(steps.length <= 2);
      assert.ok(
        steps.every(({ window, aheadBytes }) => window >= 1 && window <= 2 * KIB && aheadBytes === 0),
      );
      const [first, last = first] = steps;
      // The last step has all that may be in its place; one before has those that were open then, and room for one that breaks it.
      assert.equal(last?.closedFrom, 896 * KIB);
      if (first === undefined || last === undefined) throw new Error("no step");
      assert.ok(HELD + first.window * (first.last ? max : open) <= first.closedFrom);
      const before = first.last ? HELD : first.closedFrom + 64 * KIB;
      assert.ok(before + last.window * max <= 896 * KIB);
      assert.equal(nextStep(last, { open: max, max, closed: true }), last);
    }
  });
}
