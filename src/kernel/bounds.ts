// Bounds of histograms, which the catalogue names as buckets: those that the traffic process counts by itself and hands over, and the way to count.

/** Seconds from the beginning of a connection to the model until requests may be written: a loopback's to a default limit's. */
export const CONNECT_SECONDS: readonly number[] = Object.freeze([
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
]);

/** Which of a histogram's counts a value belongs to: `bounds.length` beyond all of them. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  while (bucket < bounds.length && !(value <= (bounds[bucket] ?? Infinity))) bucket++;
  return bucket;
}
