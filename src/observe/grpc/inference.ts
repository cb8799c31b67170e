// A gRPC call of the Open Inference Protocol as the REST exchange that says the same: one road for both from here on.

import type { BodyCopy, Exchange, RawHeaders } from "../../facts/exchange.ts";
import { isList, isObject, own } from "../json.ts";
import type { FailureReason } from "../rules.ts";
import { readFrames, type Frames } from "./frames.ts";
import {
  MODEL_INFER_REQUEST,
  MODEL_INFER_RESPONSE,
  MODEL_STREAM_INFER_RESPONSE,
  type MessageSchema,
} from "./inference-schema.ts";
import { readMessage, type Message } from "./message.ts";

const SERVICE = "/inference.GRPCInferenceService/";
export const UNARY = `${SERVICE}ModelInfer`;
export const STREAM = `${SERVICE}ModelStreamInfer`;

export interface Translated {
  readonly exchange: Exchange;
  /** Why no prediction can be read although one was made, or null. */
  readonly failure: { readonly reason: FailureReason; readonly detail: string } | null;
}

export interface TranslateOptions {
  /** `capture.maxBodySize`. */
  readonly bodyBytesMax: number;
}

/** Compressed messages may unfold to so many times the capture limit. */
const GROWTH_MAX = 8;

/** Null: not a call that predicts, or one that the server did not answer with OK. */
export function translate(exchange: Exchange, options: TranslateOptions): Translated | null {
  const streamed = exchange.target === STREAM;
  if (!streamed && exchange.target !== UNARY) return null;
  const heads = [...exchange.responseHeaders, ...exchange.responseTrailers];
  if (valueOf(heads, "grpc-status") !== "0") return null;
  const request = firstMessage(exchange.request, {
    encoding: valueOf(exchange.requestHeaders, "grpc-encoding"),
    schema: MODEL_INFER_REQUEST,
    bytesMax: options.bodyBytesMax * GROWTH_MAX,
  });
  const answer = firstMessage(exchange.response, {
    encoding: valueOf(heads, "grpc-encoding"),
    schema: streamed ? MODEL_STREAM_INFER_RESPONSE : MODEL_INFER_RESPONSE,
    bytesMax: options.bodyBytesMax * GROWTH_MAX,
  });
  return typeof answer === "string"
    ? { exchange: asRest(exchange, { request, heads, answer: null }), failure: reasonFor(answer) }
    : translateAnswer(exchange, { request, heads, frames: answer, streamed });
}

interface Parts {
  readonly request: First | FailureReason;
  readonly heads: RawHeaders;
}

function translateAnswer(
  exchange: Exchange,
  { request, heads, frames, streamed }: Parts & { readonly frames: First; readonly streamed: boolean },
): Translated {
  const requests = typeof request === "string" ? 0 : request.count;
  const several = frames.more || frames.count > 1 || requests > 1;
  const inner = streamed ? own(frames.message, "infer_response") : frames.message;
  const answer = isObject(inner) && !several ? inner : null;
  const rest = asRest(exchange, { request, heads, answer });
  if (answer !== null) return { exchange: rest, failure: null };
  // Which answer belongs to which request, only the model knows.
  if (several) return { exchange: rest, failure: { reason: "unsupported", detail: "a stream of messages" } };
  return { exchange: rest, failure: { reason: "no_prediction", detail: "no infer_response" } };
}

function reasonFor(reason: FailureReason): { reason: FailureReason; detail: string } {
  return { reason, detail: "gRPC message" };
}

interface First {
  readonly message: Message;
  readonly count: number;
  readonly more: boolean;
}

function firstMessage(
  body: BodyCopy,
  how: { readonly encoding: string | undefined; readonly schema: MessageSchema; readonly bytesMax: number },
): First | FailureReason {
  if (body.kept === "shed") return "shed";
  if (body.kept === "not-captured") return "not_captured";
  const bytes = Buffer.from(body.bytes.buffer, body.bytes.byteOffset, body.bytes.length);
  const frames: Frames | FailureReason = readFrames(bytes, how.encoding, how.bytesMax);
  if (typeof frames === "string") return frames;
  const [first] = frames.messages;
  if (first === undefined) return body.kept === "truncated" ? "truncated" : "no_prediction";
  const message = readMessage(first, how.schema);
  return message === null ? "not_json" : { message, count: frames.messages.length, more: frames.more };
}

