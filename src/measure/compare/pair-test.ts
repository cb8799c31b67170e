// Two versions under comparison: sums over finished hours, the hour that is still open, and the strongest evidence so far.

import { type Archive, archiveInto } from "../../kernel/archive.ts";
import { ALPHA, anytimeP, halfWidth, logRatio, type Evidence } from "./boundary.ts";
import type { Loss } from "./losses.ts";
import { Moments } from "./moments.ts";
import { pairedEvidence, Strata } from "./strata.ts";
import { HOUR_MS, type Timeline } from "./timeline.ts";

export type Verdict = "better" | "worse" | "undecided";

/** One metric of one pair. Differences are candidate minus baseline. */
export interface ComparedMetric {
  readonly metric: string;
  /** null: nothing to compare yet, or the metric is undefined for a version. */
  readonly difference: number | null;
  /** 95 % bounds; null while there are too few rows. */
  readonly lower: number | null;
  readonly upper: number | null;
  /** "always-valid": holds however often one looks. "fixed-horizon": holds for one look at a time set beforehand; no verdict follows. */
  readonly interval: "always-valid" | "fixed-horizon";
  /** The smallest so far; null for descriptive metrics. */
  readonly p: number | null;
  readonly rows: { readonly baseline: number; readonly candidate: number };
  /** Differences request by request: both versions answered the same ones. */
  readonly paired: boolean;
  /** Of the candidate. */
  readonly verdict: Verdict;
}

/** What a test remembers of one loss. */
interface LossState {
  readonly strata: Strata;
  readonly pairs: Moments;
  /** The largest log ratio so far, and on which side; apart for the two ways of comparing. */
  readonly apart: Strongest;
  readonly paired: Strongest;
}

interface Strongest {
  ratio: number;
  /** Sign of the difference when it was reached. */
  sign: number;
}

export interface SavedLoss {
  readonly name: string;
  readonly strata: readonly number[];
  readonly pairs: readonly number[];
  /** [ratio, sign] apart, then paired. */
  readonly strongest: readonly number[];
}

/** The rows of both versions, and of requests that both answered. */
export interface Timelines {
  readonly baseline: Timeline;
  readonly candidate: Timeline;
  /** Costs are differences: candidate minus baseline times `pairedSign`. */
  readonly paired: Timeline | undefined;
  readonly pairedSign: 1 | -1;
}

export class PairTest {
  readonly #losses: readonly Loss[];
  readonly #states: readonly LossState[];
  /** Hours that start before this are in the sums. */
  foldedTo = Number.NEGATIVE_INFINITY;

