// The extractor for both protocols: gRPC calls that predict are read as the REST exchanges they mean.

import type { Exchange } from "../../facts/exchange.ts";
import type { Extractor } from "../extractor.ts";
import type { Reading } from "../rules.ts";
import { translate, type TranslateOptions } from "./inference.ts";

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
