// Differences of metrics that are no mean of a loss (AUC, precision, recall, F1, R2, ...): described, not decided.

import type { Interval } from "../wilson.ts";
import { Z95 } from "../wilson.ts";
import { exchanged, type ComparedMetric } from "./pair-test.ts";

/** What is known of one version: a group of GET /v1/quality. */
export interface DescribedGroup {
  readonly n_labeled: number;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly extra: Readonly<Record<string, unknown>>;
  readonly intervals?: Readonly<
    Record<string, { readonly lower: number; readonly upper: number } | null | undefined>
  >;
}

/** Compared as losses, with a verdict. */
const COMPARED: ReadonlySet<string> = new Set(["accuracy", "mae", "mse"]);

/** Every metric that both versions have, candidate minus baseline, with a 95 % interval where both have one. */
export function describeDifferences(baseline: DescribedGroup, candidate: DescribedGroup): ComparedMetric[] {
  const rows = { baseline: baseline.n_labeled, candidate: candidate.n_labeled };
  return Object.keys(candidate.metrics)
    .filter((metric) => !COMPARED.has(metric) && metric in baseline.metrics)
    .map((metric) => {
      const bounds = boundsOf(metric, baseline, candidate);
      return {
        metric,
        difference: difference(metric, baseline, candidate),
        lower: bounds?.[0] ?? null,
        upper: bounds?.[1] ?? null,
        interval: "fixed-horizon" as const,
        p: null,
        rows,
        paired: false,
        verdict: "undecided" as const,
      };
    });
}

/** Accuracy is the error rate seen from the other side: the same evidence, the same verdict. */
export function withAccuracy(metrics: readonly ComparedMetric[]): ComparedMetric[] {
  return metrics.flatMap((metric) => {
    if (metric.metric !== "error_rate") return [metric];
    const { difference: negative, lower, upper } = exchanged(metric);
    return [metric, { ...metric, metric: "accuracy", difference: negative, lower, upper }];
  });
}

function difference(metric: string, baseline: DescribedGroup, candidate: DescribedGroup): number | null {
  const from = baseline.metrics[metric] ?? null;
  const to = candidate.metrics[metric] ?? null;
  return from === null || to === null ? null : to - from;
}

function boundsOf(metric: string, baseline: DescribedGroup, candidate: DescribedGroup): Interval | null {
  const from = baseline.metrics[metric] ?? null;
  const to = candidate.metrics[metric] ?? null;
  if (from === null || to === null) return null;
  if (metric === "roc_auc") return areaBounds(to - from, baseline, candidate);
  const around = intervalOf(metric, baseline);
  const reached = intervalOf(metric, candidate);
  if (around === null || reached === null) return null;
  // The two intervals put together: G. Y. Zou, A. Donner, Stat. Med. 27, 2008.
  const [fromLower, fromUpper] = around;
  const [toLower, toUpper] = reached;
  return [
    to - from - Math.hypot(to - toLower, fromUpper - from),
    to - from + Math.hypot(toUpper - to, from - fromLower),
  ];
}

/** Unpaired areas: DeLong's standard errors, widened by what the histograms leave open. */
function areaBounds(by: number, baseline: DescribedGroup, candidate: DescribedGroup): Interval | null {
  const errors = [baseline, candidate].map(({ extra }) => extra["auc_delong_se"]);
  const open = [baseline, candidate].map(({ extra }) => extra["roc_auc_bound"] ?? 0);
  const [first, second] = errors;
  if (typeof first !== "number" || typeof second !== "number") return null;
  let half = Z95 * Math.hypot(first, second);
  for (const bound of open) if (typeof bound === "number") half += bound;
  return [by - half, by + half];
}

function intervalOf(metric: string, group: DescribedGroup): Interval | null {
  const own = group.intervals?.[metric];
  if (own !== undefined && own !== null) return [own.lower, own.upper];
  const given = group.extra[`${metric}_ci`];
  if (!Array.isArray(given)) return null;
  const [lower, upper]: unknown[] = given;
  return typeof lower === "number" && typeof upper === "number" ? [lower, upper] : null;
}
