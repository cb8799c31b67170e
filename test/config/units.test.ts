// Durations and sizes: what is written is what is meant, and comes back as it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  DURATION_MS_MAX,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from "../../src/kernel/units.ts";

test("a formatted duration parses to itself", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: DURATION_MS_MAX }), (ms) => {
      assert.equal(parseDuration(formatDuration(ms)), ms);
    }),
  );
});

test("a formatted size parses to itself", () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => assert.equal(parseSize(formatSize(bytes)), bytes)));
});

test("durations and sizes mean what people mean", () => {
  const durations = {
    "500ms": 500,
    "0s": 0,
    "30s": 30_000,
    "1.5h": 5_400_000,
    "1.1s": 1100,
    " 7d ": 604_800_000,
  };
  for (const [text, ms] of Object.entries(durations)) assert.equal(parseDuration(text), ms, text);
  const sizes = {
    "64KiB": 65_536,
    "8GiB": 8_589_934_592,
    "10MB": 10_000_000,
    "4096": 4096,
    "1 B": 1,
    "0": 0,
  };
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text);
});

test("what is no duration or size is refused, whatever it is", () => {
  for (const text of [
    "",
    "30",
    "s",
    "-1s",
    "1e3s",
    "0.5ms",
    "1h30m",
    "40000d",
    "1constructor",
    "9".repeat(40),
  ]) {
    assert.equal(parseDuration(text), null, text);
  }
  for (const text of ["", "8GB8", "-1", "1e9", "0.5", "9007199254740993", "1__proto__"]) {
    assert.equal(parseSize(text), null, text);
  }
  fc.assert(fc.property(fc.string(), (text) => assert.ok((parseDuration(text) ?? 0) >= 0)));
});
