// How long labels take, and how many will come at all: what is told from labelled rows alone is too short and too few,
// because the slow ones are still missing. Kaplan-Meier counts the rows that still wait.

import { type Archive, archiveInto, archiveNullable, Kept } from "../kernel/archive.ts";
import { FINE_TIERS, TieredBins } from "./tiered-bins.ts";

const FIRST_MS = 1000;
const PER_OCTAVE = 8;
/** Bounds 1 s, 1.09 s, ... 90 d. */
const BOUNDS: readonly number[] = Array.from(
  { length: Math.ceil(PER_OCTAVE * Math.log2((90 * 86_400_000) / FIRST_MS)) + 1 },
  (_, i) => FIRST_MS * 2 ** (i / PER_OCTAVE),
);
/** Below it nothing is said about delays. */
const LABELS_MIN = 20;
/** The curve ends where fewer rows are old enough to show it. */
const FOLLOWED_MIN = 10;
/** A window counts as matured when this share of its final labels is expected in. */
const MATURED_SHARE = 0.95;
/** Lags are rounded up to every second bound, so that windows do not follow every label. */
const LAG_STEP = 2;
const PERCENTILES = [50, 90, 95, 99] as const;

/** Why nothing can be said: fewer than 20 labels; or rows are too young to tell whether more labels are to come. */
export type DelayGap = "too_few_labels" | "too_early";

/** Label delays of one version. Delays run from a prediction's `ts` to the arrival of its first label. */
export interface DelayFigures {
  /** Rows with a label that holds, and rows without. */
  readonly labels: number;
  readonly open: number;
  /** null: the figures below are known. */
  readonly gap: DelayGap | null;
  /** Percentile (50, 90, 95, 99) -> delay in ms, of the labels that come at all. Empty while unknown. */
  readonly percentiles: ReadonlyMap<number, number>;
  /** Share of the predictions that have a label at the label horizon. */
  readonly expectedCoverage: number | null;
  /** Age in ms at which 95 % of the labels that come at all have come. */
  readonly lagMs: number | null;
}

/** Index of the first bound that is not below `ms`; `BOUNDS.length` above all. */
export function delayBucket(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  const at = Math.ceil(PER_OCTAVE * Math.log2(ms / FIRST_MS) - 1e-9);
  return Math.min(at, BOUNDS.length);
}

const upperOf = (bucket: number): number => BOUNDS[bucket] ?? Number.POSITIVE_INFINITY;
const lowerOf = (bucket: number): number => (bucket === 0 ? 0 : upperOf(bucket - 1));

interface AgeBin {
  rows: number;
  open: number;
}

function comes(bin: AgeBin, rows: number): void {
  bin.rows += rows;
  bin.open += rows;
}

function isLabelled(bin: AgeBin, rows: number): void {
  bin.open -= rows;
}

/** Share of rows labelled by each bound, as far as it can be seen. */
interface Curve {
  readonly labelled: readonly number[];
  /** Enough rows are as old as this (ms). */
  readonly followedMs: number;
}

