// What real clients and servers put on the wire: binary tensors, compressed bodies, odd encodings of JSON, in both directions.

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { parseJson } from "../../src/observe/parse-json.ts";
import { answer, bytesOf, rigOf, ruleOf, said, specOf } from "./kit.ts";

const V2 = "/v2/models/m/infer";

interface Output {
  readonly datatype: string;
  readonly bytes: Buffer;
  readonly shape?: readonly number[];
  readonly name?: string;
}

/** A body of the binary tensor data extension, with the header that tells where its JSON ends. */
function binaryBody(outputs: readonly Output[], more: object = {}): { body: Buffer; headers: string[] } {
  const head = Buffer.from(
    JSON.stringify({
      model_name: "m",
      ...more,
      outputs: outputs.map(({ datatype, bytes, shape = [1], name = "p" }) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: bytes.length },
      })),
    }),
  );
  return {
    body: Buffer.concat([head, ...outputs.map(({ bytes }) => bytes)]),
    headers: ["Inference-Header-Content-Length", String(head.length)],
  };
}

const le = (write: (view: DataView) => void, bytes: number): Buffer => {
  const view = new DataView(new ArrayBuffer(bytes));
  write(view);
  return Buffer.from(view.buffer);
};

function valuesOf(output: Output): unknown[] {
  const { body, headers } = binaryBody([output]);
  const rig = rigOf([specOf("m", { task: "multiclass" })], [ruleOf("m")]);
  const reading = rig.read(answer(body, { target: V2, headers }));
  return reading.predictions.length > 0
    ? reading.predictions.map(({ value }) => value)
    : [reading.failure?.reason];
}

test("binary tensors of every data type are read, without a Content-Type", () => {
  const cases: readonly (readonly [string, Buffer, unknown])[] = [
    ["BOOL", Buffer.from([1]), 1],
    ["INT8", Buffer.from([0xfe]), -2],
    ["UINT8", Buffer.from([0xfe]), 254],
    ["INT16", le((v) => v.setInt16(0, -300, true), 2), -300],
    ["UINT16", le((v) => v.setUint16(0, 65_000, true), 2), 65_000],
    ["INT32", le((v) => v.setInt32(0, -70_000, true), 4), -70_000],
    ["UINT32", le((v) => v.setUint32(0, 4e9, true), 4), 4e9],
    ["INT64", le((v) => v.setBigInt64(0, -5n, true), 8), -5],
    ["UINT64", le((v) => v.setBigUint64(0, 7n, true), 8), 7],
    [
      "BYTES",
      Buffer.concat([le((v) => v.setUint32(0, 5, true), 4), Buffer.from("h\u00e9llo").subarray(0, 5)]),
      "h\u00e9ll",
    ],
  ];
  for (const [datatype, bytes, value] of cases)
    assert.deepEqual(valuesOf({ datatype, bytes }), [value], datatype);
});

test("half and brain floats are decoded to their value", () => {
  const reals = (datatype: string, bits: number): unknown => {
    const { body, headers } = binaryBody([{ datatype, bytes: le((v) => v.setUint16(0, bits, true), 2) }]);
    const rig = rigOf([specOf("m", { task: "regression" })], [ruleOf("m")]);
    const reading = rig.read(answer(body, { target: V2, headers }));
    return reading.predictions[0]?.value ?? reading.failure?.reason;
  };
  const half: readonly (readonly [number, unknown])[] = [
    [0x3c00, 1],
    [0xc000, -2],
    [0x3555, 0.333251953125],
    [0x7bff, 65_504],
    [0x0001, 2 ** -24],
    [0x0400, 2 ** -14],
    [0x7c00, "invalid_value"],
    [0x7e00, "invalid_value"],
  ];
  for (const [bits, value] of half) assert.deepEqual(reals("FP16", bits), value, bits.toString(16));
  const brain: readonly (readonly [number, unknown])[] = [
    [0x3f80, 1],
    [0xc049, -3.140625],
    [0x7f80, "invalid_value"],
  ];
  for (const [bits, value] of brain) assert.deepEqual(reals("BF16", bits), value, bits.toString(16));
});

