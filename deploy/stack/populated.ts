// When the stack has something to show: quality per version, from Prometheus's recording rules, else from the sidecar's own page.

import { setTimeout as sleep } from "node:timers/promises";
import { parsePromText, type Sample } from "../../src/cli/prom-text.ts";
import { at, type Ports } from "./settings.ts";

export interface Figure {
  readonly model: string;
  readonly version: string;
  readonly metric: string;
  readonly value: number;
}

/** A family of the page, and the rule that rebuilds it over all replicas. */
const METRICS = [
  { metric: "rmse", family: "outrider_quality_rmse", rule: "job_model_version_window:outrider_rmse" },
  {
    metric: "accuracy",
    family: "outrider_quality_accuracy_ratio",
    rule: "job_model_version_window:outrider_accuracy",
  },
] as const;
const ANSWER_MS = 5000;

interface Wait {
  readonly withinMs: number;
  readonly ended: Promise<unknown>;
}

const figureOf = (metric: string, { labels, value }: Sample): Figure => ({
  model: labels["model"] ?? "",
  version: labels["version"] ?? "",
  metric,
  value,
});

async function get(url: string): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  return await response.text();
}

async function fromSidecar(ports: Ports): Promise<Figure[]> {
  const samples = parsePromText(await get(`http://${at(ports.telemetry)}/metrics`));
  return METRICS.flatMap(({ metric, family }) =>
    samples
      .filter(({ name, labels }) => name === family && labels["window"] === "1h" && labels["basis"] === "all")
      .map((sample) => figureOf(metric, sample)),
  );
}

interface Answer {
  readonly data: {
    readonly result: readonly { readonly metric: Record<string, string>; readonly value: [number, string] }[];
  };
}

async function fromPrometheus(ports: Ports): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { metric, rule } of METRICS) {
    const query = new URLSearchParams({ query: `${rule}{job="outrider",window="1h",basis="all"}` });
    const url = `http://${at(ports.prometheus)}/api/v1/query?${query.toString()}`;
    const { data } = JSON.parse(await get(url)) as Answer;
    for (const { metric: labels, value } of data.result)
      figures.push(figureOf(metric, { name: rule, labels, value: Number(value[1]) }));
  }
  return figures;
}

/** Both models with both versions. Null when the stack was ended before; throws when it takes too long. */
export async function populated(
  ports: Ports,
  prometheus: boolean,
  wait: Wait,
): Promise<readonly Figure[] | null> {
  const until = performance.now() + wait.withinMs;
  let over = false;
  void wait.ended.then(() => {
    over = true;
  });
  while (!over) {
    const figures = await (prometheus ? fromPrometheus(ports) : fromSidecar(ports)).catch(() => []);
    if (METRICS.every(({ metric }) => figures.filter((one) => one.metric === metric).length >= 2))
      return figures;
    if (performance.now() > until) throw new Error(`no quality per version after ${wait.withinMs / 1000} s`);
    await Promise.race([sleep(500), wait.ended]);
  }
  return null;
}
