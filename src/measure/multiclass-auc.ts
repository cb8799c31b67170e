// AUC of several classes: one against the rest, and one against one, as scikit-learn averages them.

import type { MetricInterval } from "../facts/group.ts";
import { areaUnderRoc, type Auc, type RankedCounts } from "./auc.ts";
import { aucInterval } from "./auc-interval.ts";
import { intervalOf } from "./intervals.ts";
import type { Columns } from "./score-histogram.ts";
import type { Intervals } from "./totals.ts";
import type { Interval } from "./wilson.ts";

/** Scores of one class, ascending; counts[l]: rows labelled with class l. */
export type ClassColumns = Columns;

export interface ClassAreas {
  /** One against the rest; null where the class, or every other, has no label. */
  readonly perClass: readonly (number | null)[];
  /** Bounds of the intervals of these. */
  readonly perClassBounds: readonly (Interval | null)[];
  /** Classes that have labels. */
  readonly present: number;
  /** null: a class has no label. */
  readonly roc_auc_ovr_macro: number | null;
  readonly roc_auc_ovr_weighted: number | null;
  /** Over the pairs of classes present (Hand and Till, Machine Learning 45, 2001); null with more than twenty. */
  readonly roc_auc_ovo_macro: number | null;
  readonly roc_auc_ovo_weighted: number | null;
  /** No average is further than this from the exact value. */
  readonly bound: number;
  /** Of the averages that have a value. The same rows stand behind every class, so the bounds are averaged as if they moved together: never too narrow. */
  readonly intervals: Intervals;
}

/** With more classes no one-against-one area is computed: it takes k(k-1) passes over the scores. */
const OVO_CLASSES_MAX = 20;

function total(column: Float64Array): number {
  let sum = 0;
  for (const count of column) sum += count;
  return sum;
}

/** Rows of one class against those of others, in the order of one class's scores. */
function ranked(columns: Columns, positive: number, negatives: Float64Array): RankedCounts {
  const { scores, counts, mixed } = columns;
  return { scores, positives: counts[positive] ?? new Float64Array(scores.length), negatives, mixed };
}

/** Rows of all classes but one. */
function rest({ scores, counts }: Columns, but: number): Float64Array {
  const sum = new Float64Array(scores.length);
  for (const [side, column] of counts.entries()) {
    if (side === but) continue;
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? 0) + (column[i] ?? 0);
  }
  return sum;
}

/** A weighted mean of areas and of the bounds of their intervals. */
class AreaMean {
  #weight = 0;
  #value = 0;
  #lower = 0;
  #upper = 0;

  add(value: number, [lower, upper]: Interval, weight: number): void {
    this.#weight += weight;
    this.#value += weight * value;
    this.#lower += weight * lower;
    this.#upper += weight * upper;
  }

  /** null where nothing of weight was added. */
  value(): number | null {
    return this.#weight > 0 ? this.#value / this.#weight : null;
  }

  interval(): MetricInterval | null {
    const weight = this.#weight;
    return weight > 0 ? intervalOf([this.#lower / weight, this.#upper / weight], "mean_of_delong") : null;
  }
}

const mean = (): AreaMean => new AreaMean();

function boundsOf(area: Auc): Interval {
  const { lower, upper } = aucInterval(area);
  return [lower, upper];
}

export function classAreas(classes: readonly ClassColumns[]): ClassAreas {
  const support = (classes[0]?.counts ?? []).map(total);
  const sides = support.map((_, side) => side);
  const present = sides.filter((side) => (support[side] ?? 0) > 0);
  const found = { macro: mean(), weighted: mean() };
  let bound = 0;
  const perClassBounds: (Interval | null)[] = [];
  const perClass = classes.map((columns, side) => {
    const area = areaUnderRoc(ranked(columns, side, rest(columns, side)));
    const bounds = area === null ? null : boundsOf(area);
    perClassBounds.push(bounds);
    if (area === null || bounds === null) return null;
    bound = Math.max(bound, area.bound);
    found.macro.add(area.value, bounds, 1);
    found.weighted.add(area.value, bounds, support[side] ?? 0);
    return area.value;
  });
  const pairs = present.length > OVO_CLASSES_MAX ? null : pairAreas(classes, support, present);
  const absent = perClass.includes(null);
  const intervals: Record<string, MetricInterval | null> = {
    roc_auc_ovr_macro: absent ? null : found.macro.interval(),
    roc_auc_ovr_weighted: found.weighted.interval(),
    roc_auc_ovo_macro: pairs?.macro.interval() ?? null,
    roc_auc_ovo_weighted: pairs?.weighted.interval() ?? null,
  };
  return {
    perClass,
    perClassBounds,
    present: present.length,
    roc_auc_ovr_macro: absent ? null : found.macro.value(),
    roc_auc_ovr_weighted: found.weighted.value(),
    roc_auc_ovo_macro: pairs?.macro.value() ?? null,
    roc_auc_ovo_weighted: pairs?.weighted.value() ?? null,
    bound: Math.max(bound, pairs?.bound ?? 0),
    intervals: Object.fromEntries(Object.entries(intervals).filter(([, interval]) => interval !== null)),
  };
}

interface PairAreas {
  readonly macro: AreaMean;
  readonly weighted: AreaMean;
  readonly bound: number;
}

/** Every two classes against each other, in the order of the scores of either. */
function pairAreas(
  classes: readonly ClassColumns[],
  support: readonly number[],
  present: readonly number[],
): PairAreas {
  const found = { macro: mean(), weighted: mean() };
  let bound = 0;
  for (const a of present) {
    for (const b of present) {
      const columns = classes[a];
      const negatives = columns?.counts[b];
      if (a === b || columns === undefined || negatives === undefined) continue;
      const area = areaUnderRoc(ranked(columns, a, negatives));
      if (area === null) continue;
      bound = Math.max(bound, area.bound);
      const bounds = boundsOf(area);
      found.macro.add(area.value, bounds, 1);
      found.weighted.add(area.value, bounds, (support[a] ?? 0) + (support[b] ?? 0));
    }
  }
  return { ...found, bound };
}
