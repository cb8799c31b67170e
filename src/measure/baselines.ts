// What constant predictions score: the yardstick below which a model is not worth its electricity.

/** Least log loss of one constant distribution, natural logarithm; 0 log 0 is 0. */
export function entropy(shares: Iterable<number>): number {
  let sum = 0;
  for (const share of shares) if (share > 0) sum -= share * Math.log(share);
  return sum;
}
