// Durations in buckets that grow by a tenth: small, and each quantile within 5 % of the exact one.

const FIRST_MS = 0.05;
const GROWTH = 1.1;
/** The last bucket begins at 0.05 ms * 1.1^167, six and a half minutes; longer ones count there. */
const BUCKETS = 168;

export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  add(ms: number): void {
    const bucket = ms <= FIRST_MS ? 0 : Math.ceil(Math.log(ms / FIRST_MS) / Math.log(GROWTH));
    const at = Math.min(bucket, BUCKETS - 1);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total++;
  }

  /** Milliseconds; null when nothing was added. The middle of the bucket that holds the quantile. */
  quantile(share: number): number | null {
    if (this.#total === 0) return null;
    const rank = share * this.#total;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += this.#counts[bucket] ?? 0;
      if (below >= rank) return FIRST_MS * GROWTH ** (bucket - 0.5);
    }
    return FIRST_MS * GROWTH ** (BUCKETS - 1);
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
