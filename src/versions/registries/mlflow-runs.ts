// Runs as MLflow and Databricks keep them: parameters and metrics read, live metrics written where they changed.

import * as z from "zod";
import type { QualityNote, RegistryVersion, Reply } from "../registry.ts";
import { done, picked, type RegistryHttp } from "../registry-http.ts";

export const API = "/api/2.0/mlflow";
/** Figures of one log-batch call, each with its samples: 1,000 metrics are allowed. */
const BATCH_MAX = 500;

/** JSON has no NaN: the server writes it, and infinities, as text. */
const number = z.union([z.number(), z.string().transform(Number)]);
export const pair = z.object({ key: z.string(), value: z.string().catch("") });
export const metric = z.object({ key: z.string(), value: number });

const runAnswer = z.object({
  run: z.object({
    data: z.object({ metrics: z.array(metric).optional(), params: z.array(pair).optional() }).optional(),
  }),
});

interface RunData {
  readonly metrics: ReadonlyMap<string, number>;
  readonly params: Readonly<Record<string, string>>;
}

export async function readRun(http: RegistryHttp, runId: string): Promise<Reply<RunData>> {
  const reply = await http.call({ method: "GET", path: `${API}/runs/get`, query: { run_id: runId } });
  return picked(reply, (json) => {
    const answer = runAnswer.safeParse(json).data;
    if (answer === undefined) return null;
    const { metrics = [], params = [] } = answer.run.data ?? {};
    return {
      metrics: new Map(metrics.map(({ key, value }) => [key, value])),
      params: Object.fromEntries(params.map(({ key, value }) => [key, value])),
    };
  });
}

/** Finite numbers that are not what we wrote there ourselves. */
export function evaluationOf(metrics: Iterable<readonly [string, number]>): Record<string, number> {
  return Object.fromEntries(
    [...metrics].filter(([key, value]) => Number.isFinite(value) && !key.startsWith("outrider/")),
  );
}

/** Adds parameters and evaluation of the run that made the version, where the version itself does not hold them. */
export async function withRun(
  http: RegistryHttp,
  version: RegistryVersion,
  runId: string | null | undefined,
): Promise<RegistryVersion> {
  const empty = runId === null || runId === undefined || runId === "";
  if (empty || Object.keys(version.evaluation).length > 0) return version;
  const run = await readRun(http, runId);
  if (run.kind !== "ok") return version;
  return {
    ...version,
    parameters: { ...run.value.params, ...version.parameters },
    evaluation: evaluationOf(run.value.metrics),
  };
}

/** Allowed characters of a metric key: alphanumerics, `_ - . /` and space. */
function metricKey(window: string, name: string): string {
  return `outrider/${window}/${name}`.replaceAll(/[^\w\-./ ]/g, "_");
}

/** The note's metrics that the run does not hold yet: a write whose outcome is not known is not made twice. */
export async function logFigures(
  http: RegistryHttp,
  { runId, modelId }: { readonly runId: string; readonly modelId: string | null },
  note: QualityNote,
): Promise<Reply<null>> {
  const run = await readRun(http, runId);
  if (run.kind !== "ok") return run;
  const timestamp = Math.floor(note.at);
  // The step tells writes of one version apart in order.
  const common = {
    timestamp,
    step: Math.floor(note.at / 1000),
    ...(modelId === null ? {} : { model_id: modelId }),
  };
  const metrics = note.figures.slice(0, BATCH_MAX).flatMap(({ window, metric: name, value, samples }) =>
    [
      { key: metricKey(window, name), value, ...common },
      { key: metricKey(window, `${name}_samples`), value: samples, ...common },
    ].filter(({ key, value: figure }) => run.value.metrics.get(key) !== figure),
  );
  if (metrics.length === 0) return { kind: "ok", value: null };
  return done(
    await http.call({ method: "POST", path: `${API}/runs/log-batch`, body: { run_id: runId, metrics } }),
  );
}
