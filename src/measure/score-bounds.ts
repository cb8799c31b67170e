// The 33 bounds of the score counters: logit-spaced, because models of rare events live below any equal bin.

/** sigma(-8), sigma(-7.5), ..., sigma(8), rounded to 6 digits; a bucket holds `score <= bound`. */
export const SCORE_BOUNDS: readonly number[] = Object.freeze(
  Array.from({ length: 33 }, (_, i) => Number((1 / (1 + Math.exp(8 - i / 2))).toFixed(6))),
);

/** Index of the first bound that is not below `score`; 33 above all. */
export function scoreBucket(score: number): number {
  let low = 0;
  let high = SCORE_BOUNDS.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((SCORE_BOUNDS[middle] ?? 1) < score) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A margin on the scale of probabilities; the order stays. */
export function sigmoid(margin: number): number {
  return 1 / (1 + Math.exp(-margin));
}