export class DelayBook {
  readonly #horizonMs: number;
  /** Labelled rows per delay bucket; those labelled after the horizon are in the last one, which no curve reaches. */
  readonly #delays = new Float64Array(BOUNDS.length + 1);
  readonly #ages = new TieredBins<AgeBin>(
    {
      create: () => ({ rows: 0, open: 0 }),
      merge: (into, from) => {
        into.rows += from.rows;
        into.open += from.open;
      },
      isEmpty: ({ rows }) => rows === 0,
    },
    FINE_TIERS,
  );
  #labels = 0;
  #open = 0;
  #lagBound: number | null = null;
  readonly #kept = new Kept();

  /** After `horizonMs` no more labels are expected. */
  constructor(horizonMs: number) {
    this.#horizonMs = horizonMs;
  }

  /** Bins of rows by time: bounded whatever comes. */
  get bins(): number {
    return this.#ages.size;
  }

  /** A row comes (1) or is forgotten (-1), without a label. */
  predicted(ts: number, sign: 1 | -1): void {
    this.#kept.changing();
    this.#open += sign;
    this.#ages.change(ts, comes, sign);
  }

  /** Whether a row's first label came after the horizon. */
  isLate(ts: number, firstReceivedAt: number): boolean {
    return firstReceivedAt - ts > this.#horizonMs;
  }

  /** A row gets its label (1) or is open again (-1). Times in Unix ms. */
  labelled(ts: number, firstReceivedAt: number, sign: 1 | -1): void {
    this.#kept.changing();
    const bucket = this.isLate(ts, firstReceivedAt) ? BOUNDS.length : delayBucket(firstReceivedAt - ts);
    this.#delays[bucket] = (this.#delays[bucket] ?? 0) + sign;
    this.#labels += sign;
    this.#open -= sign;
    this.#ages.change(ts, isLabelled, sign);
  }

  archive(io: Archive): void {
    io.part(this.#kept, (part) => this.#archive(part));
  }

  #archive(io: Archive): void {
    archiveInto(io, this.#delays);
    this.#ages.archive(io, (bin) => {
      bin.rows = io.number(bin.rows);
      bin.open = io.number(bin.open);
    });
    this.#labels = io.number(this.#labels);
    this.#open = io.number(this.#open);
    this.#lagBound = archiveNullable(io, this.#lagBound);
  }

  /** As of `at` (Unix ms). */
  figures(at: number): DelayFigures {
    // Bins of what has become older are merged.
    this.#kept.changing();
    const labels = this.#labels;
    const counts = { labels, open: this.#open };
    const unknown = { percentiles: new Map<number, number>(), expectedCoverage: null, lagMs: null };
    if (labels < LABELS_MIN) {
      this.#lagBound = null;
      return { ...counts, gap: "too_few_labels", ...unknown };
    }
    const { labelled, followedMs } = this.#curve(at);
    const final = labelled.at(-1) ?? 0;
    const bound = this.#lag(labelled, final);
    // What was followed for twice as long as nearly all of it took can be believed to have ended.
    if (final === 0 || (followedMs < this.#horizonMs && followedMs < 2 * upperOf(bound))) {
      this.#lagBound = null;
      return { ...counts, gap: "too_early", ...unknown };
    }
    this.#lagBound = bound;
    const percentiles = new Map(
      PERCENTILES.map((percentile) => [percentile, timeOf(labelled, (final * percentile) / 100)]),
    );
    return { ...counts, gap: null, percentiles, expectedCoverage: final, lagMs: Math.ceil(upperOf(bound)) };
  }

  /** The bound by which enough labels are in. It falls only by two steps or more: a shift back costs reading rows. */
  #lag(labelled: readonly number[], final: number): number {
    const enough = labelled.findIndex((share) => share >= MATURED_SHARE * final);
    const bound = Math.min(Math.ceil(Math.max(0, enough) / LAG_STEP) * LAG_STEP, BOUNDS.length - 1);
    const before = this.#lagBound;
    return before !== null && bound < before && bound > before - 2 * LAG_STEP ? before : bound;
  }

  /** The life-table form of Kaplan-Meier (Cutler and Ederer 1958): a row that still waits counts half in the bucket of its age. */
  #curve(at: number): Curve {
    const horizonMs = this.#horizonMs;
    const waiting = new Float64Array(BOUNDS.length + 1);
    const old = new Float64Array(BOUNDS.length + 1);
    this.#ages.advance(at);
    this.#ages.each(({ rows, open }, fromTs, toTs) => {
      const bucket = delayBucket(at - (fromTs + toTs) / 2);
      waiting[bucket] = (waiting[bucket] ?? 0) + open;
      old[bucket] = (old[bucket] ?? 0) + rows;
    });
    let atRisk = this.#labels + this.#open;
    let followed = atRisk;
    let missing = 1;
    const labelled: number[] = [];
    for (let bucket = 0; bucket < BOUNDS.length && lowerOf(bucket) < horizonMs; bucket++) {
      if (followed < FOLLOWED_MIN) break;
      const events = this.#delays[bucket] ?? 0;
      const left = waiting[bucket] ?? 0;
      const exposed = atRisk - left / 2;
      if (exposed > 0) missing *= 1 - Math.min(1, events / exposed);
      labelled.push(1 - missing);
      atRisk -= events + left;
      followed -= old[bucket] ?? 0;
    }
    return { labelled, followedMs: Math.min(horizonMs, lowerOf(labelled.length)) };
  }
}

/** When the curve reaches `share`, straight within a bucket. */
function timeOf(labelled: readonly number[], share: number): number {
  const bucket = Math.max(
    0,
    labelled.findIndex((each) => each >= share),
  );
  const before = bucket === 0 ? 0 : (labelled[bucket - 1] ?? 0);
  const within = (labelled[bucket] ?? 0) - before;
  const lower = lowerOf(bucket);
  return lower + (within > 0 ? (share - before) / within : 1) * (upperOf(bucket) - lower);
}
