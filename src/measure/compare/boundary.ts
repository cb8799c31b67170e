// How much a difference may wander by chance although somebody looks all the time: the normal-mixture boundary.
// Waudby-Smith et al., arXiv 2103.06476; the same as the two-sided normal mixture of Howard et al., Ann. Stat. 49, 2021.

export const ALPHA = 0.05;
/** -2 ln a + ln(-2 ln a + 1): the mixture is tightest where tau^2 times the information has this value. */
const TUNING = -2 * Math.log(ALPHA) + Math.log(-2 * Math.log(ALPHA) + 1);

/** A difference as known at one look. */
export interface Evidence {
  /** Mean loss of the candidate minus that of the baseline. */
  readonly difference: number;
  /** 1 / variance of the difference. */
  readonly information: number;
  /** Information at which the interval is tightest. */
  readonly tightestAt: number;
}

/** Logarithm of the likelihood ratio of the mixture against "no difference". */
export function logRatio({ difference, information, tightestAt }: Evidence): number {
  const scaled = (TUNING / tightestAt) * information;
  const score = difference * information;
  return (TUNING / tightestAt) * score * (score / (2 * (1 + scaled))) - Math.log1p(scaled) / 2;
}

/** Half the width of the 95 % interval; it holds for all looks together. */
export function halfWidth({ information, tightestAt }: Evidence): number {
  const mixing = TUNING / tightestAt;
  const room = Math.log(Math.sqrt(1 + mixing * information) / ALPHA);
  return Math.sqrt(2 * (information + 1 / mixing) * room) / information;
}

/** p-value that may be looked at all the time, from the largest `logRatio` so far. */
export function anytimeP(largest: number): number {
  return Math.min(1, Math.exp(-largest));
}
