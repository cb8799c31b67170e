// How long labels take, by what they say and by the score of the row: learnt from rows old enough to have all of theirs.

import { type Archive, archiveFlag, archiveInto } from "../../kernel/archive.ts";
import { Panes } from "./panes.ts";
import type { BucketPurse } from "./sketch.ts";
import { HOUR_MS, type Span } from "./track.ts";

const FIRST_MS = 1000;
const PER_OCTAVE = 2;
/** Upper bounds 1 s, 1.4 s, 2 s ... 90 d; one more bucket takes what is above. */
const BOUNDS: readonly number[] = Array.from(
  { length: Math.ceil(PER_OCTAVE * Math.log2((90 * 24 * HOUR_MS) / FIRST_MS)) + 1 },
  (_, i) => FIRST_MS * 2 ** (i / PER_OCTAVE),
);
const SIZE = BOUNDS.length + 1;
/** Scores are told apart by their binary exponent, and probabilities above one half by that of what is missing to 1. */
const EXPONENT_MAX = 12;
const BANDS = 6;
/** Weight of what all bands say, in labels, where a band has few of its own. */
const SHRINK = 20;
/** Panes at most; a longer span of kept time makes them longer. */
const PANES_MAX = 64;
/** Ages within a pane are averaged over as many points. */
const POINTS = [0.125, 0.375, 0.625, 0.875];

export interface DelayedLabel {
  readonly score: number;
  readonly positive: boolean;
  readonly delayMs: number;
}

/** Labelled rows per delay bucket: first those of negatives, then of positives. */
type Delays = Int32Array;

const negativesOf = (delays: Delays): Int32Array => delays.subarray(0, SIZE);
const positivesOf = (delays: Delays): Int32Array => delays.subarray(SIZE);

function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(Math.ceil(PER_OCTAVE * Math.log2(ms / FIRST_MS) - 1e-9), BOUNDS.length);
}

/** A coarse place of a score, from -13 to 13; ascending with it. */
function placeOf(score: number, probability: boolean): number {
  if (!probability) {
    const exponent = Math.max(-6, Math.min(6, Math.floor(Math.log2(Math.abs(score)))));
    return (exponent + 7) * (score < 0 ? -1 : 1);
  }
  const small = score < 0.5 ? score : 1 - score;
  const exponent = Math.min(EXPONENT_MAX, Math.floor(-Math.log2(small)));
  return score < 0.5 ? -exponent : exponent;
}

/** P(delay <= age) of one label in one band, and how sure that is. */
interface Curve {
  readonly shares: Float64Array;
  readonly labels: number;
}

/** What is known of the delays in each band, ascending by score. */
export class LearntDelays {
  readonly #probability: boolean;
  /** Largest place of each band. */
  readonly #uppers: readonly number[];
  readonly #curves: readonly { readonly negative: Curve; readonly positive: Curve }[];

  constructor(
    probability: boolean,
    uppers: readonly number[],
    curves: readonly { readonly negative: Curve; readonly positive: Curve }[],
  ) {
    this.#probability = probability;
    this.#uppers = uppers;
    this.#curves = curves;
  }

  get bands(): number {
    return this.#curves.length;
  }

