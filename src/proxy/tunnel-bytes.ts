// The bytes of a tunnel: how they pass from one end to the other, and the heads that stand before them.

import type { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { RawHeaders } from "../facts/exchange.ts";
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

export function copyLines(raw: RawHeaders, name: string, lines: string[]): void {
  for (let i = 0; i < raw.length; i += 2) {
    if ((raw[i] ?? "").toLowerCase() === name) lines.push(raw[i] ?? "", raw[i + 1] ?? "");
  }
}
