// Which metrics are better when smaller: losses and errors; all others (scores and ratios) are better when greater.

const LOSSES: ReadonlySet<string> = new Set([
  "mse",
  "rmse",
  "mae",
  "medae",
  "mape",
  "wape",
  "max_error",
  "log_loss",
  "brier",
  "ece",
]);

/** By scikit-learn's names, as the quality groups spell them. */
export function isLoss(metric: string): boolean {
  return LOSSES.has(metric);
}
