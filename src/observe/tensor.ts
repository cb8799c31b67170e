// Tensors of the Open Inference Protocol: JSON data, flat or nested, and the binary tail behind the JSON head
// (binary tensor data extension: outputs in order, little endian, those with `parameters.binary_data_size`).

import { exactInteger } from "../kernel/parse-exactly.ts";
import { isFiniteNumber, isList, isObject, own } from "./json.ts";
import type { JsonObject } from "./json.ts";
import type { FailureReason } from "./rules.ts";

/** More rows in one answer are refused. */
export const ROWS_MAX = 10_000;
const DIMENSIONS_MAX = 32;

/** What stands behind the JSON head of an answer. */
export interface BinaryTail {
  readonly bytes: Buffer;
  /** False: the copy of the body ends within it. */
  readonly whole: boolean;
}

export interface Tensor {
  readonly name: string;
  readonly datatype: string;
  readonly rows: number;
  /** Values of one row. */
  readonly width: number;
  /** Row-major. */
  readonly data: readonly unknown[];
}

type Decode = (view: DataView, at: number) => number | boolean | string;

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const SCRATCH = new DataView(new ArrayBuffer(4));

/** bfloat16: the upper half of a single-precision number. */
function brain(bits: number): number {
  SCRATCH.setUint32(0, bits * 0x10000);
  return SCRATCH.getFloat32(0);
}

const FIXED: ReadonlyMap<string, { readonly bytes: number; readonly decode: Decode }> = new Map([
  ["BOOL", { bytes: 1, decode: (view, at) => view.getUint8(at) !== 0 }],
  ["INT8", { bytes: 1, decode: (view, at) => view.getInt8(at) }],
  ["UINT8", { bytes: 1, decode: (view, at) => view.getUint8(at) }],
  ["INT16", { bytes: 2, decode: (view, at) => view.getInt16(at, true) }],
  ["UINT16", { bytes: 2, decode: (view, at) => view.getUint16(at, true) }],
  ["INT32", { bytes: 4, decode: (view, at) => view.getInt32(at, true) }],
  ["UINT32", { bytes: 4, decode: (view, at) => view.getUint32(at, true) }],
  ["INT64", { bytes: 8, decode: (view, at) => exactInteger(view.getBigInt64(at, true)) }],
  ["UINT64", { bytes: 8, decode: (view, at) => exactInteger(view.getBigUint64(at, true)) }],
  ["FP16", { bytes: 2, decode: (view, at) => half(view.getUint16(at, true)) }],
  ["BF16", { bytes: 2, decode: (view, at) => brain(view.getUint16(at, true)) }],
  ["FP32", { bytes: 4, decode: (view, at) => view.getFloat32(at, true) }],
  ["FP64", { bytes: 8, decode: (view, at) => view.getFloat64(at, true) }],
]);

/** Length-prefixed texts; null when the lengths do not fit the bytes. */
function decodeTexts(bytes: Buffer): string[] | null {
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return null;
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) return null;
    texts.push(bytes.toString("utf8", at + 4, end));
    at = end;
  }
  return texts;
}

function decodeTail(datatype: string, bytes: Buffer): readonly unknown[] | FailureReason {
  if (datatype === "BYTES") return decodeTexts(bytes) ?? "row_count";
  const fixed = FIXED.get(datatype);
  if (fixed === undefined) return "unsupported";
  if (bytes.length % fixed.bytes !== 0) return "row_count";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: unknown[] = [];
  for (let at = 0; at < bytes.length; at += fixed.bytes) values.push(fixed.decode(view, at));
  return values;
}

function flat(data: readonly unknown[]): readonly unknown[] {
  return data.some(isList) ? data.flat(DIMENSIONS_MAX) : data;
}

/** shape[0]; without a shape, one row per value. */
function rowsOf(shape: unknown, values: number): number {
  if (!isList(shape)) return values;
  if (shape.length === 0) return 1;
  const rows = shape[0];
  return isFiniteNumber(rows) && Number.isInteger(rows) && rows >= 0 ? rows : -1;
}

/** The tensors of one answer, decoded when they are asked for. */
export class TensorReader {
  readonly #outputs: readonly unknown[];
  readonly #parts: (Buffer | FailureReason | null)[] = [];

  constructor(outputs: readonly unknown[], tail: BinaryTail | null) {
    this.#outputs = outputs;
    const bytes = tail?.bytes ?? null;
    let at = 0;
    for (const output of outputs) {
      const parameters = isObject(output) ? own(output, "parameters") : undefined;
      const size = isObject(parameters) ? own(parameters, "binary_data_size") : undefined;
      const has = bytes !== null && isFiniteNumber(size) && Number.isInteger(size) && size >= 0;
      const missing = tail?.whole === false ? "truncated" : "row_count";
      if (!has) this.#parts.push(null);
      else this.#parts.push(at + size > bytes.length ? missing : bytes.subarray(at, at + size));
      if (has) at += size;
    }
  }

  nameAt(index: number): string {
    const output = this.#outputs[index];
    const name = isObject(output) ? own(output, "name") : undefined;
    return typeof name === "string" ? name : "";
  }

  read(index: number): Tensor | FailureReason {
    const output = this.#outputs[index];
    if (!isObject(output)) return "no_prediction";
    const type = own(output, "datatype");
    const datatype = typeof type === "string" ? type : "";
    const values = this.#valuesOf(output, datatype, this.#parts[index] ?? null);
    if (typeof values === "string") return values;
    const data = flat(values);
    const rows = rowsOf(own(output, "shape"), data.length);
    if (rows > ROWS_MAX) return "too_many_rows";
    if (rows === 0) return "no_prediction";
    if (rows < 0 || data.length === 0 || data.length % rows !== 0) return "row_count";
    return { name: this.nameAt(index), datatype, rows, width: data.length / rows, data };
  }

  #valuesOf(
    output: JsonObject,
    datatype: string,
    part: Buffer | FailureReason | null,
  ): readonly unknown[] | FailureReason {
    if (typeof part === "string") return part;
    if (part !== null) return decodeTail(datatype, part);
    const inline = own(output, "data");
    return isList(inline) ? inline : "no_prediction";
  }
}
