// gRPC calls of the Open Inference Protocol, encoded by protobufjs from the published schema, read by ours.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BodyCopy, Exchange } from "../../src/facts/exchange.ts";
import type { Extractor, Reading } from "../../src/observe/extractor.ts";
import { withGrpc } from "../../src/observe/grpc/extractor.ts";
import { readMessage } from "../../src/observe/grpc/message.ts";
import { MODEL_INFER_RESPONSE } from "../../src/observe/grpc/inference-schema.ts";
import { exchangeOf } from "../support/exchange.ts";
import { encoded, framed } from "../support/grpc-messages.ts";
import { binary, rigOf, ruleOf, specOf } from "./kit.ts";

const body = (bytes: Buffer, kept: BodyCopy["kept"] = "whole"): BodyCopy => ({
  bytes,
  total: bytes.length,
  kept,
});

const REQUEST = { model_name: "churn", id: "g1" };
const TARGET = "/inference.GRPCInferenceService/ModelInfer";

function call(response: BodyCopy, over: Partial<Exchange> = {}): Exchange {
  return exchangeOf({
    target: TARGET,
    httpVersion: "2",
    requestHeaders: ["content-type", "application/grpc"],
    responseHeaders: ["content-type", "application/grpc"],
    responseTrailers: ["grpc-status", "0", "ce-id", "from-trailers"],
    request: body(framed(encoded("ModelInferRequest", REQUEST))),
    response,
    ...over,
  });
}

const answered = (value: object, compressed = false): BodyCopy =>
  body(framed(encoded("ModelInferResponse", value), compressed));

function reader(...rig: Parameters<typeof rigOf>): Extractor {
  return withGrpc(rigOf(...rig).extractor, { bodyBytesMax: 64 * 1024 });
}

const rows = (reading: Reading): unknown[] =>
  reading.predictions.map(({ id, value, score }) => [id, value, score]);

test("MLServer's typed contents become predictions, with ids from message and trailers, and the route of the call", () => {
  const reading = reader([binary("churn")]).read(
    call(
      answered({
        model_name: "churn",
        model_version: "v2",
        id: "g1",
        outputs: [
          { name: "predict", datatype: "INT64", shape: [2, 1], contents: { int64_contents: [1, 0] } },
          {
            name: "predict_proba",
            datatype: "FP64",
            shape: [2, 2],
            contents: { fp64_contents: [0.25, 0.75, 0.5, 0.5] },
          },
        ],
      }),
    ),
  );
  assert.equal(reading.kind, "predictions");
  assert.deepEqual([reading.model, reading.version, reading.route], ["churn", "v2", TARGET]);
  const id = exchangeOf().id;
  assert.deepEqual(rows(reading), [
    [`${id}:0`, 1, 0.75],
    [`${id}:1`, 0, 0.5],
  ]);
  assert.deepEqual([...reading.aliases].sort(), ["from-trailers", "g1"]);
});

test("Triton's raw contents are read too, gzip messages as well", () => {
  const label = Buffer.alloc(16);
  label.writeBigInt64LE(1n, 0);
  const probabilities = Buffer.alloc(16);
  [0.25, 0.75, 0.5, 0.5].forEach((value, at) => probabilities.writeFloatLE(value, at * 4));
  const value = {
    model_name: "churn",
    model_version: "2",
    outputs: [
      { name: "label", datatype: "INT64", shape: [2, 1] },
      { name: "probabilities", datatype: "FP32", shape: [2, 2] },
    ],
    raw_output_contents: [label, probabilities],
  };
  for (const compressed of [false, true]) {
    const reading = reader([binary("churn")]).read(
      call(answered(value, compressed), {
        responseHeaders: ["content-type", "application/grpc+proto", "grpc-encoding", "gzip"],
      }),
    );
    assert.deepEqual(
      reading.predictions.map(({ value: said, score }) => [said, score]),
      [
        [1, 0.75],
        [0, 0.5],
      ],
    );
    assert.equal(reading.version, "2");
  }
});

test("every datatype with a list of its own is read", () => {
  const lists: Readonly<Record<string, [string, unknown[], unknown]>> = {
    BOOL: ["bool_contents", [true], true],
    INT32: ["int_contents", [-7], -7],
    INT64: ["int64_contents", ["-9"], -9],
    UINT32: ["uint_contents", [7], 7],
    UINT64: ["uint64_contents", ["9"], 9],
    FP32: ["fp32_contents", [0.5], 0.5],
    FP64: ["fp64_contents", [0.1], 0.1],
    BYTES: ["bytes_contents", [Buffer.from("yes")], "yes"],
  };
  for (const [datatype, [name, values, expected]] of Object.entries(lists)) {
    const message = encoded("ModelInferResponse", {
      outputs: [{ name: "out", datatype, shape: [1], contents: { [name]: values } }],
    });
    const read = readMessage(message, MODEL_INFER_RESPONSE);
    assert.ok(read !== null, datatype);
    const [output] = read["outputs"] as [{ contents: Record<string, unknown[]> }];
    const [value] = output.contents[name] ?? [];
    const text = value instanceof Uint8Array ? Buffer.from(value).toString() : value;
    assert.equal(text, expected, datatype);
  }
});

