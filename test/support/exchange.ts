// A whole Exchange for tests; every field can be overridden.

import type { Exchange } from "../../src/facts/exchange.ts";

export function exchangeOf(over: Partial<Exchange> = {}): Exchange {
  return {
    id: "0198c0de-0000-7000-8000-000000000001",
    idSource: "minted",
    trace: {
      traceId: "0af7651916cd43dd8448eb211c80319c",
      spanId: "b7ad6b7169203331",
      parentSpanId: null,
      sampled: false,
    },
    method: "POST",
    target: "/v2/models/churn/infer",
    httpVersion: "1.1",
    startedAtMs: 1_768_346_400_000,
    clocks: { requestEndMs: 0.5, headMs: 3, firstByteMs: 3.5, lastByteMs: 4, endMs: 4, longestGapMs: 0 },
    status: 200,
    outcome: "ok",
    ownError: null,
    abortedBy: null,
    upgraded: false,
    announcedVersion: null,
    requestHeaders: ["Content-Type", "application/json"],
    responseTrailers: [],
    responseHeaders: ["content-type", "application/json"],
    request: { bytes: Buffer.from("{}"), total: 2, kept: "whole" },
    response: { bytes: Buffer.from("{}"), total: 2, kept: "whole" },
    ...over,
  };
}
