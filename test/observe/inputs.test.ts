// Inputs out of the requests of every protocol that is read, and what redaction keeps out of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { captureInputs, type InputRule } from "../../src/observe/inputs.ts";
import { createRedaction } from "../../src/observe/redact.ts";

const ALL: InputRule = { names: null, redaction: createRedaction([]) };

/** `name=value` per row. */
function read(body: unknown, rows: number, rule = ALL): unknown {
  const taken = Array.from({ length: rows }, (_, at) => at);
  const found = captureInputs(body, { rows, taken }, rule);
  if (typeof found === "string") return found;
  return found.map((row) => row?.map(({ name, value }) => `${name}=${value}`).join(" ") ?? null);
}

const SAME = ["age=30 city=Bern", "age=40 city=Genf"];

for (const [what, body] of Object.entries({
  instances: {
    instances: [
      { age: 30, city: "Bern" },
      { age: 40, city: "Genf" },
    ],
  },
  records: {
    dataframe_records: [
      { age: 30, city: "Bern" },
      { age: 40, city: "Genf" },
    ],
  },
  split: {
    dataframe_split: {
      columns: ["age", "city"],
      data: [
        [30, "Bern"],
        [40, "Genf"],
      ],
    },
  },
  columns: { inputs: { age: [30, 40], city: ["Bern", "Genf"] } },
  tensors: {
    inputs: [
      { name: "age", shape: [2, 1], datatype: "FP64", data: [30, 40] },
      { name: "city", shape: [2], datatype: "BYTES", data: ["Bern", "Genf"] },
    ],
  },
  list: [
    { age: 30, city: "Bern" },
    { age: 40, city: "Genf" },
  ],
})) {
  test(`inputs are read row by row from ${what}`, () => assert.deepEqual(read(body, 2), SAME));
}

test("inputs without names go by their position; wide tensors by name and position", () => {
  assert.deepEqual(read({ instances: [[1, 2.5]] }, 1), ["0=1 1=2.5"]);
  assert.deepEqual(read({ features: [1, true, "x"] }, 1), ["0=1 1=true 2=x"]);
  assert.deepEqual(read({ x: 3 }, 1), ["x=3"]);
  const tensor = { name: "t", shape: [2, 2], datatype: "FP32", data: [1, 2, 3, 4] };
  assert.deepEqual(read({ inputs: [tensor] }, 2), ["t.0=1 t.1=2", "t.0=3 t.1=4"]);
});

test("only the inputs that are named are taken, only plain values, and never more rows than predictions", () => {
  const rule = { names: ["age"], redaction: createRedaction([]) };
  assert.deepEqual(read({ instances: [{ age: 1, city: "Bern" }] }, 1, rule), ["age=1"]);
  const odd = { a: null, b: [1], c: { d: 1 }, e: "x".repeat(65), f: "a\nb", ["g".repeat(65)]: 1, h: 2 };
  assert.deepEqual(read({ instances: [odd] }, 1), ["h=2"]);
  assert.equal(read({ instances: [1, 2, 3] }, 2), "row_count");
  assert.equal(read("text", 1), "no_inputs");
  assert.equal(read(undefined, 1), "no_inputs");
  const many = captureInputs(
    { instances: Array.from({ length: 1200 }, (_, x) => [x]) },
    { rows: 1200, taken: [0, 1100] },
    ALL,
  );
  assert.deepEqual(many, [[{ name: "0", value: 0 }], null]);
});

test("what is redacted is taken out by path, in every element of a list, and as an input of that name anywhere", () => {
  const redaction = createRedaction(["$.instances.ssn", "$.customer.name", "$.raw[1]"]);
  const body = {
    instances: [
      { ssn: "1", age: 2 },
      { ssn: "3", age: 4 },
    ],
    customer: { name: "Ada", tier: 1 },
    raw: [1, 2, 3],
  };
  redaction.clean(body);
  assert.deepEqual(body, {
    instances: [{ age: 2 }, { age: 4 }],
    customer: { tier: 1 },
    raw: [1, null, 3],
  });
  const rule = { names: null, redaction };
  assert.deepEqual(read({ inputs: { ssn: ["1"], age: [2] } }, 1, rule), ["age=2"]);
  const split = { dataframe_split: { columns: ["name", "age"], data: [["Ada", 2]] } };
  assert.deepEqual(read(split, 1, rule), ["age=2"]);
  const tensor = { name: "ssn", shape: [1, 2], datatype: "FP32", data: [1, 2] };
  assert.deepEqual(read({ inputs: [tensor, { ...tensor, name: "ok" }] }, 1, rule), ["ok.0=1 ok.1=2"]);
  assert.equal(createRedaction(["$"]).clean({ a: 1 }), undefined);
  assert.deepEqual(createRedaction(["$.a"]).clean({ a: 1 }, "[redacted]"), { a: "[redacted]" });
  assert.throws(() => createRedaction(["$..x"]), /no path/);
});

test("hostile paths and names reach no prototype", () => {
  const redaction = createRedaction(["$.__proto__.polluted", "constructor"]);
  redaction.clean(JSON.parse('{"__proto__":{"polluted":1}}'));
  assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
  assert.equal(typeof {}.constructor, "function");
});
