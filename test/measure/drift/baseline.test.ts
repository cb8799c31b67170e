// Distributions that were registered with a version: read when they are sound, else as if there were none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRegistered } from "../../../src/measure/drift/parse-baseline.ts";

const of = (score: unknown): unknown => parseRegistered({ distributions: { score } }, "score");

test("bins and categories are read", () => {
  const bins = { edges: [0, 0.5, 1], counts: [3, 1] };
  assert.deepEqual(of(bins), { kind: "bins", ...bins });
  assert.deepEqual(of({ counts: { a: 1, b: 0 } }), { kind: "categories", counts: { a: 1, b: 0 } });
});

test("what is no distribution is none", () => {
  const wrong: unknown[] = [
    null,
    7,
    [],
    {},
    { counts: [] },
    { counts: [1, 2] },
    { edges: [0, 1], counts: [1, 2] },
    { edges: [0, 2, 1], counts: [1, 2] },
    { edges: [0, 1, "2"], counts: [1, 2] },
    { edges: [0, 1, 2], counts: [0, 0] },
    { edges: [0, 1, 2], counts: [1, -1] },
    { counts: {} },
    { counts: { a: 0 } },
    { counts: { a: "1" } },
  ];
  for (const each of wrong) assert.equal(of(each), null, JSON.stringify(each));
  assert.equal(parseRegistered({ distributions: {} }, "__proto__"), null);
  assert.equal(parseRegistered(undefined, "score"), null);
});
