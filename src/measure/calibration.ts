// Calibration: do scores of 0.7 come true in 70 of 100 cases? Counts and exact sums in ten bins, mergeable and retractable.

import type { MetricInterval } from "../facts/group.ts";
import { type Archive, archiveFlag, archiveInto } from "../kernel/archive.ts";
import { ExactSum } from "./exact-sum.ts";
import { intervalOf } from "./intervals.ts";
import type { Sign } from "./totals.ts";
import { Z95 } from "./wilson.ts";

const BINS = 10;
const BOUNDS = Array.from({ length: BINS }, (_, i) => (i + 1) / BINS);

export interface CalibrationBin {
  /** The bin holds scores above the bound below it, up to and including `upper`; the first one holds 0 too. */
  readonly upper: number;
  readonly rows: number;
  /** null without rows. */
  readonly mean_score: number | null;
  readonly positive_share: number | null;
}

export interface Calibration {
  /** Expected calibration error: mean over the rows of |mean score - share of positives| of their bin. */
  readonly error: number;
  readonly bins: readonly CalibrationBin[];
  readonly interval: MetricInterval;
}

export class CalibrationBins {
  readonly #rows = new Int32Array(BINS);
  readonly #positives = new Int32Array(BINS);
  readonly #scores: (ExactSum | undefined)[] = [];

  add(score: number, actual: 0 | 1, sign: Sign): void {
    let bin = 0;
    while (bin < BINS - 1 && score > (BOUNDS[bin] ?? 1)) bin++;
    this.#rows[bin] = (this.#rows[bin] ?? 0) + sign;
    this.#positives[bin] = (this.#positives[bin] ?? 0) + sign * actual;
    this.#sumOf(bin).add(sign * score);
  }

  merge(other: CalibrationBins, sign: Sign): void {
    for (let bin = 0; bin < BINS; bin++) {
      this.#rows[bin] = (this.#rows[bin] ?? 0) + sign * (other.#rows[bin] ?? 0);
      this.#positives[bin] = (this.#positives[bin] ?? 0) + sign * (other.#positives[bin] ?? 0);
      const scores = other.#scores[bin];
      if (scores !== undefined) this.#sumOf(bin).merge(scores, sign);
    }
  }

  archive(io: Archive): void {
    archiveInto(io, this.#rows);
    archiveInto(io, this.#positives);
    for (let bin = 0; bin < BINS; bin++) {
      if (archiveFlag(io, this.#scores[bin] !== undefined)) this.#sumOf(bin).archive(io);
    }
  }

  /** Over `rows` rows, at least one. */
  evaluate(rows: number): Calibration {
    const bins: CalibrationBin[] = [];
    let [gaps, noise, squares, drift] = [0, 0, 0, 0];
    for (const [bin, upper] of BOUNDS.entries()) {
      const count = this.#rows[bin] ?? 0;
      if (count === 0) {
        bins.push({ upper, rows: 0, mean_score: null, positive_share: null });
        continue;
      }
      const share = (this.#positives[bin] ?? 0) / count;
      const score = this.#scores[bin]?.mean(count) ?? 0;
      bins.push({ upper, rows: count, mean_score: score, positive_share: share });
      const gap = score - share;
      // One pseudo-count on each side: a pure bin is not sure of its share either.
      const smooth = ((this.#positives[bin] ?? 0) + 1) / (count + 2);
      const variance = smooth * (1 - smooth);
      gaps += Math.abs((this.#scores[bin]?.value() ?? 0) - (this.#positives[bin] ?? 0));
      noise += Math.sqrt((2 / Math.PI) * count * variance);
      squares += count * (variance + gap * gap);
      drift += count * Math.abs(gap);
    }
    const error = gaps / rows;
    const deviation = Math.sqrt(Math.max(0, squares - (drift * drift) / rows)) / rows;
    // Chance alone makes gaps, so the error comes out too large, by `noise / rows` at most.
    const lower = Math.max(0, error - noise / rows - Z95 * deviation);
    return {
      error,
      bins,
      interval: intervalOf([lower, Math.min(1, error + Z95 * deviation)], "delta_noise_widened"),
    };
  }

  #sumOf(bin: number): ExactSum {
    const known = this.#scores[bin];
    if (known !== undefined) return known;
    const made = new ExactSum();
    this.#scores[bin] = made;
    return made;
  }
}