  constructor(losses: readonly Loss[]) {
    this.#losses = losses;
    this.#states = losses.map(() => ({
      strata: new Strata(),
      pairs: new Moments(),
      apart: { ratio: 0, sign: 0 },
      paired: { ratio: 0, sign: 0 },
    }));
  }

  /** Takes in every hour that ends by the watermark, looking after each. */
  fold(timelines: Timelines, watermark: number): void {
    const until = Math.floor(watermark / HOUR_MS) * HOUR_MS;
    if (until <= this.foldedTo) return;
    for (const start of hoursOf(timelines, this.foldedTo)) {
      if (start >= until) break;
      for (const [i, state] of this.#states.entries()) {
        foldHour(state, timelines, { start, loss: i });
        this.#look(state, i, state);
      }
    }
    this.foldedTo = until;
  }

  /** The comparison with the open hour; remembers the strongest evidence. */
  look(timelines: Timelines): ComparedMetric[] {
    const starts = hoursOf(timelines, this.foldedTo);
    return this.#losses.map((loss, i) => {
      const state = this.#states[i];
      if (state === undefined) return emptyMetric(loss.name);
      const now = { strata: new Strata(), pairs: new Moments() };
      now.strata.copyFrom(state.strata);
      now.pairs.merge(state.pairs);
      for (const start of starts) foldHour(now, timelines, { start, loss: i });
      return this.#look(state, i, now);
    });
  }

  #look(state: LossState, at: number, now: Pick<LossState, "strata" | "pairs">): ComparedMetric {
    const loss = this.#losses[at];
    if (loss === undefined) return emptyMetric("");
    const { strata, pairs } = now;
    const apart = strata.evidence(loss.kind);
    const together = pairedEvidence(pairs, loss.kind);
    remember(state.apart, apart);
    remember(state.paired, together);
    // Requests in common decide when they are at least half of what the smaller arm has.
    const paired = pairs.n > 0 && 2 * pairs.n >= Math.min(strata.baseline, strata.candidate);
    const rows = paired
      ? { baseline: pairs.n, candidate: pairs.n }
      : { baseline: strata.baseline, candidate: strata.candidate };
    const difference = paired ? pairs.mean : strata.difference();
    return metricOf(loss.name, {
      difference,
      rows,
      paired,
      evidence: paired ? together : apart,
      strongest: paired ? state.paired : state.apart,
    });
  }

  save(): SavedLoss[] {
    return this.#states.map(({ strata, pairs, apart, paired }, i) => ({
      name: this.#losses[i]?.name ?? "",
      strata: strata.save(),
      pairs: [pairs.n, pairs.mean, pairs.m2],
      strongest: [apart.ratio, apart.sign, paired.ratio, paired.sign],
    }));
  }

  archive(io: Archive): void {
    this.foldedTo = io.number(this.foldedTo);
    for (const { strata, pairs, apart, paired } of this.#states) {
      const sums = Float64Array.from(strata.save());
      archiveInto(io, sums);
      strata.load([...sums]);
      pairs.archive(io);
      for (const strongest of [apart, paired]) {
        strongest.ratio = io.number(strongest.ratio);
        strongest.sign = io.number(strongest.sign);
      }
    }
  }

  /** Goes on from what was saved; false (and nothing changed) when it was of other losses. */
  load(saved: readonly SavedLoss[], foldedTo: number): boolean {
    if (saved.length !== this.#losses.length) return false;
    if (saved.some(({ name }, i) => name !== this.#losses[i]?.name)) return false;
    for (const [i, { strata, pairs, strongest }] of saved.entries()) {
      const state = this.#states[i];
      if (state === undefined) continue;
      state.strata.load(strata);
      [state.pairs.n = 0, state.pairs.mean = 0, state.pairs.m2 = 0] = pairs;
      [state.apart.ratio = 0, state.apart.sign = 0, state.paired.ratio = 0, state.paired.sign = 0] =
        strongest;
    }
    this.foldedTo = foldedTo;
    return true;
  }
}

/** Hours from `from` on in which the candidate ran, or both answered: others say nothing. */
function hoursOf({ candidate, paired }: Timelines, from: number): number[] {
  const starts = new Set([...candidate.hoursFrom(from), ...(paired?.hoursFrom(from) ?? [])]);
  return [...starts].sort((a, b) => a - b);
}

function foldHour(
  into: Pick<LossState, "strata" | "pairs">,
  { baseline, candidate, paired, pairedSign }: Timelines,
  at: { readonly start: number; readonly loss: number },
): void {
  const ours = baseline.hour(at.start)?.[at.loss];
  const theirs = candidate.hour(at.start)?.[at.loss];
  if (ours !== undefined && theirs !== undefined) into.strata.fold(ours, theirs);
  const common = paired?.hour(at.start)?.[at.loss];
  if (common !== undefined) into.pairs.merge(common, pairedSign);
}

function remember(strongest: Strongest, evidence: Evidence | null): void {
  if (evidence === null) return;
  const ratio = logRatio(evidence);
  if (!(ratio > strongest.ratio)) return;
  strongest.ratio = ratio;
  strongest.sign = Math.sign(evidence.difference);
}

function metricOf(
  metric: string,
  found: {
    readonly difference: number | null;
    readonly rows: ComparedMetric["rows"];
    readonly paired: boolean;
    readonly evidence: Evidence | null;
    readonly strongest: Strongest;
  },
): ComparedMetric {
  const { difference, evidence, strongest, rows, paired } = found;
  const half = evidence === null ? null : halfWidth(evidence);
  const bounded = difference !== null && half !== null && Number.isFinite(half);
  const p = anytimeP(strongest.ratio);
  return {
    metric,
    difference: difference !== null && Number.isFinite(difference) ? difference : null,
    lower: bounded ? difference - half : null,
    upper: bounded ? difference + half : null,
    interval: "always-valid",
    p,
    rows,
    paired,
    // Every loss is better when it is lower.
    verdict: p > ALPHA ? "undecided" : strongest.sign < 0 ? "better" : "worse",
  };
}

export function emptyMetric(metric: string): ComparedMetric {
  return metricOf(metric, {
    difference: null,
    rows: { baseline: 0, candidate: 0 },
    paired: false,
    evidence: null,
    strongest: { ratio: 0, sign: 0 },
  });
}

const negated = (value: number | null): number | null => (value === null ? null : -value);
const OPPOSITE: Readonly<Record<Verdict, Verdict>> = {
  better: "worse",
  worse: "better",
  undecided: "undecided",
};

/** The same metric with baseline and candidate exchanged. */
export function exchanged(metric: ComparedMetric): ComparedMetric {
  return {
    ...metric,
    difference: negated(metric.difference),
    lower: negated(metric.upper),
    upper: negated(metric.lower),
    rows: { baseline: metric.rows.candidate, candidate: metric.rows.baseline },
    verdict: OPPOSITE[metric.verdict],
  };
}
