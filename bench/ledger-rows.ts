// The rows that ledgers are measured with.

import type { ExchangeRecord } from "../src/facts/prediction.ts";

export function exchange(id: string, ts: number, alias: string | null): ExchangeRecord {
  const score = (ts % 1000) / 1000;
  const prediction = {
    model: "credit",
    version: "1.4.2",
    id,
    ts,
    value: score > 0.5 ? "1" : "0",
    score,
    scores: null,
  };
  return {
    id,
    aliases: alias === null ? [] : [alias],
    model: "credit",
    version: "1.4.2",
    ts,
    traceId: "0af7651916cd43dd8448eb211c80319c",
    method: "POST",
    route: "/v2/models/credit/infer",
    status: 200,
    durationMs: 12.5,
    ttfbMs: 11.25,
    predictions: [{ ...prediction, slice: { region: "eu" } }],
  };
}
