// The difference between two versions, hour by hour: what they got in the same hour is compared, then the hours are added.
// Time of day and a ramp from 1 % to 50 % then cannot pass for a difference (Mantel-Haenszel weights).

import type { Evidence } from "./boundary.ts";
import type { Moments } from "./moments.ts";

/** Rows of each arm before anything is said: the boundary rests on the central limit. */
export const ROWS_MIN = 100;
/** Rows of each arm (or pairs) at which the interval is tightest. */
const TIGHTEST_ROWS = 500;

/** "share": the loss is 0 or 1. Until it has been seen both ways, its variance must not be 0. */
export type LossKind = "share" | "amount";

/** Sums over hours; adding is all there is to it, so finished hours can be folded in and forgotten. */
export class Strata {
  baseline = 0;
  candidate = 0;
  #weight = 0;
  #weighted = 0;
  /** Variance of `#weighted`, when both arms spread alike. */
  #pooled = 0;
  /** The same apart for each arm, from the hours that have two rows of it, and how much of the weight those hours are. */
  #spread0 = 0;
  #known0 = 0;
  #all0 = 0;
  #spread1 = 0;
  #known1 = 0;
  #all1 = 0;

  /** One hour. An hour in which only one version ran says nothing. */
  fold(baseline: Moments, candidate: Moments): void {
    const n0 = baseline.n;
    const n1 = candidate.n;
    if (n0 === 0 || n1 === 0) return;
    const weight = (n0 * n1) / (n0 + n1);
    const difference = candidate.mean - baseline.mean;
    this.baseline += n0;
    this.candidate += n1;
    this.#weight += weight;
    this.#weighted += weight * difference;
    const m2 = baseline.m2 + candidate.m2 + weight * difference * difference;
    this.#pooled += (weight * m2) / (n0 + n1 - 1);
    const part0 = (weight * weight) / n0;
    const part1 = (weight * weight) / n1;
    this.#all0 += part0;
    this.#all1 += part1;
    if (n0 > 1) {
      this.#known0 += part0;
      this.#spread0 += (part0 * baseline.m2) / (n0 - 1);
    }
    if (n1 > 1) {
      this.#known1 += part1;
      this.#spread1 += (part1 * candidate.m2) / (n1 - 1);
    }
  }

  copyFrom(other: Strata): void {
    this.baseline = other.baseline;
    this.candidate = other.candidate;
    this.#weight = other.#weight;
    this.#weighted = other.#weighted;
    this.#pooled = other.#pooled;
    this.#spread0 = other.#spread0;
    this.#known0 = other.#known0;
    this.#all0 = other.#all0;
    this.#spread1 = other.#spread1;
    this.#known1 = other.#known1;
    this.#all1 = other.#all1;
  }

  /** null below ROWS_MIN rows of an arm, and while nothing varies. */
  evidence(kind: LossKind): Evidence | null {
    const difference = this.difference();
    if (difference === null || this.baseline < ROWS_MIN || this.candidate < ROWS_MIN) return null;
    const unseen = kind === "share" ? this.#weight / (this.baseline + this.candidate + 2) : 0;
    // Spread apart counts where one version scatters more than the other although both are wrong as often.
    const variance = Math.max(this.#pooled + unseen, this.#apart());
    const information = (this.#weight * this.#weight) / variance;
    if (!Number.isFinite(information) || information <= 0) return null;
    const perRow = variance / this.#weight;
    return { difference, information, tightestAt: TIGHTEST_ROWS / 2 / perRow };
  }

  difference(): number | null {
    return this.#weight === 0 ? null : this.#weighted / this.#weight;
  }

  #apart(): number {
    if (this.#known0 === 0 || this.#known1 === 0) return 0;
    return (this.#spread0 * this.#all0) / this.#known0 + (this.#spread1 * this.#all1) / this.#known1;
  }

  save(): number[] {
    return [
      this.baseline,
      this.candidate,
      this.#weight,
      this.#weighted,
      this.#pooled,
      this.#spread0,
      this.#known0,
      this.#all0,
      this.#spread1,
      this.#known1,
      this.#all1,
    ];
  }

  load(saved: readonly number[]): void {
    const [baseline = 0, candidate = 0, weight = 0, weighted = 0, pooled = 0, ...arms] = saved;
    const [spread0 = 0, known0 = 0, all0 = 0, spread1 = 0, known1 = 0, all1 = 0] = arms;
    this.baseline = baseline;
    this.candidate = candidate;
    this.#weight = weight;
    this.#weighted = weighted;
    this.#pooled = pooled;
    this.#spread0 = spread0;
    this.#known0 = known0;
    this.#all0 = all0;
    this.#spread1 = spread1;
    this.#known1 = known1;
    this.#all1 = all1;
  }
}

/** The same for rows that both versions answered: differences of losses, request by request. */
export function pairedEvidence(differences: Moments, kind: LossKind): Evidence | null {
  const { n, mean, m2 } = differences;
  if (n < ROWS_MIN) return null;
  // As if one more pair had disagreed: McNemar's b + c is never 0.
  const variance = m2 / (n - 1) + (kind === "share" ? 1 / (n + 1) : 0);
  const information = n / variance;
  if (!Number.isFinite(information) || information <= 0) return null;
  return { difference: mean, information, tightestAt: TIGHTEST_ROWS / variance };
}
