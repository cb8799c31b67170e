// MLflow 3: aliases say what is in production, metrics go to the version's run and logged model, ground truth to its traces.
// Calls as in mlflow/protos/service.proto and model_registry.proto; names follow REST API 2.0 and, for traces, 3.0.

import * as z from "zod";
import { createHash } from "node:crypto";
import type { Capability, LabelNote, QualityNote, Registry, RegistryVersion, Reply } from "../registry.ts";
import { done, picked, segment, type RegistryHttp } from "../registry-http.ts";

const API = "/api/2.0/mlflow";
const TRACES = "/api/3.0/mlflow/traces";
const ASSESSMENT = "ground_truth";
const SOURCE = "outrider";
/** Metrics of one log-batch call. */
const BATCH_MAX = 500;

const pair = z.object({ key: z.string(), value: z.string().catch("") });
const metric = z.object({ key: z.string(), value: z.number() });
const modelVersion = z.object({
  version: z.union([z.string(), z.number()]).transform(String),
  status: z.string().nullish(),
  source: z.string().nullish(),
  description: z.string().nullish(),
  run_id: z.string().nullish(),
  model_id: z.string().nullish(),
  tags: z.array(pair).nullish(),
  model_params: z.array(z.object({ name: z.string(), value: z.string().catch("") })).nullish(),
  model_metrics: z.array(metric).nullish(),
});
const versionAnswer = z.object({ model_version: modelVersion });
const runAnswer = z.object({
  run: z.object({
    data: z.object({ metrics: z.array(metric).optional(), params: z.array(pair).optional() }).optional(),
  }),
});
const assessment = z.object({
  assessment_id: z.string(),
  assessment_name: z.string(),
  source: z.object({ source_id: z.string().optional() }).optional(),
  expectation: z.object({ value: z.unknown() }).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  valid: z.boolean().optional(),
});
const traceAnswer = z.object({
  trace: z.object({ trace_info: z.object({ assessments: z.array(assessment).optional() }) }),
});

type ModelVersion = z.output<typeof modelVersion>;

export interface MlflowOptions {
  readonly alias: string;
  /** Name of the model there. */
  readonly registeredName: (model: string) => string;
}

/** The paths and habits in which Databricks differs from MLflow itself. */
export function mlflowVersionOf(given: ModelVersion): RegistryVersion {
  const { version, status, source, description, tags, model_params, model_metrics } = given;
  return {
    version,
    status: status ?? null,
    artifactUri: source ?? null,
    description: description === undefined || description === "" ? null : description,
    tags: Object.fromEntries((tags ?? []).map(({ key, value }) => [key, value])),
    parameters: Object.fromEntries((model_params ?? []).map(({ name, value }) => [name, value])),
    evaluation: Object.fromEntries((model_metrics ?? []).map(({ key, value }) => [key, value])),
  };
}

/** Allowed characters of a metric key: alphanumerics, `_ - . /` and space. */
function metricKey(window: string, name: string): string {
  return `outrider/${window}/${name}`.replaceAll(/[^\w\-./ ]/g, "_");
}

/** Metrics as log-batch takes them; the step tells writes of one version apart in order. */
export function mlflowMetrics(note: QualityNote, modelId: string | null): Record<string, unknown>[] {
  const timestamp = Math.floor(note.at);
  const step = Math.floor(note.at / 1000);
  const of = modelId === null ? {} : { model_id: modelId };
  return note.figures.slice(0, BATCH_MAX).flatMap(({ window, metric: name, value, samples }) => [
    { key: metricKey(window, name), value, timestamp, step, ...of },
    { key: metricKey(window, `${name}_samples`), value: samples, timestamp, step, ...of },
  ]);
}

/** Alias names are unknown in two ways: 404 for the model, 400 for the alias. */
function noAlias(reply: Reply<unknown>): boolean {
  return reply.kind === "failed" && /INVALID_PARAMETER_VALUE|RESOURCE_DOES_NOT_EXIST/.test(reply.message);
}

export class Mlflow implements Registry {
  readonly type = "mlflow";
  readonly can: ReadonlySet<Capability> = new Set(["current", "metadata", "promotion", "metrics", "labels"]);
  readonly source: string;
  readonly #http: RegistryHttp;
  readonly #options: MlflowOptions;

  constructor(http: RegistryHttp, options: MlflowOptions) {
    this.#http = http;
    this.#options = options;
    this.source = `mlflow alias ${options.alias}`;
  }

