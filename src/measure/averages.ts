// Precision, recall and F1 of several classes: micro, macro and weighted, from a confusion matrix.

/** actual class -> predicted class -> rows (> 0). */
export type Confusion = ReadonlyMap<string, ReadonlyMap<string, number>>;

export interface ClassCounts {
  readonly name: string;
  hits: number;
  /** Labelled so. */
  actual: number;
  /** Predicted so. */
  predicted: number;
}

/** Counts of every class that occurs among labels or predictions, by name. */
export function classCounts(confusion: Confusion): Map<string, ClassCounts> {
  const classes = new Map<string, ClassCounts>();
  const of = (name: string): ClassCounts => {
    const known = classes.get(name) ?? { name, hits: 0, actual: 0, predicted: 0 };
    classes.set(name, known);
    return known;
  };
  for (const [actual, row] of confusion) {
    for (const [predicted, count] of row) {
      of(actual).actual += count;
      of(predicted).predicted += count;
      if (actual === predicted) of(actual).hits += count;
    }
  }
  return new Map([...classes].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

/** The nine averages as scikit-learn's defaults have them: a class without predicted or actual rows counts as 0. */
export function averagedScores(classes: Iterable<ClassCounts>, rows: number): Record<string, number> {
  const macro = { precision: 0, recall: 0, f1: 0 };
  const weighted = { precision: 0, recall: 0, f1: 0 };
  let hits = 0;
  let count = 0;
  for (const each of classes) {
    const precision = share(each.hits, each.predicted);
    const recall = share(each.hits, each.actual);
    const f1 = share(2 * each.hits, each.predicted + each.actual);
    macro.precision += precision;
    macro.recall += recall;
    macro.f1 += f1;
    weighted.precision += each.actual * precision;
    weighted.recall += each.actual * recall;
    weighted.f1 += each.actual * f1;
    hits += each.hits;
    count++;
  }
  const micro = hits / rows;
  return {
    accuracy: micro,
    precision_micro: micro,
    precision_macro: macro.precision / count,
    precision_weighted: weighted.precision / rows,
    recall_micro: micro,
    recall_macro: macro.recall / count,
    recall_weighted: weighted.recall / rows,
    f1_micro: micro,
    f1_macro: macro.f1 / count,
    f1_weighted: weighted.f1 / rows,
  };
}

/** Mean recall over the classes that have labels. */
export function balancedAccuracy(classes: Iterable<ClassCounts>): number | null {
  let sum = 0;
  let count = 0;
  for (const each of classes) {
    if (each.actual === 0) continue;
    sum += each.hits / each.actual;
    count++;
  }
  return count === 0 ? null : sum / count;
}

/** Matthews' correlation coefficient for any number of classes (Gorodkin 2004); 0 where a side has one class only. */
export function matthewsOf(classes: Iterable<ClassCounts>, rows: number): number {
  let hits = 0;
  let both = 0;
  let predicted = 0;
  let actual = 0;
  for (const each of classes) {
    hits += each.hits;
    both += each.predicted * each.actual;
    predicted += each.predicted * each.predicted;
    actual += each.actual * each.actual;
  }
  const below = Math.sqrt(rows * rows - predicted) * Math.sqrt(rows * rows - actual);
  return below === 0 ? 0 : (hits * rows - both) / below;
}
