// Bodies on spans, only where the configuration asks for them: JSON alone, with the places of capture.redact taken out, cut short.

import type { BodyCopy, Exchange, RawHeaders } from "../facts/exchange.ts";
import { readBody } from "../observe/body.ts";
import { pickHeaders } from "../observe/heads.ts";
import { createRedaction } from "../observe/redact.ts";

/** Characters of one body on a span; a longer one is cut, and is then a text instead of a document. */
const TEXT_MAX = 8192;
const REDACTED = "[redacted]";
const WANTED: ReadonlySet<string> = new Set(["content-encoding", "inference-header-content-length"]);

export interface SpanBodies {
  /** JSON text; null: no body, not JSON, or not wholly captured. */
  readonly input: string | null;
  readonly output: string | null;
}

export interface BodiesOptions {
  readonly bytesMax: number;
  readonly redact: readonly string[];
}

function textOf(body: BodyCopy, headers: RawHeaders, options: BodiesOptions): string | null {
  const heads = pickHeaders(headers, WANTED);
  const read = readBody(body, {
    encoding: heads.get("content-encoding"),
    jsonBytes: heads.get("inference-header-content-length"),
    bytesMax: options.bytesMax,
  });
  if (typeof read === "string") return null;
  const json = createRedaction(options.redact).clean(read.json, REDACTED);
  if (json === undefined) return null;
  const text = JSON.stringify(json);
  return text.length <= TEXT_MAX ? text : JSON.stringify(`${text.slice(0, TEXT_MAX).toWellFormed()}...`);
}

export function spanBodies(exchange: Exchange, options: BodiesOptions): SpanBodies {
  return {
    input: textOf(exchange.request, exchange.requestHeaders, options),
    output: textOf(exchange.response, exchange.responseHeaders, options),
  };
}