  async current(model: string): Promise<Reply<RegistryVersion>> {
    const name = this.#options.registeredName(model);
    const { alias } = this.#options;
    const reply = await this.#versionAt(`${API}/registered-models/alias`, { name, alias });
    if (noAlias(reply)) return { kind: "none", message: `no version has the alias ${alias}` };
    return reply.kind === "ok" ? { kind: "ok", value: await this.#withRun(reply.value) } : reply;
  }

  async version(model: string, version: string): Promise<Reply<RegistryVersion>> {
    const reply = await this.#get(model, version);
    return reply.kind === "ok" ? { kind: "ok", value: await this.#withRun(reply.value) } : reply;
  }

  #get(model: string, version: string): Promise<Reply<ModelVersion>> {
    return this.#versionAt(`${API}/model-versions/get`, {
      name: this.#options.registeredName(model),
      version,
    });
  }

  async #versionAt(path: string, query: Record<string, string>): Promise<Reply<ModelVersion>> {
    const reply = await this.#http.call({ method: "GET", path, query });
    return picked(reply, (json) => versionAnswer.safeParse(json).data?.model_version ?? null);
  }

  /** Parameters and evaluation of the run that made the version, where the version itself does not hold them. */
  async #withRun(given: ModelVersion): Promise<RegistryVersion> {
    const version = mlflowVersionOf(given);
    const runId = given.run_id ?? "";
    if (runId === "" || Object.keys(version.evaluation).length > 0) return version;
    const reply = await this.#http.call({ method: "GET", path: `${API}/runs/get`, query: { run_id: runId } });
    const data = reply.kind === "ok" ? runAnswer.safeParse(reply.value.json).data?.run.data : undefined;
    // What we wrote there ourselves is no evaluation.
    const metrics = (data?.metrics ?? []).filter(({ key }) => !key.startsWith("outrider/"));
    return {
      ...version,
      parameters: {
        ...Object.fromEntries((data?.params ?? []).map(({ key, value }) => [key, value])),
        ...version.parameters,
      },
      evaluation: Object.fromEntries(metrics.map(({ key, value }) => [key, value])),
    };
  }

  async promote(model: string, version: string): Promise<Reply<null>> {
    const name = this.#options.registeredName(model);
    const body = { name, alias: this.#options.alias, version };
    return done(await this.#http.call({ method: "POST", path: `${API}/registered-models/alias`, body }));
  }

  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const found = await this.#get(model, note.version);
    if (found.kind !== "ok") return found;
    const runId = found.value.run_id ?? "";
    if (runId === "") return await this.#tagQuality(model, note);
    const metrics = mlflowMetrics(note, found.value.model_id ?? null);
    return done(
      await this.#http.call({
        method: "POST",
        path: `${API}/runs/log-batch`,
        body: { run_id: runId, metrics },
      }),
    );
  }

  /** A version without a run has no metrics; its tags are what it can be told. */
  async #tagQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const name = this.#options.registeredName(model);
    for (const { window, metric: of, value, samples } of note.figures.slice(0, 50)) {
      const key = `outrider.${window}.${of}`;
      const body = { name, version: note.version, key, value: `${value} (n=${samples})` };
      const reply = await this.#http.call({ method: "POST", path: `${API}/model-versions/set-tag`, body });
      if (reply.kind !== "ok") return reply;
    }
    return { kind: "ok", value: null };
  }

  async writeLabel(_model: string, note: LabelNote): Promise<Reply<null>> {
    const path = `${TRACES}/tr-${segment(note.traceId)}`;
    const trace = await this.#http.call({ method: "GET", path });
    const known = picked(
      trace,
      (json) => traceAnswer.safeParse(json).data?.trace.trace_info.assessments ?? [],
    );
    // The trace was sent, in a batch: the label may be faster.
    if (known.kind === "none")
      return { kind: "failed", message: "its trace is not there yet", retry: true, retryAfterMs: null };
    if (known.kind !== "ok") return known;
    const before = known.value.find(
      ({ assessment_name, source, valid, metadata }) =>
        assessment_name === ASSESSMENT &&
        source?.source_id === SOURCE &&
        valid !== false &&
        metadata?.["prediction_id"] === note.predictionId,
    );
    if (before !== undefined && before.expectation?.value === note.value) return { kind: "ok", value: null };
    const time = new Date(note.at).toISOString();
    const body = {
      assessment: {
        assessment_name: ASSESSMENT,
        source: { source_type: "CODE", source_id: SOURCE },
        create_time: time,
        last_update_time: time,
        expectation: { value: note.value },
        metadata: { prediction_id: note.predictionId },
        ...(before === undefined ? {} : { overrides: before.assessment_id }),
      },
    };
    return done(await this.#http.call({ method: "POST", path: `${path}/assessments`, body }));
  }
}

/** `n` hex digits that follow from `parts` alone: the same thing gets the same id again. */
export function stableHex(parts: readonly string[], n: number): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, n);
}
