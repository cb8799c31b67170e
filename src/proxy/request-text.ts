// A request's head as it is written to the upstream. Its lines were read by node:http, which lets no CR, LF or NUL through.

import type { RawHeaders } from "../facts/exchange.ts";
import type { UpstreamRequest } from "./upstream.ts";

export function requestText(request: UpstreamRequest): string {
  const { headers, text: ready } = request;
  if (ready != null) return `${ready}\r\n`;
  let text = `${request.method} ${request.target} HTTP/1.1\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  if (request.framing !== "chunked") return `${text}\r\n`;
  return request.body === "streamed" || request.body === null
    ? `${text}Transfer-Encoding: chunked\r\n\r\n`
    : `${text}Content-Length: ${request.body.length}\r\n\r\n`;
}

export function chunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`;
}

export function lastChunk(trailers: RawHeaders): string {
  let text = "0\r\n";
  for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}: ${trailers[i + 1]}\r\n`;
  return `${text}\r\n`;
}
