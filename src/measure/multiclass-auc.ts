// AUC of several classes: one against the rest, and one against one, as scikit-learn averages them.

import { areaUnderRoc, type RankedCounts } from "./auc.ts";
import type { Columns } from "./score-histogram.ts";

/** Scores of one class, ascending; counts[l]: rows labelled with class l. */
export type ClassColumns = Columns;

export interface ClassAreas {
  /** One against the rest; null where the class, or every other, has no label. */
  readonly perClass: readonly (number | null)[];
  /** Classes that have labels. */
  readonly present: number;
  /** null: a class has no label. */
  readonly roc_auc_ovr_macro: number | null;
  readonly roc_auc_ovr_weighted: number | null;
  /** Over the pairs of classes present (Hand and Till, Machine Learning 45, 2001). */
  readonly roc_auc_ovo_macro: number | null;
  readonly roc_auc_ovo_weighted: number | null;
  /** No average is further than this from the exact value. */
  readonly bound: number;
}

function total(column: Float64Array): number {
  let sum = 0;
  for (const count of column) sum += count;
  return sum;
}

/** Rows of `positive` against those of `negatives`, in the order of one class's scores. */
function ranked(columns: Columns, positive: number, negatives: readonly number[]): RankedCounts {
  const { scores, counts, mixed } = columns;
  const against = new Float64Array(scores.length);
  for (const side of negatives) {
    const column = counts[side];
    for (let i = 0; i < against.length; i++) against[i] = (against[i] ?? 0) + (column?.[i] ?? 0);
  }
  return {
    scores,
    positives: counts[positive] ?? new Float64Array(scores.length),
    negatives: against,
    mixed,
  };
}

export function classAreas(classes: readonly ClassColumns[]): ClassAreas {
  const support = (classes[0]?.counts ?? []).map(total);
  const rows = support.reduce((sum, count) => sum + count, 0);
  const sides = support.map((_, side) => side);
  let bound = 0;
  const area = (columns: Columns, positive: number, negatives: readonly number[]): number | null => {
    const found = areaUnderRoc(ranked(columns, positive, negatives));
    bound = Math.max(bound, found?.bound ?? 0);
    return found?.value ?? null;
  };
  const perClass = classes.map((columns, side) =>
    area(
      columns,
      side,
      sides.filter((other) => other !== side),
    ),
  );
  let macro: number | null = 0;
  let weighted = 0;
  for (const [side, value] of perClass.entries()) {
    macro = macro === null || value === null ? null : macro + value / classes.length;
    weighted += ((value ?? 0) * (support[side] ?? 0)) / rows;
  }
  const present = sides.filter((side) => (support[side] ?? 0) > 0);
  let pairs = 0;
  let sum = 0;
  let weights = 0;
  let weightedSum = 0;
  for (const [i, a] of present.entries()) {
    for (const b of present.slice(i + 1)) {
      const [ofA, ofB] = [classes[a], classes[b]];
      if (ofA === undefined || ofB === undefined) continue;
      const mean = ((area(ofA, a, [b]) ?? 0) + (area(ofB, b, [a]) ?? 0)) / 2;
      const weight = (support[a] ?? 0) + (support[b] ?? 0);
      pairs++;
      sum += mean;
      weights += weight;
      weightedSum += weight * mean;
    }
  }
  return {
    perClass,
    present: present.length,
    roc_auc_ovr_macro: macro,
    roc_auc_ovr_weighted: weighted,
    roc_auc_ovo_macro: pairs === 0 ? null : sum / pairs,
    roc_auc_ovo_weighted: weights === 0 ? null : weightedSum / weights,
    bound,
  };
}