test("rules written for REST paths hold for the same model over gRPC, and slices of the request", () => {
  const rule = ruleOf("credit", {
    match: { path: "/v2/models/credit/**" },
    version: { kind: "static", version: "9" },
    slices: [{ name: "tier", header: null, body: "$.parameters.tier", maxValues: 5 }],
  });
  const reading = reader([specOf("credit", { task: "regression" })], [rule]).read(
    call(
      answered({
        model_name: "credit",
        outputs: [{ name: "y", datatype: "FP64", shape: [1], contents: { fp64_contents: [3.5] } }],
      }),
      {
        request: body(
          framed(
            encoded("ModelInferRequest", {
              model_name: "credit",
              parameters: { tier: { string_param: "gold" } },
            }),
          ),
        ),
      },
    ),
  );
  assert.deepEqual([reading.model, reading.version, reading.predictions[0]?.value], ["credit", "9", 3.5]);
  assert.deepEqual({ ...reading.predictions[0]?.slice }, { tier: "gold" });
});

test("a stream with one answer is read, one with several is counted as unread", () => {
  const one = framed(
    encoded("ModelStreamInferResponse", {
      infer_response: {
        model_name: "churn",
        outputs: [{ name: "label", datatype: "INT64", shape: [1], contents: { int64_contents: [1] } }],
      },
    }),
  );
  const stream = { target: "/inference.GRPCInferenceService/ModelStreamInfer" };
  assert.equal(reader([binary("churn")]).read(call(body(one), stream)).predictions[0]?.value, 1);
  const many = reader([binary("churn")]).read(call(body(Buffer.concat([one, one])), stream));
  assert.deepEqual([many.kind, many.model, many.failure?.reason], ["unreadable", "churn", "unsupported"]);
});

test("what cannot be read says why, and calls that are not OK or predict nothing are none", () => {
  const read = (response: BodyCopy, over: Partial<Exchange> = {}): Reading =>
    reader([binary("churn")]).read(call(response, over));
  const cut = answered({ model_name: "churn" }).bytes.slice(0, 9);
  assert.equal(read(body(Buffer.from(cut), "truncated")).failure?.reason, "truncated");
  assert.equal(read(body(framed(Buffer.from([0x0a, 0xff])))).failure?.reason, "not_json");
  const zipped = answered({ model_name: "churn" }, true);
  assert.equal(read(zipped).failure?.reason, "encoding");
  const bomb = body(framed(Buffer.alloc(5_000_000), true));
  const gzip = { responseHeaders: ["content-type", "application/grpc", "grpc-encoding", "gzip"] };
  assert.equal(read(bomb, gzip).failure?.reason, "too_large");
  assert.equal(read(body(Buffer.alloc(0))).failure?.reason, "no_prediction");
  const failed = read(body(Buffer.alloc(0)), { responseTrailers: ["grpc-status", "5"] });
  assert.deepEqual([failed.kind, failed.route], ["none", TARGET]);
  const health = read(body(Buffer.alloc(5)), { target: "/grpc.health.v1.Health/Check" });
  assert.deepEqual([health.kind, health.route], ["none", "/grpc.health.v1.Health/Check"]);
});

test("a message is read, or refused, but never harmful: any bytes, and lists without end", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const reading = reader().read(call(body(framed(Buffer.from(bytes)))));
      assert.ok(["predictions", "unreadable", "none"].includes(reading.kind));
    }),
    { numRuns: 500 },
  );
  const packed = Buffer.alloc(500_000);
  const contents = encoded("ModelInferResponse", {
    outputs: [{ name: "o", datatype: "INT64", shape: [1], contents: { bytes_contents: [packed] } }],
  });
  assert.notEqual(readMessage(contents, MODEL_INFER_RESPONSE), null);
  const many = encoded("ModelInferResponse", {
    outputs: [
      { name: "o", datatype: "BOOL", shape: [1], contents: { bool_contents: Array(300_000).fill(true) } },
    ],
  });
  assert.equal(readMessage(many, MODEL_INFER_RESPONSE), null);
});
