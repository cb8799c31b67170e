// A real Prometheus that scrapes one address, asked through its HTTP API, and promtool's opinion of a scrape or of rules.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "./command.ts";
import { ensurePrometheus } from "./install.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";

export interface PrometheusOptions {
  /** E.g. `http://127.0.0.1:7071/metrics`; null scrapes nothing (OTLP only). */
  readonly scrapeUrl: string | null;
  /** Further jobs by name, with the addresses of their targets. */
  readonly jobs?: Readonly<Record<string, readonly string[]>>;
  /** Between two scrapes, and for each of them. */
  readonly intervalMs: number;
  /** Rule files, by absolute path. */
  readonly ruleFiles?: readonly string[];
  /** `127.0.0.1:9093` of an Alertmanager. */
  readonly alertmanager?: string;
  /** Further command line flags, e.g. `--web.enable-otlp-receiver`. */
  readonly flags?: readonly string[];
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  /** NaN and infinities as JavaScript has them. */
  readonly value: number;
}

export interface Look {
  readonly series: number;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

export interface Prometheus {
  readonly url: string;
  readonly process: RealProcess;
  /** An instant query now; a scalar gives one sample without labels. Throws with Prometheus's own error. */
  query(promql: string): Promise<readonly Sample[]>;
  /** Whether a query has data (some number that is one), and what Prometheus remarks about it. `range`: the last seconds. */
  look(promql: string, range: { readonly seconds: number; readonly step: number } | null): Promise<Look>;
  /** Asks again until `accept` holds for the answer; throws with the last one after `withinMs` (default 90 s). */
  queryUntil(
    promql: string,
    accept: (samples: readonly Sample[]) => boolean,
    withinMs?: number,
  ): Promise<readonly Sample[]>;
  /** GET of any path of the HTTP API; gives its `data`. */
  api(path: string): Promise<unknown>;
}

function configuration(options: PrometheusOptions): string {
  const interval = `${options.intervalMs}ms`;
  const scrapes: unknown[] = [];
  if (options.scrapeUrl !== null) {
    const { host, pathname, protocol } = new URL(options.scrapeUrl);
    scrapes.push({
      job_name: "outrider",
      scheme: protocol.slice(0, -1),
      metrics_path: pathname,
      static_configs: [{ targets: [host] }],
    });
  }
  for (const [name, urls] of Object.entries(options.jobs ?? {})) {
    scrapes.push({ job_name: name, static_configs: [{ targets: urls.map((url) => new URL(url).host) }] });
  }
  const alertmanagers = [{ static_configs: [{ targets: [options.alertmanager] }] }];
  // JSON is YAML.
  return JSON.stringify({
    global: { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval },
    // A Collector sends several batches at once, and tries failed ones again: pushed samples arrive out of order.
    ...(options.flags?.includes("--web.enable-otlp-receiver") === true
      ? { storage: { tsdb: { out_of_order_time_window: "10m" } } }
      : {}),
    rule_files: options.ruleFiles ?? [],
    scrape_configs: scrapes,
    ...(options.alertmanager === undefined ? {} : { alerting: { alertmanagers } }),
  });
}

function numberOf(text: string): number {
  if (text === "+Inf") return Infinity;
  return text === "-Inf" ? -Infinity : Number(text);
}

interface Result {
  readonly metric: Record<string, string>;
  readonly value: [number, string];
}

function samplesOf(data: unknown): Sample[] {
  const { resultType, result } = data as { resultType: string; result: unknown };
  if (resultType === "scalar") return [{ labels: {}, value: numberOf((result as [number, string])[1]) }];
  if (resultType !== "vector") throw new Error(`a query gave a ${resultType}`);
  return (result as Result[]).map(({ metric, value }) => ({ labels: metric, value: numberOf(value[1]) }));
}

interface Answered {
  readonly status: string;
  readonly error?: string;
  readonly warnings?: string[];
  readonly infos?: string[];
  readonly data?: { readonly resultType: string; readonly result: unknown };
}

/** Series with at least one value that is a number; a histogram's sample counts as one. */
function withData(data: Answered["data"]): number {
  if (data === undefined) return 0;
  if (data.resultType === "scalar") return 1;
  const series = data.result as {
    value?: [number, string];
    values?: [number, string][];
    histogram?: unknown;
  }[];
  const full = ({ value, values, histogram }: (typeof series)[number]): boolean =>
    histogram !== undefined ||
    [...(values ?? []), ...(value === undefined ? [] : [value])].some(([, text]) => text !== "NaN");
  return series.filter(full).length;
}

async function look(
  url: string,
  promql: string,
  range: { seconds: number; step: number } | null,
): Promise<Look> {
  const now = Date.now() / 1000;
  const over =
    range === null ? {} : { start: String(now - range.seconds), end: String(now), step: String(range.step) };
  const response = await fetch(`${url}/api/v1/query${range === null ? "" : "_range"}`, {
    method: "POST",
    body: new URLSearchParams({ query: promql, ...over }),
    signal: AbortSignal.timeout(60_000),
  });
  const body = (await response.json()) as Answered;
  if (body.status !== "success") throw new Error(`${promql}: ${body.error ?? response.status}`);
  return { series: withData(body.data), warnings: body.warnings ?? [], infos: body.infos ?? [] };
}

async function ask(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(60_000) });
  const body = (await response.json()) as { status: string; data?: unknown; error?: string };
  if (body.status !== "success") throw new Error(`${url}: ${body.error ?? response.status}`);
  return body.data;
}

