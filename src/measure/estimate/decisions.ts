// One class against the rest, in panes: scores of every prediction by what was decided and what turned out, over time.

import type { ModelSpec } from "../../facts/model.ts";
import type { Prediction } from "../../facts/prediction.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import { areaUnderRoc } from "../auc.ts";
import { calibrate, type Calibration, LABELS_MIN, type LabelledScores } from "./calibration.ts";
import { CLASSIFIER_METRICS, type ClassifierMetric, type ScoredPredictions } from "./cbpe.ts";
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
  }

  count(ts: number, decision: Decision, sign: 1 | -1): void {
    const side = sideOf(decision);
    this.#fine.at(ts)?.add(decision.score, side, sign);
    this.#coarse.at(ts)?.add(decision.score, side, sign);
  }

  advance(now: number): void {
    this.#fine.advance(now);
    this.#coarse.advance(now);
  }

  release(): void {
    this.#fine.clear();
    this.#coarse.clear();
  }

  /** All rows of the span, to the edges of panes. */
  rows(span: Span, tier: TimedWindow["tier"]): Sketch {
    const merged = this.#create(MERGED_BUCKETS, { left: MERGED_BUCKETS });
    const panes = tier === "fine" ? this.#fine : this.#coarse;
    for (const pane of panes.between(span.from, span.to)) merged.merge(pane);
    return merged;
  }

  /** The map learnt from `rows`; null when they are too few. */
  calibration(rows: Sketch): { readonly map: Calibration | null; readonly labels: number } {
    const labelled = labelledOf(rows);
    const labels = [2, 3, 4, 5].reduce((sum, side) => sum + rows.total(side), 0);
    if (labels < LABELS_MIN) return { map: null, labels };
    return { map: calibrate(labelled, this.#shape), labels };
  }

  #create(buckets: number, purse: BucketPurse = this.#shape.purse): Sketch {
    const shape: SketchShape = { sides: SIDES, mirrored: this.#shape.probability, buckets, purse };
    return new Sketch(shape);
  }
}

/** Brings sketches under the same keys, so that what one says of a score holds for the other. */
export function alignKeys(sketches: readonly Sketch[]): void {
  const bits = Math.min(...sketches.filter(({ size }) => size > 0).map((sketch) => sketch.bits));
  if (Number.isFinite(bits)) for (const sketch of sketches) sketch.coarsenTo(bits);
}

function columnOf(rows: Sketch, sides: readonly number[]): Float64Array {
  return Float64Array.from({ length: rows.size }, (_, at) =>
    sides.reduce((sum, side) => sum + rows.count(at, side), 0),
  );
}

const scoresOf = (rows: Sketch): Float64Array =>
  Float64Array.from({ length: rows.size }, (_, at) => rows.key(at));

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
