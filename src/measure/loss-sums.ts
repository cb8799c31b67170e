// A loss per row, summed exactly: its mean, and how sure the mean is.

import type { MetricInterval } from "../facts/group.ts";
import type { Archive } from "../kernel/archive.ts";
import { ExactSum } from "./exact-sum.ts";
import { logInterval } from "./intervals.ts";
import type { Sign } from "./totals.ts";

export class LossSums {
  readonly #sum = new ExactSum();
  readonly #squares = new ExactSum();

  /** `loss` must be finite, and small enough for its square. */
  add(loss: number, sign: Sign): void {
    this.#sum.add(sign * loss);
    this.#squares.add(sign * loss * loss);
  }

  merge(other: LossSums, sign: Sign): void {
    this.#sum.merge(other.#sum, sign);
    this.#squares.merge(other.#squares, sign);
  }

  archive(io: Archive): void {
    this.#sum.archive(io);
    this.#squares.archive(io);
  }

  value(): number {
    return this.#sum.value();
  }

  mean(rows: number): number {
    return this.#sum.mean(rows);
  }

  /** Standard error of the mean, n - 1 below; null below two rows. */
  standardError(rows: number): number | null {
    if (rows < 2) return null;
    const mean = this.mean(rows);
    return Math.sqrt(Math.max(0, this.#squares.mean(rows) - mean * mean) / (rows - 1));
  }
}

/** Losses lean to the right, so the interval is built on the scale of the logarithm. */
export function lossInterval(sums: LossSums, rows: number): MetricInterval | null {
  return logInterval(sums.mean(rows), sums.standardError(rows), "normal_log");
}
