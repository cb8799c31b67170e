// Sketches merged neighbours first are the same as sketches merged one after the other.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Sketch } from "../../../src/measure/estimate/sketch.ts";

const SHAPE = { sides: 2, mirrored: true, buckets: 40 };
const PANE = { ...SHAPE, buckets: 12 };

const contents = (sketch: Sketch) =>
  Array.from({ length: sketch.size }, (_, at) => [sketch.key(at), sketch.count(at, 0), sketch.count(at, 1)]);

test("merging many sketches at once gives the buckets of merging them one by one, at the same precision", () => {
  const score = fc.oneof(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.constantFrom(0, 0.25, 0.5, 1, 1 - 2 ** -53),
  );
  const rows = fc.array(fc.tuple(score, fc.constantFrom(0, 1)), { maxLength: 40 });
  fc.assert(
    fc.property(fc.array(rows, { maxLength: 9 }), (panes) => {
      const sketches = panes.map((of) => {
        const sketch = new Sketch({ ...PANE, purse: { left: 1000 } });
        for (const [value, side] of of) sketch.add(value, side, 1);
        return sketch;
      });
      const oneByOne = new Sketch({ ...SHAPE, purse: { left: 1000 } });
      for (const sketch of sketches) oneByOne.merge(sketch);
      const atOnce = new Sketch({ ...SHAPE, purse: { left: 1000 } });
      atOnce.mergeAll(sketches);
      assert.deepEqual(contents(atOnce), contents(oneByOne));
      if (oneByOne.size > 0) assert.equal(atOnce.bits, oneByOne.bits);
    }),
    { numRuns: 500 },
  );
});
