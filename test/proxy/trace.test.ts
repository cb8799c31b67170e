// A caller's `traceparent`: read digit by digit, and four bytes at a time, with the same result as by the pattern of its definition.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { continueTrace, saysTraceparent } from "../../src/proxy/trace.ts";
import { fuzzRun } from "../support/fuzz.ts";

/** W3C trace-context §3.2: version, trace, parent, flags, and what a later version may add. */
const DEFINED = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

function defined(text: string): Record<"traceId" | "parentSpanId" | "flags" | "version", string> | null {
  const match = DEFINED.exec(text);
  if (match === null || (match[1] === "00" && match[5] !== undefined)) return null;
  const [, version = "", traceId = "", parentSpanId = "", flags = ""] = match;
  return { version, traceId, parentSpanId, flags };
}

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.oneof(
    fc.stringMatching(new RegExp(`^[\\da-f]{${digits}}$`)),
    fc.constantFrom("0", "f", "8").map((digit) => digit.repeat(digits)),
  );
const whole = fc
  .tuple(
    fc.oneof(fc.constant("00"), hex(2)),
    hex(32),
    hex(16),
    hex(2),
    fc.constantFrom("", "", "", "-", "-a", "a", "-x\t\xff"),
  )
  .map(([version, trace, parent, flags, rest]) => `${version}-${trace}-${parent}-${flags}${rest}`);
const anyText = fc.oneof(
  whole,
  fc.string({ maxLength: 60 }),
  // Any byte anywhere.
  fc
    .tuple(whole, fc.nat(), fc.integer({ min: 0, max: 255 }))
    .map(([text, at, byte]) => {
      const place = at % text.length;
      return text.slice(0, place) + String.fromCharCode(byte) + text.slice(place + 1);
    })
    .filter((text) => !/[\r\n]/.test(text)),
  fc.tuple(whole, fc.nat({ max: 56 })).map(([text, end]) => text.slice(0, end)),
);

test("what is valid is continued with a span of ours, under the flags that are known; nothing else is", (t) => {
  let continued = 0;
  fc.assert(
    fc.property(anyText, (text) => {
      const expected = defined(text);
      const tracing = continueTrace(text);
      assert.equal(tracing === null, expected === null, text);
      if (tracing === null || expected === null) return;
      const { trace, traceparent } = tracing;
      const { version, traceId, parentSpanId, flags } = expected;
      const sampled = (Number.parseInt(flags, 16) & 1) === 1;
      const sent = version === "00" ? flags : sampled ? "01" : "00";
      assert.deepEqual(trace, { traceId, spanId: trace.spanId, parentSpanId, sampled });
      assert.match(trace.spanId, /^[\da-f]{16}$/);
      assert.equal(traceparent, `00-${traceId}-${trace.spanId}-${sent}`);
      continued++;
    }),
    fuzzRun(t, 5000),
  );
  assert.ok(continued > 500, String(continued));
});

test("by fours the same are valid, of version 00", (t) => {
  let valid = 0;
  fc.assert(
    fc.property(anyText, fc.nat({ max: 7 }), (text, at) => {
      const bytes = Buffer.from("f".repeat(at) + text + "f".repeat(60), "latin1");
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const expected =
        text.startsWith("00") && Buffer.byteLength(text, "latin1") === 55 && defined(text) !== null;
      assert.equal(saysTraceparent(view, at, text.length), expected, text);
      if (expected) valid++;
    }),
    fuzzRun(t, 5000),
  );
  // Each byte there is in each place.
  const text = `00-${"0123456789abcdef".repeat(2)}-fedcba9876543210-01`;
  for (let at = 0; at < text.length; at++)
    for (let byte = 0; byte < 256; byte++) {
      const other = Buffer.from(text);
      other[at] = byte;
      const view = new DataView(other.buffer, other.byteOffset, other.byteLength);
      const said = other.toString("latin1");
      assert.equal(saysTraceparent(view, 0, 55), said.startsWith("00") && defined(said) !== null, said);
    }
  assert.ok(valid > 100, String(valid));
});
