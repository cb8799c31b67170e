// How far two distributions lie apart: over common bins (PSI, Jensen-Shannon), and over the ordered values themselves
// (Kolmogorov-Smirnov, Wasserstein). Nothing of this needs labels.

/** Counts of the reference and of what is compared with it, in the same bins. */
export interface BinnedPair {
  readonly reference: readonly number[];
  readonly current: readonly number[];
}

/** Shares below it count as it, so that an empty bin does not make the index infinite. */
const FLOOR = 1e-4;

function sum(counts: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < counts.length; i++) total += counts[i] ?? 0;
  return total;
}

/** Population stability index: sum of (q - p) ln(q / p) over the bins, shares floored at 1e-4. Natural logarithm. */
export function populationStability({ reference, current }: BinnedPair): number {
  const n = sum(reference);
  const m = sum(current);
  let index = 0;
  for (const [i, count] of reference.entries()) {
    const p = Math.max(count / n, FLOOR);
    const q = Math.max((current[i] ?? 0) / m, FLOOR);
    index += (q - p) * Math.log(q / p);
  }
  return index;
}

/** What the index is on average when nothing has changed: (B - 1)(1/n + 1/m) for B bins and n, m rows. */
export function populationStabilityNoise({ reference, current }: BinnedPair): number {
  return (reference.length - 1) * (1 / sum(reference) + 1 / sum(current));
}

/** Jensen-Shannon distance: the root of the divergence with logarithms of base 2, within [0, 1]. */
export function jensenShannon({ reference, current }: BinnedPair): number {
  const n = sum(reference);
  const m = sum(current);
  let divergence = 0;
  for (const [i, count] of reference.entries()) {
    const p = count / n;
    const q = (current[i] ?? 0) / m;
    const middle = (p + q) / 2;
    if (p > 0) divergence += (p * Math.log2(p / middle)) / 2;
    if (q > 0) divergence += (q * Math.log2(q / middle)) / 2;
  }
  return Math.sqrt(Math.max(0, divergence));
}

/** Rows of both sides per value; values ascending. `merged`: close values share an entry. */
export interface OrderedPair {
  readonly values: ArrayLike<number>;
  readonly reference: ArrayLike<number>;
  readonly current: ArrayLike<number>;
  readonly merged: boolean;
}

export interface KolmogorovSmirnov {
  /** Largest distance of the two cumulative shares at the entries. */
  readonly value: number;
  /** The exact statistic of the rows is at least `value` and at most this; the same while values are counted apart. */
  readonly upper: number;
  /** Beyond it in 5 % of samples without any change: 1.358 sqrt(1/n + 1/m). */
  readonly noise: number;
}

export function kolmogorovSmirnov(pair: OrderedPair): KolmogorovSmirnov {
  const n = sum(pair.reference);
  const m = sum(pair.current);
  let f = 0;
  let g = 0;
  let value = 0;
  let upper = 0;
  for (let i = 0; i < pair.values.length; i++) {
    const nextF = f + (pair.reference[i] ?? 0);
    const nextG = g + (pair.current[i] ?? 0);
    value = Math.max(value, Math.abs(nextF / n - nextG / m));
    // Within an entry one side may have come whole before the other began.
    upper = Math.max(upper, nextF / n - g / m, nextG / m - f / n);
    f = nextF;
    g = nextG;
  }
  return { value, upper: pair.merged ? Math.min(1, upper) : value, noise: 1.358 * Math.sqrt(1 / n + 1 / m) };
}

/** Wasserstein-1 (earth mover's) distance, in the unit of the values: the area between the cumulative shares. */
export function wasserstein(pair: OrderedPair): number {
  const n = sum(pair.reference);
  const m = sum(pair.current);
  let f = 0;
  let g = 0;
  let area = 0;
  for (let i = 0; i + 1 < pair.values.length; i++) {
    f += pair.reference[i] ?? 0;
    g += pair.current[i] ?? 0;
    area += Math.abs(f / n - g / m) * ((pair.values[i + 1] ?? 0) - (pair.values[i] ?? 0));
  }
  return area;
}
