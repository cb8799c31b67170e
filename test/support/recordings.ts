// Recorded exchanges with real model servers (test/recordings/*.md) as sealed exchanges.

import { readFileSync } from "node:fs";
import type { Exchange } from "../../src/facts/exchange.ts";
import { exchangeOf } from "./exchange.ts";

interface Message {
  readonly first: string;
  readonly headers: string[];
  readonly body: Buffer;
}

const folder = new URL("../recordings/", import.meta.url);

function messageOf(lines: readonly string[]): Message {
  const end = lines.indexOf("");
  const head = end < 0 ? lines : lines.slice(0, end);
  const headers: string[] = [];
  for (const line of head.slice(1)) {
    const colon = line.indexOf(":");
    headers.push(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const body = end < 0 ? "" : lines.slice(end + 1).join("\n");
  return { first: head[0] ?? "", headers, body: Buffer.from(body) };
}

/** Undoes the chunked coding; a body that is not quite chunked (cut, or with lost bytes) stays as it is. */
function dechunked(body: Buffer): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const end = body.indexOf("\n", at);
    const size = end < 0 ? "" : body.toString("latin1", at, end).trim();
    if (!/^[0-9a-f]+$/i.test(size)) return body;
    // The recorder wrote sizes in decimal for some servers: what ends with a line break is right.
    const lengths = [Number.parseInt(size, 16), Number.parseInt(size, 10)];
    const length = lengths.find((bytes) => body[end + 1 + bytes] === 0x0a) ?? -1;
    if (Number(size) === 0) return Buffer.concat(parts);
    if (length < 0) return body;
    parts.push(body.subarray(end + 1, end + 1 + length));
    at = end + 1 + length + 1;
  }
}

function headerOf(message: Message, name: string): string | undefined {
  const at = message.headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name);
  return at < 0 ? undefined : message.headers[at + 1];
}

function bodyOf(message: Message): Exchange["response"] {
  let bytes = message.body;
  const length = headerOf(message, "content-length");
  if (headerOf(message, "transfer-encoding")?.toLowerCase() === "chunked") bytes = dechunked(bytes);
  else if (length !== undefined) bytes = bytes.subarray(0, Number(length));
  else if (bytes.length > 0) bytes = bytes.subarray(0, bytes.length - 1);
  return { bytes, total: bytes.length, kept: "whole" };
}

function exchangeFrom(block: string): Exchange {
  const lines = block.split("\n");
  const start = lines.findIndex((line) => line.startsWith("< HTTP/"));
  const requestLines: string[] = [];
  for (const line of lines.slice(0, start)) {
    if (line.startsWith("> ")) requestLines.push(line.slice(2));
    // A body that spans lines carries the mark on its first line only.
    else if (line !== "" || requestLines.includes("")) requestLines.push(line);
  }
  const answer = lines.slice(start);
  const end = answer.findIndex((line) => line === "< " || line === "<");
  const responseLines = [...answer.slice(0, end).map((line) => line.slice(2)), "", ...answer.slice(end + 1)];
  const request = messageOf(requestLines.map((line) => (line === ">" ? "" : line)));
  const response = messageOf(responseLines);
  const [method = "", target = ""] = request.first.split(" ");
  return exchangeOf({
    method,
    target,
    status: Number(response.first.split(" ")[1]),
    requestHeaders: request.headers,
    responseHeaders: response.headers,
    request: bodyOf(request),
    response: bodyOf(response),
  });
}

/** The exchanges of one file by their titles. */
export function recordings(file: string): ReadonlyMap<string, Exchange> {
  const text = readFileSync(new URL(`${file}.md`, folder), "utf8");
  const found = new Map<string, Exchange>();
  for (const match of text.matchAll(/^#### (.+)\n```http\n([^]*?)\n```$/gm)) {
    found.set(match[1] ?? "", exchangeFrom(match[2] ?? ""));
  }
  return found;
}

/** The answers with a binary tail, in order. */
export function binaryRecordings(): readonly Exchange[] {
  const text = readFileSync(new URL("triton-binary.md", folder), "utf8");
  const pattern = /^request: (.+)\n(HTTP\/1\.1 200 OK\n(?:.+\n)+)\nbody, base64:\n((?:[A-Za-z0-9+/=]+\n)+)/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const request = Buffer.from(match[1] ?? "");
    const bytes = Buffer.from((match[3] ?? "").replaceAll("\n", ""), "base64");
    const { headers } = messageOf((match[2] ?? "").trim().split("\n"));
    return exchangeOf({
      responseHeaders: headers,
      request: { bytes: request, total: request.length, kept: "whole" },
      response: { bytes, total: bytes.length, kept: "whole" },
    });
  });
}
