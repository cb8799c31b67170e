// When a version counts as good enough to roll back to.

import type { VersionEvent, VersionRecord } from "../facts/version.ts";
import { isLoss } from "../kernel/metric-names.ts";

/** What `models[].baseline` says. */
export interface Expected {
  /** Of metrics that a version was not registered with. */
  readonly metrics: Readonly<Record<string, number>>;
  /** How much worse than expected is still fine, as a share of it. */
  readonly margin: number;
}

/**
 * When it last left production, its mature quality was measured in a metric it was registered with or that is configured for the
 * model, and in none of them worse by more than the margin. What was never measured is not known to have been good.
 */
export function wasGood(
  record: VersionRecord | null,
  history: readonly VersionEvent[],
  { metrics, margin }: Expected,
): boolean {
  if (record === null) return false;
  const left = history.findLast(({ version, from }) => version === record.version && from === "production");
  const then = left?.quality ?? [];
  const expected = { ...metrics, ...record.registration?.evaluation };
  const compared = Object.entries(expected).flatMap(([metric, value]) => {
    // The widest window in which nearly all labels had come: in the others some were missing.
    const live = then.findLast(
      ({ basis, metrics: measured }) => basis === "matured" && typeof measured[metric] === "number",
    )?.metrics[metric];
    return typeof live === "number" ? [{ metric, value, live }] : [];
  });
  return (
    compared.length > 0 &&
    compared.every(({ metric, value, live }) => {
      const slack = Math.abs(value) * margin;
      return isLoss(metric) ? live <= value + slack : live >= value - slack;
    })
  );
}
