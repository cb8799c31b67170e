// Every metric from its definition, row by row, as slowly and plainly as possible.

export interface RegressionRow {
  readonly said: number;
  readonly label: number;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

export function medianByDefinition(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return mean([sorted[Math.ceil(middle) - 1] ?? Number.NaN, sorted[Math.floor(middle)] ?? Number.NaN]);
}

export function regressionByDefinition(rows: readonly RegressionRow[]): Record<string, number> {
  const errors = rows.map(({ said, label }) => label - said);
  const sizes = errors.map(Math.abs);
  const labels = rows.map(({ label }) => label);
  const centre = mean(labels);
  const squares = errors.map((error) => error * error);
  const spread = mean(labels.map((label) => (label - centre) ** 2));
  return {
    mse: mean(squares),
    rmse: Math.sqrt(mean(squares)),
    mae: mean(sizes),
    r2: 1 - mean(squares) / spread,
    me: mean(errors),
    medae: medianByDefinition(sizes),
    max_error: Math.max(...sizes),
    mape: mean(rows.map(({ label }, i) => (sizes[i] ?? 0) / Math.abs(label))),
    wape: mean(sizes) / mean(labels.map(Math.abs)),
  };
}

/** What a regressor that always says the same would score. */
export function constantRegression(labels: readonly number[]): Record<string, number> {
  const centre = mean(labels);
  const median = medianByDefinition(labels);
  const ofMean = regressionByDefinition(labels.map((label) => ({ said: centre, label })));
  const ofMedian = regressionByDefinition(labels.map((label) => ({ said: median, label })));
  const keep = (from: Record<string, number>, names: readonly string[]): Record<string, number> =>
    Object.fromEntries(names.map((name) => [name, from[name] ?? Number.NaN]));
  return {
    ...keep(ofMean, ["mse", "rmse"]),
    ...keep(ofMedian, ["mae", "medae", "mape", "wape"]),
    max_error: (Math.max(...labels) - Math.min(...labels)) / 2,
  };
}

export interface BinaryRow {
  readonly score: number;
  readonly positive: boolean;
}

const clipped = (p: number): number => Math.min(Math.max(p, 2 ** -52), 1 - 2 ** -52);

/** Of rows of both classes, decided at 0.5, with both decisions among them. */
export function binaryByDefinition(rows: readonly BinaryRow[]): Record<string, number> {
  const count = (positive: boolean, decided: boolean): number =>
    rows.filter((row) => row.positive === positive && row.score >= 0.5 === decided).length;
  const [tp, fp, fn, tn] = [count(true, true), count(false, true), count(true, false), count(false, false)];
  const positives = rows.filter((row) => row.positive);
  const negatives = rows.filter((row) => !row.positive);
  let wins = 0;
  for (const { score } of positives) {
    for (const other of negatives) wins += score > other.score ? 1 : score === other.score ? 0.5 : 0;
  }
  // Precision at each positive's score, ties included.
  const precisions = positives.map(({ score }) => {
    const above = rows.filter((row) => row.score >= score);
    return above.filter((row) => row.positive).length / above.length;
  });
  const gaps = new Map<number, number>();
  for (const { score, positive } of rows) {
    const bin = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9].filter((bound) => score > bound).length;
    gaps.set(bin, (gaps.get(bin) ?? 0) + score - Number(positive));
  }
  const below = Math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn));
  return {
    accuracy: (tp + tn) / rows.length,
    precision: tp / (tp + fp),
    recall: tp / (tp + fn),
    f1: (2 * tp) / (2 * tp + fp + fn),
    specificity: tn / (tn + fp),
    prevalence: (tp + fn) / rows.length,
    balanced_accuracy: (tp / (tp + fn) + tn / (tn + fp)) / 2,
    mcc: (tp * tn - fp * fn) / below,
    roc_auc: wins / (positives.length * negatives.length),
    average_precision: mean(precisions),
    log_loss: mean(rows.map(({ score, positive }) => -Math.log(clipped(positive ? score : 1 - score)))),
    brier: mean(rows.map(({ score, positive }) => (score - Number(positive)) ** 2)),
    ece10: [...gaps.values()].reduce((sum, gap) => sum + Math.abs(gap), 0) / rows.length,
  };
}
