// What the way to the model counts beside the exchanges themselves, for all its pools together.

import type { OwnError } from "../facts/exchange.ts";
import { CONNECT_SECONDS, bucketOf } from "../kernel/bounds.ts";

/** Why a request came back without an answer, unprocessed or so that doing it twice does no harm. */
export const RESEND_REASONS = Object.freeze(["goaway", "refused_stream", "connection_closed"] as const);
export type ResendReason = (typeof RESEND_REASONS)[number];

/** What came of it: `given_up` was not sent again, the others were. */
export const RESEND_OUTCOMES = Object.freeze(["answered", "unprocessed", "failed", "given_up"] as const);
export type ResendOutcome = (typeof RESEND_OUTCOMES)[number];

/** As OpenTelemetry names it (`network.protocol.version`). */
export type ProtocolVersion = "1.1" | "2";

/** How the opening of a connection ends: `cancelled` when nobody waits for it any more, else as the requests fail. */
const DIAL_OUTCOMES = Object.freeze([
  "opened",
  "connection_refused",
  "connect_timeout",
  "connection_reset",
  "dns_failure",
  "tls_failure",
  "invalid_response",
  "cancelled",
] as const);

export class UpstreamCounts {
  /** Keys `reason/outcome`. Each time that a request came back is counted once, when it is known what came of it. */
  readonly resends: Record<string, number> = Object.fromEntries(
    RESEND_REASONS.flatMap((reason) => RESEND_OUTCOMES.map((outcome) => [`${reason}/${outcome}`, 0])),
  );
  /** Over HTTP/2: calls that found every stream taken on connections that stand; counted when their wait is over. */
  streamWaits = 0;
  /** Of those: ended by the limit. */
  streamWaitsOver = 0;
  /** Keys `version/outcome`: connections whose opening has ended. */
  readonly connections: Record<string, number> = {};
  /** Keys `version/bucket`: those that were opened, by how long it took (`CONNECT_SECONDS`); `version/sum`: all their seconds. */
  readonly connectTimes: Record<string, number> = {};

  /** Its series exist from now on: what appears with a value loses that value in `increase()`. */
  speaks(version: ProtocolVersion): void {
    for (const outcome of DIAL_OUTCOMES) this.connections[`${version}/${outcome}`] ??= 0;
    this.connectTimes[`${version}/sum`] ??= 0;
  }

  opened(version: ProtocolVersion, tookMs: number): void {
    add(this.connections, `${version}/opened`);
    const seconds = tookMs / 1000;
    add(this.connectTimes, `${version}/${bucketOf(CONNECT_SECONDS, seconds)}`);
    add(this.connectTimes, `${version}/sum`, seconds);
  }

  notOpened(version: ProtocolVersion, why: OwnError | "cancelled"): void {
    const known = DIAL_OUTCOMES.some((outcome) => outcome === why);
    add(this.connections, `${version}/${known ? why : "connection_reset"}`);
  }

  resend(reason: ResendReason, outcome: ResendOutcome): void {
    add(this.resends, `${reason}/${outcome}`);
  }
}

function add(counts: Record<string, number>, key: string, by = 1): void {
  counts[key] = (counts[key] ?? 0) + by;
}