test("integers beyond 2^53 keep every digit, in binary and in JSON", () => {
  const big = 9_007_199_254_740_993n;
  assert.deepEqual(valuesOf({ datatype: "INT64", bytes: le((v) => v.setBigInt64(0, big, true), 8) }), [
    String(big),
  ]);
  assert.deepEqual(
    valuesOf({ datatype: "UINT64", bytes: le((v) => v.setBigUint64(0, 2n ** 64n - 1n, true), 8) }),
    ["18446744073709551615"],
  );
  const inJson = `{"model_name":"m","outputs":[{"name":"p","datatype":"INT64","shape":[2],"data":[${big},1]}],"id":${big}}`;
  const rig = rigOf([specOf("m", { task: "multiclass" })], [ruleOf("m")]);
  const reading = rig.read(answer(inJson, { target: V2 }));
  assert.deepEqual(said(reading), [
    [String(big), null, null],
    [1, null, null],
  ]);
  assert.deepEqual(reading.aliases, [String(big)]);
  assert.deepEqual(
    parseJson(Buffer.from("[9007199254740992, 10000000000000000, 0.1234567890123456, 1e300]")),
    [9_007_199_254_740_992, 1e16, 0.1234567890123456, 1e300],
  );
});

test("a tail shorter than it says is refused; one that the copy cuts off is truncated, unless what is needed stands before", () => {
  const value = { datatype: "FP64", bytes: le((v) => v.setFloat64(0, 2.5, true), 8), name: "predict" };
  const embedding = { datatype: "FP32", bytes: Buffer.alloc(4000), shape: [1, 1000], name: "embedding" };
  const { body, headers } = binaryBody([value, embedding]);
  const read = (bytes: Buffer, kept: "whole" | "truncated") =>
    rigOf([specOf("m", { task: "regression" })], [ruleOf("m", { extract: { prediction: "predict" } })]).read(
      answer(null, { target: V2, headers, response: { bytes, total: body.length, kept } }),
    );
  assert.deepEqual(said(read(body, "whole")), [[2.5, null, null]]);
  assert.deepEqual(said(read(body.subarray(0, body.length - 3000), "truncated")), [[2.5, null, null]]);
  const early = body.subarray(0, body.length - 4004);
  assert.equal(read(early, "truncated").failure?.reason, "truncated");
  assert.equal(read(early, "whole").failure?.reason, "row_count");
});

test("requests are read as well: binary, compressed, and only begun", () => {
  const slices = [{ name: "region", header: null, body: "$.parameters.region", maxValues: 5 }];
  const asked = {
    id: "req-1",
    parameters: { region: "eu" },
    inputs: [{ name: "x", datatype: "FP32", shape: [1, 4] }],
  };
  const head = Buffer.from(JSON.stringify(asked));
  const plain = Buffer.concat([head, Buffer.alloc(16)]);
  const length = ["Inference-Header-Content-Length", String(head.length)];
  const cases: readonly (readonly [string, Buffer, readonly string[], "whole" | "truncated"])[] = [
    ["binary", plain, length, "whole"],
    ["binary, cut in its tensors", plain.subarray(0, head.length + 3), length, "truncated"],
    ["binary in gzip", gzipSync(plain), [...length, "Content-Encoding", "gzip"], "whole"],
    ["deflate", deflateSync(head), ["content-encoding", "deflate"], "whole"],
  ];
  for (const [what, bytes, requestHeaders, kept] of cases) {
    const exchange = answer(
      { outputs: [{ name: "p", shape: [1], data: [1] }] },
      {
        target: V2,
        requestHeaders,
        request: { bytes, total: 1e6, kept },
      },
    );
    const reading = rigOf([], [ruleOf("m", { slices })]).read(exchange);
    assert.deepEqual(reading.aliases, ["req-1"], what);
    assert.deepEqual({ ...reading.predictions[0]?.slice }, { region: "eu" }, what);
  }
  // A bomb costs its bound, and only the slice.
  const bomb = gzipSync(Buffer.alloc(50_000_000, " "));
  const exchange = answer([1], { requestHeaders: ["content-encoding", "gzip"], request: bytesOf(bomb) });
  const rig = rigOf([], [ruleOf("m", { match: { path: "/predict" }, slices })]);
  assert.equal(rig.read(exchange).kind, "predictions");
});

test("JSON with a byte order mark, in UTF-16, with NaN, or with a key twice is read by a stated rule", () => {
  const text = '{"prediction": "\u00e9"}';
  const le16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")]);
  const be16 = Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(text, "utf16le").swap16()]);
  for (const body of [Buffer.from(`\ufeff${text}`), le16, be16, be16.subarray(0, be16.length)]) {
    assert.deepEqual(said(rigOf().read(answer(body))), [["\u00e9", null, null]]);
  }
  assert.equal(rigOf().read(answer(Buffer.from(text, "utf16le"))).failure?.reason, "not_json");
  assert.deepEqual(parseJson(Buffer.from('{"a":NaN,"b":-Infinity,"c":"NaN","a":2}')), {
    a: 2,
    b: null,
    c: "NaN",
  });
});
