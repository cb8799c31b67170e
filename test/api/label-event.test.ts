import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { parseLabelCells, parseLabelEvent, parsePlainLabel, plainNumber } from "../../src/api/label-event.ts";
import { createNdjsonReader } from "../../src/api/ndjson.ts";
import { TS_MAX_MS, parseTimestamp, parseTimestampText, rfc3339 } from "../../src/api/timestamp.ts";

suite("times", () => {
  test("RFC 3339 and Unix milliseconds mean the same instant", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: TS_MAX_MS }),
        fc.integer({ min: -1439, max: 1439 }),
        (ms, offset) => {
          assert.equal(parseTimestamp(ms), ms);
          assert.equal(parseTimestamp(rfc3339(ms)), ms);
          assert.equal(parseTimestampText(String(ms)), ms);
          const two = (n: number): string => String(n).padStart(2, "0");
          const away = Math.abs(offset);
          const zone = `${offset < 0 ? "-" : "+"}${two(Math.floor(away / 60))}:${two(away % 60)}`;
          const local = rfc3339(Math.max(0, ms + offset * 60_000)).replace("Z", zone);
          if (ms + offset * 60_000 >= 0) assert.equal(parseTimestamp(local), ms);
        },
      ),
    );
  });

  test("takes what RFC 3339 allows", () => {
    const noon = Date.UTC(2026, 0, 31, 12);
    for (const text of [
      "2026-01-31T12:00:00Z",
      "2026-01-31t12:00:00z",
      "2026-01-31 12:00:00.000Z",
      "2026-01-31T11:59:60Z",
      "2026-01-31T12:00:00.0009999999Z",
    ]) {
      assert.equal(parseTimestamp(text), noon, text);
    }
    assert.equal(parseTimestamp("2028-02-29T00:00:00.5Z"), Date.UTC(2028, 1, 29) + 500);
  });

  test("refuses everything else", () => {
    const bad: unknown[] = [
      "",
      "2026-01-31",
      "2026-01-31T12:00:00",
      "2026-02-29T00:00:00Z",
      "2026-13-01T00:00:00Z",
      "2026-04-31T00:00:00Z",
      "2026-01-31T24:00:00Z",
      "2026-01-31T12:60:00Z",
      "2026-01-31T12:00:00+24:00",
      "1969-12-31T23:59:59Z",
      "2200-01-01T00:00:00.001Z",
      "1768345800000",
      `2026-01-31T12:00:00.${"0".repeat(100)}Z`,
      -1,
      1.5,
      TS_MAX_MS + 1,
      Number.NaN,
      Infinity,
      true,
      {},
      [],
    ];
    for (const value of bad) assert.equal(parseTimestamp(value), null, String(value));
    for (const text of ["-1", "1e3", "1.5", "9".repeat(16), " 5"])
      assert.equal(parseTimestampText(text), null, text);
  });
});

/** Labels of the kinds that are accepted, alone and in a list. */
const aScalar = fc.oneof(
  fc.boolean(),
  fc.constant(null),
  fc.double(),
  fc.string(),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 70n }).map(String),
);
const aLabel = fc.oneof(aScalar, fc.array(aScalar));

suite("one label", () => {
  test("any JSON gives an event within bounds or a refusal with a code, and never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.jsonValue(),
          fc.record({ id: fc.string(), label: fc.jsonValue(), model: fc.jsonValue(), ts: fc.jsonValue() }),
          fc.record({ id: fc.string({ minLength: 1 }), label: aLabel }),
        ),
        (value) => {
          const parsed = parseLabelEvent(value, 7);
          if ("result" in parsed) {
            assert.ok(parsed.code !== null && parsed.message !== null && parsed.message.length < 300);
            return;
          }
          assert.ok(parsed.id.length >= 1 && parsed.id.length <= 512);
          assert.ok(Number.isInteger(parsed.ts) && parsed.ts >= 0 && parsed.ts <= TS_MAX_MS);
          const values = Array.isArray(parsed.label) ? parsed.label : [parsed.label];
          for (const one of values) {
            const value = typeof one === "object" ? one?.className : one;
            assert.ok(one === null || typeof value === "string" || Number.isFinite(value));
          }
        },
      ),
    );
  });

  test("a refusal names the field and the way out", () => {
    const code = (value: unknown): string => {
      const parsed = parseLabelEvent(value, 7);
      return "result" in parsed ? `${parsed.code}: ${parsed.message}` : "accepted";
    };
    assert.match(code({ label: 1 }), /^invalid_id: id must be a string/);
    assert.match(code({ id: 5, label: 1 }), /^invalid_id: .*quote numbers/);
    assert.match(code({ id: "a" }), /^missing_label: label is missing/);
    assert.match(code({ id: "a", label: {} }), /^invalid_label: label must be/);
    assert.match(code({ id: "a", label: Infinity }), /^invalid_label: .*finite/);
    assert.match(code({ id: "a", label: 1, ts: "today" }), /^invalid_ts: ts must be RFC 3339/);
    assert.match(code({ id: "a", label: 1, model: [] }), /^invalid_model: model must be a string/);
    assert.match(code([1]), /^invalid_event/);
    assert.match(code(null), /^invalid_event/);
    assert.equal(code({ id: "a", label: 1, model: null, ts: null, extra: {} }), "accepted");
  });

  test("a CSV cell is a number, a word or text", () => {
    const cell = (label: string | null): unknown => {
      const parsed = parseLabelCells({ id: "a", label, model: "", ts: "" }, 7);
      return "result" in parsed ? parsed.code : parsed.label;
    };
    const cases: [string | null, unknown][] = [
      ["1", 1],
      ["-0.5e3", -500],
      ["-0", 0],
      ["1.0", 1],
      ["01", "01"],
      ["+1", "+1"],
      [".5", ".5"],
      ["0x10", "0x10"],
      ["1 2", "1 2"],
      ["true", { className: "1" }],
      ["False", { className: "0" }],
      ["tRuE", "tRuE"],
      ["null", null],
      ["NULL", "NULL"],
      ["", "missing_label"],
      [null, "missing_label"],
      ["nan", "invalid_label"],
      ["-Infinity", "invalid_label"],
      ["1e999", "invalid_label"],
      ["caf\uFFFD", "invalid_utf8"],
      ["x".repeat(1025), "invalid_label"],
    ];
    for (const [text, expected] of cases) assert.deepEqual(cell(text), expected, String(text));
  });
});

