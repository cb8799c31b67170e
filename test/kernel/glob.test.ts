// Path patterns: what they match, and that no path makes one slow.

import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { compileGlob } from "../../src/kernel/glob.ts";

/** The same by a regular expression, whose time may be anything. */
function byExpression(pattern: string): (path: string) => boolean {
  const words = pattern.replace(/[\\^$.|?+()[\]{}]/g, "\\$&");
  const source = words.replace(/\*+/g, (stars) => (stars === "*" ? "[^/]*" : "[^]*"));
  return (path) => new RegExp(`^${source}$`).test(path);
}

const letters = (all: readonly string[]): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom(...all), { maxLength: 12 }).map((list) => list.join(""));

test("a pattern matches what it says, whatever stars it has", () => {
  fc.assert(
    fc.property(
      letters(["/", "a", "b", ".", "*", "*"]),
      letters(["/", "a", "b", ".", "x", "\n"]),
      (pattern, path) => {
        assert.equal(compileGlob(pattern)(path), byExpression(pattern)(path));
      },
    ),
    { numRuns: 20_000 },
  );
  assert.equal(compileGlob("/v2/**/models/*/infer")("/v2/a/b/models/credit/infer"), true);
  assert.equal(compileGlob("/v2/**/models/*/infer")("/v2/a/b/models/credit/x/infer"), false);
});

test("no path makes a pattern with many stars slow", () => {
  const startedMs = performance.now();
  const path = "/a/b".repeat(15_000);
  for (const pattern of ["/**/a/**/b/**/c", "/**a**b**a**c", "/**/*a*/**/c"])
    assert.equal(compileGlob(pattern)(path), false);
  assert.equal(compileGlob("/x*y*y*y*z")(`/x${"y".repeat(60_000)}`), false);
  // By trying every split it would be hours.
  assert.ok(performance.now() - startedMs < 20_000);
});
