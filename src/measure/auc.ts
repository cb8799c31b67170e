// What the order of scores says about a classifier, from counts per score.

export interface RankedCounts {
  /** Ascending. */
  readonly scores: Float64Array;
  readonly positives: Float64Array;
  readonly negatives: Float64Array;
  /** 1 where different scores share the entry. */
  readonly mixed: Uint8Array;
}

export interface Auc {
  /** Probability that a positive scores above a negative, ties counted half (Mann-Whitney). */
  readonly value: number;
  /** The exact value lies within value +- bound; 0 while scores are counted apart. */
  readonly bound: number;
  /** DeLong's standard error (Biometrics 44, 1988); null below two rows of a class. */
  readonly standardError: number | null;
  /** Rows of each class. */
  readonly positives: number;
  readonly negatives: number;
}

/** null without rows of both classes. */
export function areaUnderRoc(ranked: RankedCounts): Auc | null {
  const { positives, negatives, mixed } = ranked;
  const size = positives.length;
  let p = 0;
  let n = 0;
  let wins = 0;
  let unsure = 0;
  for (let i = 0; i < size; i++) {
    const pos = positives[i] ?? 0;
    const neg = negatives[i] ?? 0;
    wins += pos * (n + neg / 2);
    if (mixed[i] === 1) unsure += pos * neg;
    p += pos;
    n += neg;
  }
  if (p === 0 || n === 0) return null;
  const value = wins / (p * n);
  const standardError = deLong(ranked, { p, n, value });
  return { value, bound: unsure / (2 * p * n), standardError, positives: p, negatives: n };
}

function deLong(ranked: RankedCounts, area: { p: number; n: number; value: number }): number | null {
  const { positives, negatives } = ranked;
  const { p, n, value } = area;
  if (p < 2 || n < 2) return null;
  let below = 0;
  let above = p;
  let spreadPositive = 0;
  let spreadNegative = 0;
  for (let i = 0; i < positives.length; i++) {
    const pos = positives[i] ?? 0;
    const neg = negatives[i] ?? 0;
    above -= pos;
    const wonOver = (below + neg / 2) / n - value;
    const lostTo = (above + pos / 2) / p - value;
    spreadPositive += pos * wonOver * wonOver;
    spreadNegative += neg * lostTo * lostTo;
    below += neg;
  }
  return Math.sqrt(spreadPositive / (p - 1) / p + spreadNegative / (n - 1) / n);
}
