// Service level objectives: the share of failed and of slow answers over the windows that burn-rate alerts and boards look at.
// Windows and factors: "The Site Reliability Workbook", chapter 5, multiwindow, multi-burn-rate alerts.

import type { Alerting } from "../config/config.ts";
import type { Rule, RuleGroup } from "./rules.ts";

export type Slo = "availability" | "latency";

const SHORT = ["5m", "30m", "1h", "2h", "6h"];
const LONG = ["1d", "3d"];
/** The service failed, or did not answer. */
const FAULTS = "server_error|timeout|connect_error|reset";
/** Neither good nor bad: the client left, sent something that is not HTTP, or came while the sidecar was stopping. */
const UNCOUNTED = "client_abort|rejected";

/** Share of failed (slow) answers over a window. */
export const errorsName = (slo: Slo, window: string): string =>
  `job:outrider_slo_${slo}_errors:ratio_rate${window}`;
export const objectiveName = (slo: Slo): string => `job:outrider_slo_${slo}:objective`;

/** A bucket's bound as a matcher: an integer is spelled "1" by some exporters and "1.0" by others. */
export function boundMatcher(seconds: number): string {
  return Number.isInteger(seconds) ? `le=~"${seconds}([.]0)?"` : `le="${seconds}"`;
}

const histograms = {
  response: {
    name: "http_server_request_duration_seconds",
    matchers: 'http_response_status_code!~"5..",error_type!="client_abort"',
  },
  first_byte: { name: "outrider_time_to_first_byte_seconds", matchers: "" },
} as const;

/** Sums by job over sidecars alone: applications export families of the same standard names. */
function rateOf(selector: string, window: string): string {
  return `sum by (job) (\n  rate(${selector}[${window}])\n  and on (job, instance) outrider_build_info\n)`;
}

function availabilityRule(window: string): Rule {
  const rate = (matcher: string): string =>
    `sum by (job) (rate(outrider_requests_total{outcome${matcher}}[${window}]))`;
  return {
    record: errorsName("availability", window),
    expr: `${rate(`=~"${FAULTS}"`)}\n/ (${rate(`!~"${UNCOUNTED}"`)} > 0)`,
  };
}

function latencyRule(window: string, { slo }: Alerting): Rule {
  const { name, matchers } = histograms[slo.latency.of];
  const bound = boundMatcher(slo.latency.thresholdMs / 1000);
  const fast = rateOf(`${name}_bucket{${[bound, matchers].filter((part) => part !== "").join(",")}}`, window);
  const all = rateOf(`${name}_count${matchers === "" ? "" : `{${matchers}}`}`, window);
  return {
    record: errorsName("latency", window),
    // Two counters that are read one after the other may differ by an answer.
    expr: `clamp_min(1 - ${fast}\n/ (${all} > 0), 0)`,
  };
}

/** Constants as series, so that boards need not be written anew for another objective. */
function constants({ slo }: Alerting): Rule[] {
  const told = (value: number): string => `group by (job) (outrider_build_info) * ${value}`;
  return [
    { record: objectiveName("availability"), expr: told(slo.availability) },
    { record: objectiveName("latency"), expr: told(slo.latency.objective) },
    { record: "job:outrider_slo_latency:threshold_seconds", expr: told(slo.latency.thresholdMs / 1000) },
  ];
}

export function sloGroups(alerting: Alerting): readonly RuleGroup[] {
  const of = (windows: readonly string[]): Rule[] =>
    windows.flatMap((window) => [availabilityRule(window), latencyRule(window, alerting)]);
  return [
    { name: "outrider-slo", rules: [...constants(alerting), ...of(SHORT)] },
    { name: "outrider-slo-long", interval: "2m", rules: of(LONG) },
  ];
}

interface Pair {
  readonly long: string;
  readonly short: string;
  readonly factor: number;
}

/** Of a 30-day budget the first pair has spent 2 % within the hour, the last 10 % within three days. */
export const BURNS = {
  fast: [
    { long: "1h", short: "5m", factor: 14.4 },
    { long: "6h", short: "30m", factor: 6 },
  ],
  slow: [
    { long: "1d", short: "2h", factor: 3 },
    { long: "3d", short: "6h", factor: 1 },
  ],
} as const satisfies Readonly<Record<string, readonly Pair[]>>;

/** Both windows of one of the pairs burn too fast, and the longer one has seen enough requests to say so. */
export function burnExpr(which: Slo, speed: keyof typeof BURNS, { slo }: Alerting): string {
  const objective = which === "availability" ? slo.availability : slo.latency.objective;
  return BURNS[speed]
    .map(({ long, short, factor }) => {
      // Ten digits are enough for any objective, and hide what binary fractions add.
      const limit = Number((factor * (1 - objective)).toPrecision(10));
      return (
        `(\n  ${errorsName(which, long)} > ${limit}\n  and ${errorsName(which, short)} > ${limit}\n` +
        `  and on (job) sum by (job) (increase(outrider_requests_total[${long}])) >= ${slo.minRequests}\n)`
      );
    })
    .join("\nor\n");
}
