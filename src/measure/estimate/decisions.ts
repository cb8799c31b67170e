// One class against the rest, in panes: scores of every prediction by what was decided and what turned out, over time.

import type { ModelSpec } from "../../facts/model.ts";
import type { Prediction } from "../../facts/prediction.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import type { Archive } from "../../kernel/archive.ts";
import { areaUnderRoc } from "../auc.ts";
import { calibrate, type Calibration, LABELS_MIN, type LabelledScores } from "./calibration.ts";
import { CLASSIFIER_METRICS, type ClassifierMetric, type ScoredPredictions } from "./cbpe.ts";
import { DelayPanes, type LearntDelays } from "./delay-curves.ts";
import { floatKey } from "./float-key.ts";
import { type LabelledRows, type NowcastBasis, nowcastClassifier, type WaitingRows } from "./nowcast.ts";
import { Panes } from "./panes.ts";
import { type BucketPurse, Sketch, type SketchShape } from "./sketch.ts";
import { FINE, HOUR_MS, type Span, type TimedWindow } from "./track.ts";

/** Buckets of a pane; 32 bytes each. A merged window may have more. */
const FINE_BUCKETS = 256;
const COARSE_BUCKETS = 512;
const MERGED_BUCKETS = 8192;
const SIDES = 6;

/** Which way a binary classifier decided: by its class if it gave one, else by score >= threshold. */
export function decidesPositive(spec: ModelSpec, { value, score }: Prediction): boolean {
  return value === null ? (score ?? 0) >= spec.threshold : canonicalClass(value) === spec.positive;
}

/** What is known of a row: its truth (null: no label holds), and whether the class was decided for. */
export interface Decision {
  readonly score: number;
  readonly decided: boolean;
  readonly actual: boolean | null;
  /** How long its first label took; null: no label holds. */
  readonly delayMs: number | null;
}

function sideOf({ decided, actual }: Decision): number {
  const truth = actual === null ? 0 : actual ? 4 : 2;
  return truth + (decided ? 1 : 0);
}

export interface DecisionShape {
  readonly probability: boolean;
  readonly keepMs: number;
  readonly purse: BucketPurse;
}

type Realised = Readonly<Record<ClassifierMetric, number | null>>;

export class Decisions {
  readonly #shape: DecisionShape;
  readonly #fine: Panes<Sketch>;
  readonly #coarse: Panes<Sketch>;
  readonly #delays: DelayPanes;