export async function startPrometheus(owner: Owner, options: PrometheusOptions): Promise<Prometheus> {
  const { prometheus } = await ensurePrometheus();
  const folder = temporaryFolder(owner, "prometheus");
  const file = join(folder, "prometheus.yml");
  writeFileSync(file, configuration(options));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const started = await startProcess(owner, {
    name: "Prometheus",
    command: prometheus,
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      // An alert that fires before the Alertmanager is discovered (5 s) would wait a minute for its next try.
      "--rules.alert.resend-delay=1s",
      ...(options.flags ?? []),
    ],
    cwd: folder,
    readyUrl: `${url}/-/ready`,
  });
  const query = async (promql: string): Promise<readonly Sample[]> =>
    samplesOf(await ask(`${url}/api/v1/query?${new URLSearchParams({ query: promql }).toString()}`));
  return {
    url,
    process: started,
    query,
    look: (promql, range) => look(url, promql, range),
    queryUntil: async (promql, accept, withinMs = 90_000) => {
      const until = performance.now() + withinMs;
      for (;;) {
        const samples = await query(promql);
        if (accept(samples)) return samples;
        if (performance.now() > until) {
          throw new Error(`${promql}: after ${withinMs} ms still ${JSON.stringify(samples)}`);
        }
        await sleep(Math.min(options.intervalMs, 250));
      }
    },
    api: (path) => ask(url + path),
  };
}

export interface Opinion {
  /** Nothing to object, not even to the style. */
  readonly ok: boolean;
  readonly output: string;
}

/** `promtool check metrics`: parse errors and lint of a Prometheus text exposition. */
export async function promtoolCheckMetrics(text: string): Promise<Opinion> {
  const { promtool } = await ensurePrometheus();
  const { ok, output } = await run(promtool, ["check", "metrics"], { stdin: text, mayFail: true });
  return { ok, output };
}

/** `promtool check rules` of one file. */
export async function promtoolCheckRules(file: string): Promise<Opinion> {
  const { promtool } = await ensurePrometheus();
  const { ok, output } = await run(promtool, ["check", "rules", "--lint=all", file], { mayFail: true });
  return { ok, output };
}

/** `promtool test rules` of one test file. */
export async function promtoolTestRules(file: string): Promise<Opinion> {
  const { promtool } = await ensurePrometheus();
  const { ok, output } = await run(promtool, ["test", "rules", file], { mayFail: true, withinMs: 300_000 });
  return { ok, output };
}
