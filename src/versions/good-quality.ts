// When a version counts as good enough to roll back to.

import type { VersionEvent, VersionRecord } from "../facts/version.ts";
import { isLoss } from "../kernel/metric-sense.ts";

/** Relative slack within which live quality counts as good as the registered evaluation. */
const GOOD_WITHIN = 0.1;

/**
 * When it last left production, its mature quality was measured in a registered metric, and in none of them worse by more than a
 * tenth. What was never measured is not known to have been good.
 */
export function wasGood(record: VersionRecord | null, history: readonly VersionEvent[]): boolean {
  if (record === null || record.registration === null) return false;
  const left = history.findLast(({ version, from }) => version === record.version && from === "production");
  const then = left?.quality ?? [];
  const compared = Object.entries(record.registration.evaluation).flatMap(([metric, value]) => {
    // The widest window in which nearly all labels had come: in the others some were missing.
    const live = then.findLast(
      ({ basis, metrics }) => basis === "matured" && typeof metrics[metric] === "number",
    )?.metrics[metric];
    return typeof live === "number" ? [{ metric, value, live }] : [];
  });
  return (
    compared.length > 0 &&
    compared.every(({ metric, value, live }) => {
      const slack = Math.abs(value) * GOOD_WITHIN;
      return isLoss(metric) ? live <= value + slack : live >= value - slack;
    })
  );
}
