// Wilson's score interval: 95 % bounds of a share that stay inside [0, 1] and hold for small counts.

/** Two-sided 95 % quantile of the normal distribution. */
export const Z95 = 1.959963984540054;

export type Interval = readonly [lower: number, upper: number];

/** Bounds of `hits / trials` (E. B. Wilson, JASA 22, 1927); null without trials. */
export function wilson(hits: number, trials: number): Interval | null {
  if (trials === 0) return null;
  const z = Z95;
  const share = hits / trials;
  const spread = 1 + (z * z) / trials;
  const centre = (share + (z * z) / (2 * trials)) / spread;
  const half = (z / spread) * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/** Bounds of F1 through J = tp / (tp + fp + fn), F1 = 2J / (1 + J) (Lam 2023, arXiv 2309.14621). */
export function wilsonF1(tp: number, wrong: number): Interval | null {
  const bounds = wilson(tp, tp + wrong);
  if (bounds === null) return null;
  const [lower, upper] = bounds;
  return [(2 * lower) / (1 + lower), (2 * upper) / (1 + upper)];
}
