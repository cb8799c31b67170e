// How long labels take, by what they say and by the score of the row: learnt from rows old enough to have all of theirs.

import { type Archive, archiveInto, archiveMap, numberKey } from "../../kernel/archive.ts";
import { Panes } from "./panes.ts";
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
/** Above this span of kept time, panes are longer. */
const LONG_KEEP_MS = 10 * 24 * HOUR_MS;
/** Ages within a pane are averaged over as many points. */
const POINTS = [0.125, 0.375, 0.625, 0.875];

export interface DelayedLabel {
  readonly score: number;
  readonly positive: boolean;
  readonly delayMs: number;
}

/** Labelled rows per delay bucket: negatives, positives. */
interface Delays {
  readonly negative: Int32Array;
  readonly positive: Int32Array;
}

function bucketOf(ms: number): number {
  if (!(ms > FIRST_MS)) return 0;
  return Math.min(Math.ceil(PER_OCTAVE * Math.log2(ms / FIRST_MS) - 1e-9), BOUNDS.length);
}

/** A coarse place of a score; ascending with it. */
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

const emptyDelays = (): Delays => ({ negative: new Int32Array(SIZE), positive: new Int32Array(SIZE) });

function addTo(into: Delays, from: Delays): void {
  for (let i = 0; i < SIZE; i++) {
    into.negative[i] = (into.negative[i] ?? 0) + (from.negative[i] ?? 0);
    into.positive[i] = (into.positive[i] ?? 0) + (from.positive[i] ?? 0);
  }
}

/** Places side by side, up to six bands of about as many labels each. */
function bandsOf(places: ReadonlyMap<number, Delays>): { upper: number; delays: Delays }[] {
  const ordered = [...places].toSorted(([a], [b]) => a - b);
  const labelsOf = ({ negative, positive }: Delays): number => countOf(negative) + countOf(positive);
  const total = ordered.reduce((sum, [, delays]) => sum + labelsOf(delays), 0);
  const bands: { upper: number; delays: Delays }[] = [];
  let passed = 0;
  let open: { upper: number; delays: Delays } | null = null;
  for (const [place, delays] of ordered) {
    open ??= { upper: place, delays: emptyDelays() };
    open.upper = place;
    addTo(open.delays, delays);
    passed += labelsOf(delays);
    if (passed < ((bands.length + 1) * total) / BANDS && passed < total) continue;
    bands.push(open);
    open = null;
  }
  return bands;
}

/** Panes of at most 25 places with two counts per delay bucket: 400 bytes a place. */
export class DelayPanes {
  readonly #probability: boolean;
  readonly #panes: Panes<Map<number, Delays>>;

  constructor(shape: { readonly probability: boolean; readonly keepMs: number }) {
    this.#probability = shape.probability;
    this.#panes = new Panes({
      stepMs: shape.keepMs > LONG_KEEP_MS ? 4 * HOUR_MS : HOUR_MS,
      keepMs: shape.keepMs,
      create: () => new Map<number, Delays>(),
      drop: () => undefined,
    });
  }

  count(ts: number, { score, positive, delayMs }: DelayedLabel, sign: 1 | -1): void {
    const pane = this.#panes.at(ts);
    if (pane === null) return;
    const place = placeOf(score, this.#probability);
    const delays = pane.get(place) ?? emptyDelays();
    pane.set(place, delays);
    const counts = positive ? delays.positive : delays.negative;
    const bucket = bucketOf(delayMs);
    counts[bucket] = (counts[bucket] ?? 0) + sign;
  }

  advance(now: number): void {
    this.#panes.advance(now);
  }

  clear(): void {
    this.#panes.clear();
  }

  archive(io: Archive): void {
    const delaysOf = (known: Delays | undefined): Delays => {
      const delays = known ?? emptyDelays();
      archiveInto(io, delays.negative);
      archiveInto(io, delays.positive);
      return delays;
    };
    this.#panes.archive(io, (pane) => archiveMap(io, pane, { key: numberKey(io), value: delaysOf }));
  }

  /** null: no label in the span. */
  learn(span: Span): LearntDelays | null {
    const places = new Map<number, Delays>();
    for (const pane of this.#panes.between(span.from, span.to)) {
      for (const [place, delays] of pane) {
        const into = places.get(place) ?? emptyDelays();
        places.set(place, into);
        addTo(into, delays);
      }
    }
    const bands = bandsOf(places);
    if (bands.length === 0) return null;
    const all = emptyDelays();
    for (const { delays } of bands) addTo(all, delays);
    return new LearntDelays(
      this.#probability,
      bands.map(({ upper }) => upper),
      bands.map(({ delays }) => ({
        negative: curveOf(delays.negative, all.negative),
        positive: curveOf(delays.positive, all.positive),
      })),
    );
  }
}
