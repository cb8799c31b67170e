// The bytes of a tunnel: how they pass from one end to the other, and the heads that stand before them.

import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { RawHeaders } from "../facts/exchange.ts";
import { lastChunk } from "./request-text.ts";
import { plainLines } from "./response-head.ts";
import { TurnShare } from "./turn-share.ts";

export function closeSoon(side: Duplex): void {
  if (side instanceof Socket) side.destroySoon();
  else side.end();
}

export function pass(bytes: Buffer, to: Duplex, count: (chunk: Buffer) => void): void {
  if (bytes.length === 0) return;
  count(bytes);
  to.write(bytes);
}

export function pump(from: Duplex, to: Duplex, count: (chunk: Buffer) => void): void {
  const share = new TurnShare(() => void (to.writableNeedDrain || from.resume()));
  from.on("data", (chunk: Buffer) => {
    count(chunk);
    if (!to.write(chunk) || share.usedUp(chunk.length)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.resume();
}

export function headText(response: IncomingMessage, lines: readonly string[]): string {
  let text = `HTTP/1.1 ${response.statusCode} ${response.statusMessage ?? ""}\r\n`;
  for (let i = 0; i < lines.length; i += 2) text += `${lines[i]}: ${lines[i + 1]}\r\n`;
  return `${text}\r\n`;
}

/** An answer that switches protocols has no body (RFC 9110 §8.6), whatever the model says. */
export function withoutLength(lines: readonly string[]): string[] {
  return lines.filter((_, i) => (lines[i - (i % 2)] ?? "").toLowerCase() !== "content-length");
}

export interface AnswerPassing {
  /** The client is told the body in chunks. */
  readonly chunked: boolean;
  readonly count: (chunk: Buffer) => void;
  /** All has come; false: it was broken off all the same. */
  readonly whole: (trailers: RawHeaders) => boolean;
}

/** An ordinary answer's body, and the end of the client's connection behind it. */
export function passAnswer(response: IncomingMessage, client: Duplex, how: AnswerPassing): void {
  const { chunked, count, whole } = how;
  response.on("data", (chunk: Buffer) => {
    count(chunk);
    if (chunked) client.write(`${chunk.length.toString(16)}\r\n`, "latin1");
    if (!client.write(chunk)) response.pause();
    if (chunked) client.write("\r\n", "latin1");
  });
  client.on("drain", () => response.resume());
  response.on("end", () => {
    if (!whole(response.rawTrailers)) return;
    client.end(chunked ? lastChunk(plainLines(response.rawTrailers).flat()) : "", "latin1");
  });
}

export function copyLines(raw: RawHeaders, name: string, lines: string[]): void {
  for (let i = 0; i < raw.length; i += 2) {
    if ((raw[i] ?? "").toLowerCase() === name) lines.push(raw[i] ?? "", raw[i + 1] ?? "");
  }
}
