// Count, mean and spread of a loss in one cell: stable where the mean is large, and mergeable.

import type { Archive } from "../../kernel/archive.ts";

/** Sum of (x - mean)^2 as `m2` (B. P. Welford, Technometrics 4, 1962). */
export class Moments {
  n = 0;
  mean = 0;
  m2 = 0;

  add(value: number): void {
    this.n++;
    const step = value - this.mean;
    this.mean += step / this.n;
    this.m2 += step * (value - this.mean);
  }

  archive(io: Archive): void {
    this.n = io.number(this.n);
    this.mean = io.number(this.mean);
    this.m2 = io.number(this.m2);
  }

  /** Parallel merge (Chan, Golub, LeVeque, 1979); sign -1: of the values' negatives. */
  merge(other: Moments, sign: 1 | -1 = 1): void {
    if (other.n === 0) return;
    const n = this.n + other.n;
    const step = sign * other.mean - this.mean;
    this.m2 += other.m2 + (step * step * this.n * other.n) / n;
    this.mean += (step * other.n) / n;
    this.n = n;
  }
}
