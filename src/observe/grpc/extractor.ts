// The extractor for both protocols: gRPC calls that predict are read as the REST exchanges they mean.

import type { Exchange } from "../../facts/exchange.ts";
import { createExtractor as createRestExtractor, type Extractor } from "../extractor.ts";
import type { Reading } from "../rules.ts";
import { translate, type TranslateOptions } from "./inference.ts";

/** As REST bodies are when nothing is configured. */
const BODY_BYTES_MAX = 64 * 1024;

export type { Extractor } from "../extractor.ts";

export function createExtractor(...[options, needs]: Parameters<typeof createRestExtractor>): Extractor {
  const bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
  return withGrpc(createRestExtractor(options, needs), { bodyBytesMax });
}

/** `inner` reads REST; the route of a gRPC call stays its own. */
export function withGrpc(inner: Extractor, options: TranslateOptions): Extractor {
  return {
    read: (exchange) => readBoth(inner, exchange, options),
    overflows: () => inner.overflows(),
  };
}

function readBoth(inner: Extractor, exchange: Exchange, options: TranslateOptions): Reading {
  if (!exchange.target.startsWith("/inference.")) return inner.read(exchange);
  const translated = translate(exchange, options);
  if (translated === null) return inner.read(exchange);
  const { exchange: rest, failure } = translated;
  const reading = inner.read(rest);
  const route = exchange.target;
  if (failure === null) return { ...reading, route };
  return { ...reading, route, kind: "unreadable", predictions: [], failure };
}
