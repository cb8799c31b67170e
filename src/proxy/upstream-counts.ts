// What the way to the model counts beside the exchanges themselves, for all its pools together.

/** Why a request came back without an answer, unprocessed or so that doing it twice does no harm. */
export const RESEND_REASONS = Object.freeze(["goaway", "refused_stream", "connection_closed"] as const);
export type ResendReason = (typeof RESEND_REASONS)[number];

/** What came of it: `given_up` was not sent again, the others were. */
export const RESEND_OUTCOMES = Object.freeze(["answered", "unprocessed", "failed", "given_up"] as const);
export type ResendOutcome = (typeof RESEND_OUTCOMES)[number];

export class UpstreamCounts {
  /** Keys `reason/outcome`. Each time that a request came back is counted once, when it is known what came of it. */
  readonly resends: Record<string, number> = Object.fromEntries(
    RESEND_REASONS.flatMap((reason) => RESEND_OUTCOMES.map((outcome) => [`${reason}/${outcome}`, 0])),
  );
  /** Over HTTP/2: calls that found every stream taken on connections that stand; counted when their wait is over. */
  streamWaits = 0;
  /** Of those: ended by the limit. */
  streamWaitsOver = 0;

  resend(reason: ResendReason, outcome: ResendOutcome): void {
    const key = `${reason}/${outcome}`;
    this.resends[key] = (this.resends[key] ?? 0) + 1;
  }
}
