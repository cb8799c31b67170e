// Protocol Buffers messages by a schema of ours: the wire format is protobufjs's to read, the bounds are ours.

import protobuf from "protobufjs/minimal.js";
import type { Field, FieldKind, MessageSchema } from "./inference-schema.ts";

/** Values of one message, all its lists together. A hostile message of two bytes a field would else grow a hundredfold. */
const VALUES_MAX = 200_000;
/** Messages within messages: response, tensor, contents; one more for parameters. */
const DEPTH_MAX = 6;

export type Message = Readonly<Record<string, unknown>>;

/** Reads one message; null when the bytes are none, or hold more than 200,000 values. */
export function readMessage(bytes: Uint8Array, schema: MessageSchema): Message | null {
  try {
    return new MessageReader(protobuf.Reader.create(bytes)).read(schema, bytes.length, 0);
  } catch {
    // Cut off, a wire type that does not fit, too many values.
    return null;
  }
}

class MessageReader {
  readonly #reader: protobuf.Reader;
  #values = 0;

  constructor(reader: protobuf.Reader) {
    this.#reader = reader;
  }

  read(schema: MessageSchema, end: number, depth: number): Message {
    if (depth > DEPTH_MAX) throw new RangeError("too deep");
    const message: Record<string, unknown> = Object.create(null);
    const reader = this.#reader;
    while (reader.pos < end) {
      const tag = reader.uint32();
      const found = schema.get(tag >>> 3);
      if (found === undefined) reader.skipType(tag & 7);
      else if (found.map === true) this.#readEntry(message, found, depth);
      else if (found.list === true) this.#readList(message, found, { wire: tag & 7, depth });
      else message[found.name] = this.#readValue(found.kind, tag & 7, depth);
    }
    if (reader.pos !== end) throw new RangeError("cut off");
    return message;
  }

  #readList(message: Record<string, unknown>, found: Field, at: { wire: number; depth: number }): void {
    const values = listAt(message, found.name);
    const { kind } = found;
    const packed = at.wire === 2 && typeof kind === "string" && kind !== "text" && kind !== "bytes";
    if (!packed) {
      values.push(this.#readValue(kind, at.wire, at.depth));
      return;
    }
    const end = this.#end();
    while (this.#reader.pos < end) values.push(this.#readValue(kind, wireOf(kind), at.depth));
  }

  #readEntry(message: Record<string, unknown>, found: Field, depth: number): void {
    const entry: MessageSchema = new Map([
      [1, { name: "key", kind: "text" }],
      [2, { name: "value", kind: found.kind }],
    ]);
    const { key, value } = this.read(entry, this.#end(), depth + 1);
    const all = mapAt(message, found.name);
    all[typeof key === "string" ? key : ""] = value;
  }

  #end(): number {
    const length = this.#reader.uint32();
    const end = this.#reader.pos + length;
    if (end > this.#reader.len) throw new RangeError("cut off");
    return end;
  }

  #readValue(kind: FieldKind, wire: number, depth: number): unknown {
    if (++this.#values > VALUES_MAX) throw new RangeError("too many values");
    if (typeof kind !== "string") {
      if (wire !== 2) throw new RangeError("not a message");
      return this.read(kind, this.#end(), depth + 1);
    }
    if (wire !== wireOf(kind)) throw new RangeError("not of that kind");
    return this.#readScalar(kind);
  }

  #readScalar(kind: Exclude<FieldKind, MessageSchema>): unknown {
    const reader = this.#reader;
    switch (kind) {
      case "text":
        return reader.string();
      case "bytes":
        return reader.bytes();
      case "bool":
        return reader.bool();
      case "int32":
        return reader.int32();
      case "int64":
        return Number(reader.int64());
      case "uint32":
        return reader.uint32();
      case "uint64":
        return Number(reader.uint64());
      case "float":
        return reader.float();
      case "double":
        return reader.double();
      default:
        return kind satisfies never;
    }
  }
}

/** Wire types (Protocol Buffers, "Message Structure"). */
function wireOf(kind: Exclude<FieldKind, MessageSchema>): number {
  if (kind === "float") return 5;
  if (kind === "double") return 1;
  return kind === "text" || kind === "bytes" ? 2 : 0;
}

function listAt(message: Record<string, unknown>, name: string): unknown[] {
  const known = message[name];
  if (Array.isArray(known)) return known;
  const values: unknown[] = [];
  message[name] = values;
  return values;
}

function mapAt(message: Record<string, unknown>, name: string): Record<string, unknown> {
  const known = message[name];
  if (isPlain(known)) return known;
  const all: Record<string, unknown> = Object.create(null);
  message[name] = all;
  return all;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