/** The exchange that a REST client would have had. `answer` null: a body that nobody looks into. */
function asRest(exchange: Exchange, parts: Parts & { readonly answer: Message | null }): Exchange {
  const { request, heads, answer } = parts;
  const asked = typeof request === "string" ? null : request.message;
  const model = textOf(answer, "model_name") ?? textOf(asked, "model_name");
  const version = textOf(asked, "model_version");
  const { json, tail } = jsonOf(answer ?? {}, "outputs", "raw_output_contents");
  const path = model === null ? "" : `/models/${encodeURIComponent(model)}`;
  const versioned = version === null ? "" : `/versions/${encodeURIComponent(version)}`;
  return {
    ...exchange,
    method: "POST",
    target: `/v2${path}${path === "" ? "" : versioned}/infer`,
    responseHeaders: [
      ...without(heads, "content-type"),
      "content-type",
      "application/json",
      "inference-header-content-length",
      String(json.length),
    ],
    responseTrailers: [],
    request: whole(asked === null ? Buffer.alloc(0) : jsonOf(asked, "inputs", "raw_input_contents").json),
    response: whole(Buffer.concat([json, tail])),
  };
}

function whole(bytes: Buffer): BodyCopy {
  return { bytes, total: bytes.length, kept: "whole" };
}

/** A message as the JSON head of REST's binary extension, and the raw contents as its tail. */
function jsonOf(message: Message, tensors: string, raw: string): { json: Buffer; tail: Buffer } {
  const contents = listOf(message, raw).filter((part): part is Uint8Array => part instanceof Uint8Array);
  const body = {
    ...named(message, "model_name"),
    ...named(message, "model_version"),
    ...named(message, "id"),
    ...parametersOf(message),
    [tensors]: listOf(message, tensors).map((tensor, at) => tensorOf(tensor, contents[at])),
  };
  return { json: Buffer.from(JSON.stringify(body)), tail: Buffer.concat(contents) };
}

function tensorOf(tensor: unknown, raw: Uint8Array | undefined): unknown {
  if (!isObject(tensor)) return {};
  const parameters =
    raw === undefined ? parametersOf(tensor) : { parameters: { binary_data_size: raw.length } };
  const data = raw === undefined ? { data: dataOf(own(tensor, "contents")) } : {};
  const [name, datatype] = [own(tensor, "name") ?? "", own(tensor, "datatype") ?? ""];
  return { name, datatype, shape: listOf(tensor, "shape"), ...parameters, ...data };
}

/** Of the lists of a tensor's contents the one that is there. */
function dataOf(contents: unknown): readonly unknown[] {
  if (!isObject(contents)) return [];
  for (const values of Object.values(contents)) {
    if (isList(values) && values.length > 0) return values.map(plain);
  }
  return [];
}

function plain(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : value;
}

function parametersOf(message: Message): { parameters?: Record<string, unknown> } {
  const all = own(message, "parameters");
  if (!isObject(all)) return {};
  const parameters: Record<string, unknown> = Object.create(null);
  for (const [name, value] of Object.entries(all)) {
    if (isObject(value)) parameters[name] = Object.values(value)[0];
  }
  return { parameters };
}

function named(message: Message, name: string): Record<string, string> {
  const text = textOf(message, name);
  return text === null ? {} : { [name]: text };
}

function textOf(message: Message | null, name: string): string | null {
  const text = message === null ? null : own(message, name);
  return typeof text === "string" && text !== "" ? text : null;
}

function listOf(message: Message, name: string): readonly unknown[] {
  const found = own(message, name);
  return isList(found) ? found : [];
}

function valueOf(lines: RawHeaders, name: string): string | undefined {
  for (let i = 0; i < lines.length; i += 2) {
    if ((lines[i] ?? "").toLowerCase() === name) return lines[i + 1];
  }
  return undefined;
}

function without(lines: RawHeaders, name: string): string[] {
  return lines.filter((_, i) => (lines[i - (i % 2)] ?? "").toLowerCase() !== name);
}
