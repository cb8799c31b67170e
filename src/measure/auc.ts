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
  return { value, bound: unsure / (2 * p * n), standardError: deLong(ranked, { p, n, value }) };
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

/** Area under precision over recall, as a sum of steps from the highest score down; null without positives. */
export function averagePrecision(ranked: RankedCounts): number | null {
  const { positives, negatives } = ranked;
  let found = 0;
  let taken = 0;
  let sum = 0;
  for (let i = positives.length - 1; i >= 0; i--) {
    const pos = positives[i] ?? 0;
    found += pos;
    taken += pos + (negatives[i] ?? 0);
    if (pos > 0) sum += (pos * found) / taken;
  }
  return found === 0 ? null : sum / found;
}

const TENTHS = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => i / 10);

/** Expected calibration error over the bins (i/10, (i+1)/10], the first one closed; null without rows. */
export function calibrationError(ranked: RankedCounts): number | null {
  const { scores, positives, negatives } = ranked;
  let rows = 0;
  let error = 0;
  let gap = 0;
  let bin = 0;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i] ?? 0;
    let next = bin;
    while (next < TENTHS.length && score > (TENTHS[next] ?? 1)) next++;
    if (next !== bin) {
      error += Math.abs(gap);
      gap = 0;
      bin = next;
    }
    const pos = positives[i] ?? 0;
    const count = pos + (negatives[i] ?? 0);
    gap += score * count - pos;
    rows += count;
  }
  return rows === 0 ? null : (error + Math.abs(gap)) / rows;
}
