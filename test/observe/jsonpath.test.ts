// The path language of the configuration.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parsePath, readPath } from "../../src/kernel/jsonpath.ts";

test("paths name keys and positions, a bare text names one key", () => {
  const cases: [string, readonly (string | number)[]][] = [
    ["$", []],
    ["$.a", ["a"]],
    ["$.a.b[0].c", ["a", "b", 0, "c"]],
    ["$[2][10]", [2, 10]],
    [`$['odd name']["a.b"]`, ["odd name", "a.b"]],
    ["$.model-name.äöü", ["model-name", "äöü"]],
    ["model.version", ["model.version"]],
    [`$["$"]`, ["$"]],
  ];
  for (const [text, path] of cases) assert.deepEqual(parsePath(text), path, text);
});

test("what is no path is refused", () => {
  const texts = [
    "",
    "$.",
    "$a",
    "$..a",
    "$.a.",
    "$[",
    "$[]",
    "$[-1]",
    "$[a]",
    "$[*]",
    "$.a b",
    "$['a",
    "$.a[1",
    "$.a]",
  ];
  for (const text of texts) assert.equal(parsePath(text), null, text);
  assert.equal(parsePath(`$${".a".repeat(33)}`), null);
  assert.equal(parsePath("a".repeat(1025)), null);
});

test("reading finds own properties only", () => {
  const document: unknown = JSON.parse('{"a":{"b":[1,{"c":null}]},"__proto__":{"x":2}}');
  const at = (text: string): unknown => readPath(document, parsePath(text) ?? ["?"]);
  assert.equal(at("$"), document);
  assert.equal(at("$.a.b[0]"), 1);
  assert.equal(at("$.a.b[1].c"), null);
  assert.equal(at("$.a.b[1].c.d"), undefined);
  assert.equal(at("$.a.b.length"), undefined);
  assert.equal(at("$.a[0]"), undefined);
  assert.equal(at("$.a.toString"), undefined);
  assert.equal(at("$.x"), undefined);
  assert.equal(at("$.__proto__.x"), 2);
});

test("any text is parsed or refused, and any keys can be written down", () => {
  fc.assert(fc.property(fc.string(), (text) => parsePath(text) === null || Array.isArray(parsePath(text))));
  const key = fc.string().filter((text) => !text.includes('"'));
  fc.assert(
    fc.property(fc.array(key, { maxLength: 5 }), (keys) => {
      assert.deepEqual(parsePath(`$${keys.map((text) => `["${text}"]`).join("")}`), keys);
    }),
  );
});