  bandOf(score: number): number {
    const place = placeOf(score, this.#probability);
    const found = this.#uppers.findIndex((upper) => place <= upper);
    return found === -1 ? this.#uppers.length - 1 : found;
  }

  /** Share of the band's labels that have come by an age, averaged over rows between `youngest` and `oldest` (ms). */
  arrived(
    band: number,
    positive: boolean,
    ages: { readonly youngest: number; readonly oldest: number },
  ): number {
    const curve = this.#curves[band]?.[positive ? "positive" : "negative"];
    if (curve === undefined) return 0;
    const { youngest, oldest } = ages;
    let sum = 0;
    for (const point of POINTS) sum += shareAt(curve.shares, youngest + point * (oldest - youngest));
    return sum / POINTS.length;
  }

  /** Standard error of such a share, never 0: a share of 1 among n labels is not certain. */
  errorOf(band: number, positive: boolean, share: number): number {
    const labels = this.#curves[band]?.[positive ? "positive" : "negative"].labels ?? 0;
    const smoothed = (share * labels + 0.5) / (labels + 1);
    return Math.sqrt((smoothed * (1 - smoothed)) / Math.max(1, labels));
  }
}

/** Straight within a bucket. */
function shareAt(shares: Float64Array, age: number): number {
  if (age <= 0) return 0;
  const bucket = bucketOf(age);
  if (bucket >= BOUNDS.length) return shares[BOUNDS.length - 1] ?? 0;
  const before = bucket === 0 ? 0 : (shares[bucket - 1] ?? 0);
  const lower = bucket === 0 ? 0 : (BOUNDS[bucket - 1] ?? 0);
  const within = (age - lower) / ((BOUNDS[bucket] ?? age) - lower);
  return before + ((shares[bucket] ?? 0) - before) * Math.min(1, within);
}

const countOf = (counts: Int32Array): number => counts.reduce((sum, count) => sum + count, 0);

function sharesOf(counts: Int32Array): Float64Array {
  const total = Math.max(1, countOf(counts));
  let sum = 0;
  return Float64Array.from(counts, (count) => {
    sum += count;
    return sum / total;
  });
}

/** The band's own curve, leaning on that of all bands where it has few labels. */
function curveOf(own: Int32Array, all: Int32Array): Curve {
  const labels = countOf(own);
  const everywhere = sharesOf(all);
  const here = sharesOf(own);
  const shares = everywhere.map((share, i) => (labels * (here[i] ?? 0) + SHRINK * share) / (labels + SHRINK));
  return { shares, labels: Math.min(labels + SHRINK, Math.max(labels, countOf(all))) };
}

const emptyDelays = (): Delays => new Int32Array(2 * SIZE);

function addTo(into: Delays, from: Delays): void {
  for (let i = 0; i < 2 * SIZE; i++) into[i] = (into[i] ?? 0) + (from[i] ?? 0);
}

/** Places side by side, up to six bands of about as many labels each. */
function bandsOf(places: readonly Delays[]): { upper: number; delays: Delays }[] {
  // Places whose labels were all taken back are as if they had never been.
  const ordered = places
    .map((delays, at) => [at - PLACE_MAX, delays] as const)
    .filter(([, delays]) => countOf(delays) > 0);
  const total = ordered.reduce((sum, [, delays]) => sum + countOf(delays), 0);
  const bands: { upper: number; delays: Delays }[] = [];
  let passed = 0;
  let open: { upper: number; delays: Delays } | null = null;
  for (const [place, delays] of ordered) {
    open ??= { upper: place, delays: emptyDelays() };
    open.upper = place;
    addTo(open.delays, delays);
    passed += countOf(delays);
    if (passed < ((bands.length + 1) * total) / BANDS && passed < total) continue;
    bands.push(open);
    open = null;
  }
  return bands;
}

/** Places of scores from -13 to 13. */
const PLACE_MAX = 13;
const PLACES = 2 * PLACE_MAX + 1;
/** Buckets of the purse, at 32 bytes, that a pane costs whose scores are told apart. */
const PANE_BUCKETS = Math.ceil((PLACES * 2 * SIZE * 4) / 32);

interface DelayPane {
  /** Whether scores are told apart: settled when the pane is begun, so that what was counted can be taken back. */
  apart: boolean;
  /** The counts of each place, one behind the other; of all together unless they are told apart. */
  counts: Int32Array;
}

const countsOf = (apart: boolean): Int32Array => new Int32Array((apart ? PLACES : 1) * 2 * SIZE);

/** At most 64 panes of 10 KB: 0.7 MB. Panes that the purse cannot pay for do not tell scores apart: 0.4 KB. */
export class DelayPanes {
  readonly #probability: boolean;
  readonly #stepMs: number;
  readonly #purse: BucketPurse;
  readonly #panes: Panes<DelayPane>;

  constructor(shape: {
    readonly probability: boolean;
    readonly keepMs: number;
    readonly purse: BucketPurse;
  }) {
    const { probability, keepMs, purse } = shape;
    this.#probability = probability;
    this.#purse = purse;
    this.#stepMs = Math.ceil(keepMs / (PANES_MAX - 1) / HOUR_MS) * HOUR_MS;
    this.#panes = new Panes<DelayPane>({
      stepMs: this.#stepMs,
      keepMs,
      create: () => {
        const apart = purse.left >= PANE_BUCKETS;
        if (apart) purse.left -= PANE_BUCKETS;
        return { apart, counts: countsOf(apart) };
      },
      drop: ({ apart }) => {
        if (apart) purse.left += PANE_BUCKETS;
      },
    });
  }

  count(ts: number, { score, positive, delayMs }: DelayedLabel, sign: 1 | -1): void {
    const pane = this.#panes.at(ts);
    if (pane === null) return;
    const place = pane.apart ? placeOf(score, this.#probability) + PLACE_MAX : 0;
    const cell = place * 2 * SIZE + (positive ? SIZE : 0) + bucketOf(delayMs);
    pane.counts[cell] = (pane.counts[cell] ?? 0) + sign;
  }

  advance(now: number): void {
    this.#panes.advance(now);
  }

  clear(): void {
    this.#panes.clear();
  }

  archive(io: Archive): void {
    this.#panes.archive(io, (pane) => {
      const apart = archiveFlag(io, pane.apart);
      if (apart !== pane.apart) this.#tellApart(pane, apart);
      archiveInto(io, pane.counts);
    });
  }

  /** As it was when the pane was begun, whatever the purse says now. */
  #tellApart(pane: DelayPane, apart: boolean): void {
    this.#purse.left += apart ? -PANE_BUCKETS : PANE_BUCKETS;
    pane.apart = apart;
    pane.counts = countsOf(apart);
  }

  /** From whole panes within the span. null: they hold no label. */
  learn(span: Span): LearntDelays | null {
    const places = Array.from({ length: PLACES }, emptyDelays);
    const all = emptyDelays();
    // A pane that goes on after the span has rows whose labels are not in: only the quick ones would be learnt from.
    const until = Math.floor(span.to / this.#stepMs) * this.#stepMs;
    for (const { apart, counts } of this.#panes.between(span.from, until)) {
      for (let place = 0; place * 2 * SIZE < counts.length; place++) {
        const delays = counts.subarray(place * 2 * SIZE, (place + 1) * 2 * SIZE);
        addTo(all, delays);
        const into = places[place];
        if (apart && into !== undefined) addTo(into, delays);
      }
    }
    if (countOf(all) === 0) return null;
    const found = bandsOf(places);
    const bands = found.length > 0 ? found : [{ upper: Number.POSITIVE_INFINITY, delays: all }];
    return new LearntDelays(
      this.#probability,
      bands.map(({ upper }) => upper),
      bands.map(({ delays }) => ({
        negative: curveOf(negativesOf(delays), negativesOf(all)),
        positive: curveOf(positivesOf(delays), positivesOf(all)),
      })),
    );
  }
}