suite("NDJSON", () => {
  test("however the bytes are cut, the same values with the same lines come out", () => {
    const anyLine = fc.oneof(fc.json(), fc.constantFrom("", "  ", "{", '{"a":"é€😀"}', "x".repeat(300)));
    fc.assert(
      fc.property(
        fc.array(anyLine),
        fc.array(fc.integer({ min: 1, max: 40 })),
        fc.boolean(),
        (lines, cuts, newline) => {
          const bytes = Buffer.from(lines.join("\n") + (newline ? "\n" : ""));
          const whole = read(bytes, []);
          assert.deepEqual(read(bytes, cuts), whole);
        },
      ),
    );
  });
});

function read(bytes: Buffer, cuts: readonly number[]): unknown[] {
  const heard: unknown[] = [];
  const reader = createNdjsonReader(200, {
    value: (value, line) => heard.push([line, value]),
    broken: (why, line) => heard.push([line, why]),
  });
  let at = 0;
  for (const cut of cuts) {
    reader.push(bytes.subarray(at, at + cut));
    at = Math.min(bytes.length, at + cut);
  }
  reader.push(bytes.subarray(at));
  reader.end();
  return heard;
}

suite("plain lines", () => {
  const plain = (line: string): ReturnType<typeof parsePlainLabel> =>
    parsePlainLabel(
      `{"id":"before"}\n${line}\n{"id":"after","label":1}\n`,
      { from: 16, to: 16 + line.length },
      5,
    );

  test("what is read without JSON is what JSON gives, and the rest is left to it", () => {
    const space = fc.constantFrom("", " ");
    const id = fc.oneof(
      fc.uuid(),
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.string({ maxLength: 600 }),
    );
    const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(-0, 1e-7, 1e300));
    const label = fc.oneof(number, fc.string(), fc.constant(null), fc.boolean(), fc.array(fc.integer()));
    fc.assert(
      fc.property(id, label, fc.tuple(space, space, space), (name, value, [a, b, c]) => {
        const line = `{"id":${a}${JSON.stringify(name)},${b}"label":${c}${JSON.stringify(value)}}`;
        const event = plain(line);
        if (event !== null) assert.deepEqual(event, parseLabelEvent(JSON.parse(line), 5));
      }),
    );
  });

  test("a number is the double that JSON gives, however many digits it has; an integer that is none is left", () => {
    const digits = fc.stringMatching(/^[0-9]{0,17}$/);
    const sign = fc.constantFrom("", "-", "+");
    const point = fc.constantFrom("", ".", "..");
    fc.assert(
      fc.property(sign, digits, point, digits, (...parts) => {
        const text = parts.join("");
        const read = plainNumber(`[${text}]`, 1, 1 + text.length);
        let json = Number.NaN;
        try {
          json = Number(JSON.parse(text));
        } catch {
          // It is no number there either.
        }
        // Integers that it would round are left to the reader that keeps their digits.
        if (Math.abs(json) > Number.MAX_SAFE_INTEGER && /^-?\d+$/.test(text) && BigInt(text) !== BigInt(json))
          json = Number.NaN;
        assert.ok(Object.is(read, json), `${text}: ${read}, not ${json}`);
      }),
      { numRuns: 2000 },
    );
  });

  test("what nearly all senders write is read without JSON", () => {
    for (const [line, label] of [
      ['{"id":"a:1","label":1.5}', 1.5],
      ['{"id": "a:1", "label": -2e-3}', -0.002],
      ['{"id":"a:1","label":-0}', 0],
    ] as const) {
      assert.deepEqual(plain(line), { id: "a:1", model: null, label, ts: 5, receivedAt: 5 });
    }
  });

  test("anything else is not", () => {
    for (const line of [
      '{"id":"a"}',
      '{"id":"","label":1}',
      '{"id":"a","label":01}',
      '{"id":"a","label":1.}',
      '{"id":"a","label":+1}',
      '{"id":"a","label":1e999}',
      '{"id":"a","label":1',
      '{"id":"a","label":}',
      '{"id":"a","label":1}}',
      '{"id":"a","label":1,"ts":2}',
      '{"id":"a","label":"1"}',
      '{"id":"a\\n","label":1}',
      '{"id":"\u00e4","label":1}',
      '{"id":"a","label":1}\r',
      '{"id":"a',
      '{"id":',
    ]) {
      assert.equal(plain(line), null, line);
    }
  });
});
