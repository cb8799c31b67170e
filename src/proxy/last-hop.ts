// The answer of whoever is last in the chain of an OPTIONS or TRACE whose `Max-Forwards` is used up (RFC 9110 §7.6.2): us.

export interface LastHopAnswer {
  readonly status: number;
  readonly reason: string;
  readonly lines: string[];
}

/** Of a request that says what is sent back nothing is: a TRACE is refused. */
export function lastHopAnswer(method: string, id: string): LastHopAnswer {
  const [status, reason] = method === "OPTIONS" ? [200, "OK"] : [405, "Method Not Allowed"];
  return { status, reason, lines: ["x-prediction-id", id, "Allow", "OPTIONS", "Content-Length", "0"] };
}
