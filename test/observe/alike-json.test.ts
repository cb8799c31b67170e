// What is alike in answers is parsed once, and what comes of it is what parsing gives.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { readPath } from "../../src/kernel/jsonpath.ts";
import { AlikeJson } from "../../src/observe/alike-json.ts";
import { isObject } from "../../src/observe/json.ts";
import { parseJson } from "../../src/observe/parse-json.ts";
import { scalarsOf } from "../../src/observe/json-scalars.ts";
import { answer as answered, rigOf } from "./kit.ts";

/** Parses all of them, in order, and each as often as it takes to learn its like. */
function parseAll(texts: readonly string[]): void {
  const alike = new AlikeJson();
  for (let round = 0; round < 40; round++) {
    for (const text of texts) {
      // In the middle of other bytes, as in a frame.
      const bytes = Buffer.from(`#${text}}1`).subarray(1, -2);
      assert.deepEqual(alike.parse(bytes), parseJson(bytes), text);
    }
  }
}

const answer = (score: string, id = '"a"', label = '"yes"'): string =>
  `{"id":${id},"outputs":[{"name":"p","shape":[1,1],"data":[${score}]},{"name":"l","data":[ ${label} ]}],"ok":true,"n":null}`;

test("numbers and texts that differ are read, whatever their length", () => {
  const scores = ["0.5", "1", "-0", "0", "1e-7", "2.5E+10", "0.7310585786300049", "-12345678901234.5"];
  parseAll(scores.map((score) => answer(score)));
  parseAll(scores.map((score, i) => answer(score, `"id-${i * 1000}"`, i % 2 === 0 ? '""' : '"no, never"')));
});

test("what JSON reads otherwise, or not at all, is read so", () => {
  const plain = ["0.25", "0.75", "0.125"].map((score) => answer(score));
  const odd = [
    "01",
    "+1",
    "1.",
    ".5",
    "1e",
    "--1",
    "",
    "NaN",
    "-Infinity",
    "0x1",
    '"0.5"',
    "true",
    "[0.5]",
    "1,2",
  ];
  parseAll([...plain, ...odd.map((score) => answer(score))]);
  const integers = ["12345678901234567", "9007199254740993", "123456789012345", "1234567890123456", "1e400"];
  parseAll([...plain, ...integers.map((score) => answer(score))]);
  const texts = ['"\\u0061"', '"\\""', '"ä"', '"\u0001"', '"\u007f"', '"日本"', '"a', "a", '"a"b"', '"a\\"'];
  parseAll([
    ...plain,
    ...["0", "1"].map((score, i) => answer(score, `"${i}"`)),
    ...texts.map((id) => answer("1", id)),
  ]);
  parseAll([
    ...plain,
    ...plain.map((text) => `${text} `),
    ...plain.map((text) => text.slice(0, -1)),
    "",
    "1",
    "2",
  ]);
  parseAll(["\uFEFF1", "\uFEFF2", "[]", "{}", " [1] ", " [2] ", "[1,2]", "[1,3]", "[2,3]", "[1"]);
});

test("keys that are said twice, or mean more than themselves, are left to the parser", () => {
  for (const [before, after] of [
    ['{"a":', ',"a":2}'],
    ['{"a":1,"a":', "}"],
    ['{"__proto__":', "}"],
    ['{"__proto__":{"a":', "}}"],
    ['{"2":', ',"1":3}'],
    ['{"\\u0061":', ',"a":3}'],
    ['{"a":{"b":', '},"a":{"b":2}}'],
    ["[[[", ",2]]]"],
  ])
    parseAll(["1", "2", "3", "40"].map((number) => `${before}${number}${after}`));
});

test("texts that are alike are parsed once, and what was given before stays as it was", () => {
  const alike = new AlikeJson();
  const given = Array.from({ length: 30 }, (_, i) => alike.parse(Buffer.from(answer(`0.${i + 1}`))));
  const [a, b] = given.slice(-2).map((value) => readPath(value, ["outputs", 0]));
  assert.ok(isObject(a) && isObject(b));
  assert.deepEqual([a["data"], b["data"]], [[0.29], [0.3]]);
  assert.equal(a["shape"], b["shape"], "the same object");
});

test("of answers that are alike each prediction is read, and few are parsed", () => {
  const { extractor } = rigOf();
  const exchanges = Array.from({ length: 100 }, (_, i) => answered({ predictions: [i / 100] }));
  const parse = mock.method(JSON, "parse");
  const values = exchanges.map((exchange) => extractor.read(exchange).predictions[0]?.value);
  const parsed = parse.mock.callCount();
  parse.mock.restore();
  assert.deepEqual(
    values,
    exchanges.map((_, i) => i / 100),
  );
  assert.ok(parsed < 20, String(parsed));
});

test("one that is longer, has more that differs, or comes from another model does not take the place of those that fit", () => {
  const many = (of: number): string => JSON.stringify({ many: Array.from({ length: 12 }, (_, i) => i * of) });
  const long = (of: number): string => JSON.stringify({ long: "x".repeat(5000), of });
  const mixed = Array.from({ length: 12 }, (_, i) =>
    [1, 2, 3].map((of) => JSON.stringify({ [`m${i}`]: of })),
  );
  parseAll([...mixed.flat(), ...[1, 2, 3].map(many), ...[1, 2, 3].map(long), "0.5", "0.75", "nothing"]);
});

test("where numbers and texts stand", () => {
  const text = '{"a": [1, "b", true], "c": {"d": -2.5e3}}';
  const scalars = scalarsOf(text, JSON.parse(text)) ?? [];
  assert.deepEqual(
    scalars.map(({ from, to, path }) => [text.slice(from, to), path.join(".")]),
    [
      ["1", "a.0"],
      ['"b"', "a.1"],
      ["-2.5e3", "c.d"],
    ],
  );
  for (const odd of ['{"a":1,"a":1}', '{"__proto__":1}', '"\\n"', "[".repeat(40) + "]".repeat(40)])
    assert.equal(scalarsOf(odd, JSON.parse(odd)), null, odd);
});
