// How sure the metrics of a confusion matrix are: the variance from each cell's influence on the metric (delta method),
// taken for a multinomial sample of rows.

import type { MetricInterval } from "../facts/group.ts";
import type { ClassCounts, Confusion } from "./averages.ts";
import { effectiveWilson, fisherBounds, intervalOf } from "./intervals.ts";
import type { Intervals } from "./totals.ts";

/** Precision, recall and F1 of a class as a ratio hits * scale / below. */
type Kind = "precision" | "recall" | "f1";
const KINDS: readonly Kind[] = ["precision", "recall", "f1"];

interface ClassView {
  readonly counts: ClassCounts;
  /** 1/k for macro, actual/rows for weighted. */
  readonly share: number;
}

const below = (kind: Kind, { predicted, actual }: ClassCounts): number => {
  if (kind === "precision") return predicted;
  return kind === "recall" ? actual : predicted + actual;
};

const ratioOf = (kind: Kind, counts: ClassCounts): number => {
  const divisor = below(kind, counts);
  return divisor === 0 ? 0 : ((kind === "f1" ? 2 : 1) * counts.hits) / divisor;
};

/** What one row of the cell changes in the class's ratio, times the number of rows. */
function influence(kind: Kind, counts: ClassCounts, cell: { actual: boolean; predicted: boolean }): number {
  const divisor = below(kind, counts);
  if (divisor === 0) return 0;
  const hit = cell.actual && cell.predicted ? (kind === "f1" ? 2 : 1) : 0;
  const inBelow =
    (kind === "recall" ? 0 : Number(cell.predicted)) + (kind === "precision" ? 0 : Number(cell.actual));
  return (hit - ratioOf(kind, counts) * inBelow) / divisor;
}

interface Averaged {
  readonly kind: Kind;
  readonly average: "macro" | "weighted";
}

/** The rows that an average is taken over. */
export interface Matrix {
  readonly confusion: Confusion;
  readonly classes: ReadonlyMap<string, ClassCounts>;
  readonly rows: number;
}

/** Variance of an average over the classes. */
function averageVariance(
  { confusion, rows }: Matrix,
  views: ReadonlyMap<string, ClassView>,
  averaged: Averaged,
): number {
  let [total, squares] = [0, 0];
  for (const [actual, row] of confusion) {
    for (const [predicted, count] of row) {
      let moves = 0;
      for (const name of actual === predicted ? [actual] : [actual, predicted]) {
        const cell = { actual: name === actual, predicted: name === predicted };
        moves += viewInfluence(views.get(name), cell, { averaged, rows });
      }
      total += count * moves;
      squares += count * moves * moves;
    }
  }
  return Math.max(0, squares - (total * total) / rows);
}

function viewInfluence(
  view: ClassView | undefined,
  cell: { readonly actual: boolean; readonly predicted: boolean },
  { averaged, rows }: { readonly averaged: Averaged; readonly rows: number },
): number {
  if (view === undefined) return 0;
  const { kind, average } = averaged;
  const moves = view.share * influence(kind, view.counts, cell);
  // The weights are shares of the same rows: they move too.
  return average === "weighted" && cell.actual ? moves + ratioOf(kind, view.counts) / rows : moves;
}

/** Trials that an average over classes is worth when every row was right. */
function trialsOf(classes: readonly ClassView[], { kind, average }: Averaged, rows: number): number {
  if (average === "weighted") return rows;
  let inverse = 0;
  for (const { counts, share } of classes) {
    const trials = kind === "f1" ? Math.max(counts.actual, counts.predicted) : below(kind, counts);
    inverse += (share * share) / Math.max(1, trials);
  }
  return inverse > 0 ? 1 / inverse : rows;
}

/** Intervals of the macro and weighted averages and of balanced accuracy. */
export function averageIntervals(matrix: Matrix): Intervals {
  const { classes, rows } = matrix;
  const found: Record<string, MetricInterval | null> = {};
  const intervalFor = (views: ReadonlyMap<string, ClassView>, averaged: Averaged): MetricInterval | null => {
    let value = 0;
    for (const { counts, share } of views.values()) value += share * ratioOf(averaged.kind, counts);
    const variance = averageVariance(matrix, views, averaged);
    const bounds = effectiveWilson(value, variance, trialsOf([...views.values()], averaged, rows));
    return bounds === null ? null : intervalOf(bounds, "delta_wilson");
  };
  for (const average of ["macro", "weighted"] as const) {
    const views = viewsOf(classes, ({ actual }) => (average === "macro" ? 1 / classes.size : actual / rows));
    for (const kind of KINDS) found[`${kind}_${average}`] = intervalFor(views, { kind, average });
  }
  const labelled = new Map([...classes].filter(([, counts]) => counts.actual > 0));
  const views = viewsOf(labelled, () => 1 / labelled.size);
  found["balanced_accuracy"] = intervalFor(views, { kind: "recall", average: "macro" });
  return found;
}

function viewsOf(
  classes: ReadonlyMap<string, ClassCounts>,
  share: (counts: ClassCounts) => number,
): Map<string, ClassView> {
  return new Map([...classes].map(([name, counts]) => [name, { counts, share: share(counts) }]));
}

/**
 * Interval of Matthews' coefficient on Fisher's z scale; null where one side has a single class. A coefficient of 1 or -1
 * is taken as if half a row were wrong in each class.
 */
export function matthewsInterval({ confusion, classes, rows }: Matrix): MetricInterval | null {
  const share = (name: string, side: "actual" | "predicted"): number =>
    (classes.get(name)?.[side] ?? 0) / rows;
  let [agreed, both, actualSquares, predictedSquares] = [0, 0, 0, 0];
  for (const { hits, actual, predicted } of classes.values()) {
    agreed += hits / rows;
    both += (actual / rows) * (predicted / rows);
    actualSquares += (actual / rows) ** 2;
    predictedSquares += (predicted / rows) ** 2;
  }
  const [above, ofActual, ofPredicted] = [agreed - both, 1 - actualSquares, 1 - predictedSquares];
  if (!(ofActual > 0) || !(ofPredicted > 0)) return null;
  const scale = Math.sqrt(ofActual * ofPredicted);
  const value = Math.min(1, Math.max(-1, above / scale));
  let [total, squares] = [0, 0];
  for (const [actual, row] of confusion) {
    for (const [predicted, count] of row) {
      const moved = Number(actual === predicted) - share(predicted, "actual") - share(actual, "predicted");
      const moves =
        moved / scale +
        value * (share(actual, "actual") / ofActual + share(predicted, "predicted") / ofPredicted);
      total += count * moves;
      squares += count * moves * moves;
    }
  }
  const variance = Math.max(0, squares - (total * total) / rows) / (rows * rows);
  const edge = 1 - Math.min(0.5, classes.size / (2 * rows));
  const used = Math.min(edge, Math.max(-edge, value));
  // At the edge the variance vanishes with the errors: a correlation's own takes its place.
  const least = Math.abs(value) >= edge ? ((1 - used * used) ** 2 / rows) * classes.size : 0;
  const bounds = fisherBounds(used, Math.sqrt(Math.max(variance, least)));
  return intervalOf([Math.min(bounds[0], value), Math.max(bounds[1], value)], "delta_fisher");
}