  constructor(shape: DecisionShape) {
    this.#shape = shape;
    const drop = (sketch: Sketch): void => sketch.release();
    this.#fine = new Panes({ ...FINE, create: () => this.#create(FINE_BUCKETS), drop });
    this.#coarse = new Panes({
      stepMs: HOUR_MS,
      keepMs: shape.keepMs,
      create: () => this.#create(COARSE_BUCKETS),
      drop,
    });
    this.#delays = new DelayPanes(shape);
  }

  count(ts: number, decision: Decision, sign: 1 | -1): void {
    const side = sideOf(decision);
    const { score, actual, delayMs } = decision;
    if (actual !== null && delayMs !== null)
      this.#delays.count(ts, { score, positive: actual, delayMs }, sign);
    this.#fine.at(ts)?.add(decision.score, side, sign);
    this.#coarse.at(ts)?.add(decision.score, side, sign);
  }

  advance(now: number): void {
    this.#fine.advance(now);
    this.#coarse.advance(now);
    this.#delays.advance(now);
  }

  release(): void {
    this.#fine.clear();
    this.#coarse.clear();
    this.#delays.clear();
  }

  archive(io: Archive): void {
    this.#fine.archive(io, (sketch) => sketch.archive(io));
    this.#coarse.archive(io, (sketch) => sketch.archive(io));
    this.#delays.archive(io);
  }

  /** All rows of the span, to the edges of panes. */
  rows(span: Span, tier: TimedWindow["tier"]): Sketch {
    const merged = this.#create(MERGED_BUCKETS, { left: MERGED_BUCKETS });
    const panes = tier === "fine" ? this.#fine : this.#coarse;
    merged.mergeAll(panes.between(span.from, span.to));
    return merged;
  }

  /** The map learnt from `rows`; null when they are too few. */
  calibration(rows: Sketch): { readonly map: Calibration | null; readonly labels: number } {
    const labelled = labelledOf(rows);
    const labels = [2, 3, 4, 5].reduce((sum, side) => sum + rows.total(side), 0);
    if (labels < LABELS_MIN) return { map: null, labels };
    return { map: calibrate(labelled, this.#shape), labels };
  }

  /** What nowcasts rest on, learnt from rows of `span`, all of them complete; null when their labels are too few. */
  nowcastBasis(span: Span, rows: Sketch): NowcastBasis | null {
    const { map } = this.calibration(rows);
    const delays = this.#delays.learn(span);
    return map === null || delays === null
      ? null
      : { calibration: map, delays, coverage: coverageOf(rows, delays) };
  }

  /** `rows`: those of the span, merged. */
  nowcast(
    window: { readonly span: Span; readonly tier: TimedWindow["tier"] },
    rows: Sketch,
    basis: NowcastBasis,
  ) {
    const labelled: LabelledRows = {
      scores: scoresOf(rows),
      positives: [columnOf(rows, [4]), columnOf(rows, [5])],
      negatives: [columnOf(rows, [2]), columnOf(rows, [3])],
    };
    return nowcastClassifier(labelled, this.#waiting(window, rows), basis);
  }

  *#waiting(
    { span, tier }: { readonly span: Span; readonly tier: TimedWindow["tier"] },
    rows: Sketch,
  ): Generator<WaitingRows> {
    const panes = tier === "fine" ? this.#fine : this.#coarse;
    for (const { pane, fromTs, toTs } of panes.timed(span.from, span.to)) {
      const youngest = Math.max(0, span.to - toTs);
      const oldest = Math.max(0, span.to - fromTs);
      yield { youngest, oldest, buckets: unlabelled(pane, rows, this.#shape.probability) };
    }
  }

  #create(buckets: number, purse: BucketPurse = this.#shape.purse): Sketch {
    const shape: SketchShape = { sides: SIDES, mirrored: this.#shape.probability, buckets, purse };
    return new Sketch(shape);
  }
}

/** Rows of a pane without a label, under the keys of `rows`, which is as coarse as the pane or coarser. */
function* unlabelled(
  pane: Sketch,
  rows: Sketch,
  mirrored: boolean,
): Generator<{ readonly at: number; readonly decided: readonly [number, number] }> {
  let at = 0;
  for (let i = 0; i < pane.size; i++) {
    const decided = [pane.count(i, 0), pane.count(i, 1)] as const;
    if (decided[0] + decided[1] === 0) continue;
    const key = floatKey(pane.key(i), rows.bits, mirrored);
    while (at < rows.size - 1 && rows.key(at) < key) at++;
    yield { at, decided };
  }
}

/** Rows in a band that are labelled count this much more towards what all bands say. */
const COVERAGE_SHRINK = 20;

/** Share of rows with a label in each band, leaning on that of all rows where a band has few. */
function coverageOf(rows: Sketch, delays: LearntDelays): number[] {
  const counts = Array.from({ length: delays.bands }, () => ({ labelled: 0, rows: 0 }));
  let [labelled, all] = [0, 0];
  for (let at = 0; at < rows.size; at++) {
    const of = counts[delays.bandOf(rows.key(at))];
    const open = rows.count(at, 0) + rows.count(at, 1);
    const known = [2, 3, 4, 5].reduce((sum, side) => sum + rows.count(at, side), 0);
    labelled += known;
    all += known + open;
    if (of === undefined) continue;
    of.labelled += known;
    of.rows += known + open;
  }
  const overall = all === 0 ? 1 : labelled / all;
  return counts.map((of) => (of.labelled + COVERAGE_SHRINK * overall) / (of.rows + COVERAGE_SHRINK));
}

/** Brings sketches under the same keys, so that what one says of a score holds for the other. */
export function alignKeys(sketches: readonly Sketch[]): void {
  const bits = Math.min(...sketches.filter(({ size }) => size > 0).map((sketch) => sketch.bits));
  if (Number.isFinite(bits)) for (const sketch of sketches) sketch.coarsenTo(bits);
}

function columnOf(rows: Sketch, sides: readonly number[]): Float64Array {
  const column = new Float64Array(rows.size);
  for (let at = 0; at < column.length; at++) {
    let count = 0;
    for (const side of sides) count += rows.count(at, side);
    column[at] = count;
  }
  return column;
}

function scoresOf(rows: Sketch): Float64Array {
  const scores = new Float64Array(rows.size);
  for (let at = 0; at < scores.length; at++) scores[at] = rows.key(at);
  return scores;
}

/** Every prediction of `rows`, labelled or not. */
export function predictionsOf(rows: Sketch): ScoredPredictions {
  return {
    scores: scoresOf(rows),
    decidedNegative: columnOf(rows, [0, 2, 4]),
    decidedPositive: columnOf(rows, [1, 3, 5]),
  };
}

function labelledOf(rows: Sketch): LabelledScores {
  return { scores: scoresOf(rows), positives: columnOf(rows, [4, 5]), negatives: columnOf(rows, [2, 3]) };
}

export const countOf = (rows: Sketch): number =>
  [0, 1, 2, 3, 4, 5].reduce((sum, side) => sum + rows.total(side), 0);

/** The metrics of the labelled rows as they turned out; to the sketch's precision for the AUC. */
export function realisedOf(rows: Sketch): Realised {
  const [tn, fp, fn, tp] = [2, 3, 4, 5].map((side) => rows.total(side));
  if (tn === undefined || fp === undefined || fn === undefined || tp === undefined) return NOTHING;
  const share = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);
  const { scores, positives, negatives } = labelledOf(rows);
  const ranked = {
    scores: Float64Array.from(scores),
    positives: Float64Array.from(positives),
    negatives: Float64Array.from(negatives),
    mixed: new Uint8Array(rows.size),
  };
  return {
    accuracy: share(tp + tn, tp + tn + fp + fn),
    precision: share(tp, tp + fp),
    recall: share(tp, tp + fn),
    f1: share(2 * tp, 2 * tp + fp + fn),
    roc_auc: areaUnderRoc(ranked)?.value ?? null,
  };
}

const NOTHING: Realised = { accuracy: null, precision: null, recall: null, f1: null, roc_auc: null };
export { CLASSIFIER_METRICS };
