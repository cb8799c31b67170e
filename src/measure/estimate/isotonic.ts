// The non-decreasing step function closest to what was observed: pool adjacent violators (Ayer et al. 1955).

export interface Block {
  /** First and last place in the input that were pooled. */
  readonly first: number;
  readonly last: number;
  /** Weighted mean of the pooled values, and their weight. */
  readonly value: number;
  readonly weight: number;
}

/** `sums[i]` is the sum of the values observed at place i, `weights[i]` how many there were; places without weight are passed over. */
export function isotonic(sums: ArrayLike<number>, weights: ArrayLike<number>): Block[] {
  const pooled: { first: number; last: number; sum: number; weight: number }[] = [];
  for (let at = 0; at < sums.length; at++) {
    const weight = weights[at] ?? 0;
    if (weight <= 0) continue;
    let block = { first: at, last: at, sum: sums[at] ?? 0, weight };
    for (let below = pooled.at(-1); below !== undefined; below = pooled.at(-1)) {
      // sum/weight of the one below is at most this one's: in order.
      if (below.sum * block.weight < block.sum * below.weight) break;
      block = {
        first: below.first,
        last: at,
        sum: below.sum + block.sum,
        weight: below.weight + block.weight,
      };
      pooled.pop();
    }
    pooled.push(block);
  }
  return pooled.map(({ first, last, sum, weight }) => ({ first, last, value: sum / weight, weight }));
}
