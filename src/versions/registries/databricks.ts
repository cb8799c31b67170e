// Databricks: Unity Catalog aliases say what is in production; a serving endpoint tells what really serves; metrics go to runs.
// Paths as its SDK and MLflow's client call them: /api/2.1/unity-catalog/models, /api/2.0/serving-endpoints, /api/2.0/mlflow/runs.

import * as z from "zod";
import type { Capability, LabelNote, QualityNote, Registry, RegistryVersion, Reply } from "../registry.ts";
import { unsupported } from "../registry.ts";
import { done, picked, segment, type RegistryHttp } from "../registry-http.ts";
import { mlflowMetrics } from "./mlflow.ts";
import { commentedVersion } from "./unity-catalog.ts";

const UC = "/api/2.1/unity-catalog/models";

const modelVersion = z.object({
  version: z.union([z.string(), z.number()]).transform(String),
  status: z.string().nullish(),
  source: z.string().nullish(),
  comment: z.string().nullish(),
  run_id: z.string().nullish(),
});
const endpointAnswer = z.object({
  config: z.object({
    served_entities: z
      .array(
        z.object({
          name: z.string().optional(),
          entity_name: z.string().optional(),
          entity_version: z.string().optional(),
        }),
      )
      .optional(),
    traffic_config: z
      .object({
        routes: z
          .array(z.object({ served_model_name: z.string(), traffic_percentage: z.number() }))
          .optional(),
      })
      .optional(),
  }),
});

export interface DatabricksOptions {
  readonly alias: string;
  /** `catalog.schema.model`. */
  readonly registeredName: (model: string) => string;
  /** Name of a serving endpoint; null: aliases decide. */
  readonly endpoint: string | null;
}

type ModelVersion = z.output<typeof modelVersion>;

export class Databricks implements Registry {
  readonly type = "databricks";
  readonly can: ReadonlySet<Capability> = new Set(["current", "metadata", "promotion", "metrics"]);
  readonly source: string;
  readonly #http: RegistryHttp;
  readonly #options: DatabricksOptions;

  constructor(http: RegistryHttp, options: DatabricksOptions) {
    this.#http = http;
    this.#options = options;
    this.source =
      options.endpoint === null
        ? `databricks alias ${options.alias}`
        : `databricks endpoint ${options.endpoint}`;
  }

  #path(model: string): string {
    return `${UC}/${segment(this.#options.registeredName(model))}`;
  }

  async current(model: string): Promise<Reply<RegistryVersion>> {
    const { endpoint, alias } = this.#options;
    if (endpoint !== null) return await this.#served(model, endpoint);
    const path = `${this.#path(model)}/aliases/${segment(alias)}`;
    return await this.#at(path, { include_aliases: "true" });
  }

  version(model: string, version: string): Promise<Reply<RegistryVersion>> {
    return this.#at(`${this.#path(model)}/versions/${segment(version)}`, {});
  }

  async #at(path: string, query: Record<string, string>): Promise<Reply<RegistryVersion>> {
    const reply = await this.#version(path, query);
    return reply.kind === "ok" ? { kind: "ok", value: commentedVersion(reply.value) } : reply;
  }

  async #version(path: string, query: Record<string, string>): Promise<Reply<ModelVersion>> {
    const reply = await this.#http.call({ method: "GET", path, query });
    return picked(reply, (json) => modelVersion.safeParse(json).data ?? null);
  }

  /** The version of our model to which the endpoint sends most of the traffic. */
  async #served(model: string, endpoint: string): Promise<Reply<RegistryVersion>> {
    const path = `/api/2.0/serving-endpoints/${segment(endpoint)}`;
    const reply = picked(
      await this.#http.call({ method: "GET", path }),
      (json) => endpointAnswer.safeParse(json).data?.config ?? null,
    );
    if (reply.kind !== "ok") return reply;
    const shares = new Map(
      (reply.value.traffic_config?.routes ?? []).map((r) => [r.served_model_name, r.traffic_percentage]),
    );
    const full = this.#options.registeredName(model);
    const [most] = (reply.value.served_entities ?? [])
      .filter((entity) => entity.entity_name === full && entity.entity_version !== undefined)
      .toSorted((a, b) => (shares.get(b.name ?? "") ?? 0) - (shares.get(a.name ?? "") ?? 0));
    if (most?.entity_version === undefined)
      return { kind: "none", message: `the endpoint ${endpoint} serves no version of ${full}` };
    return await this.version(model, most.entity_version);
  }

  async promote(model: string, version: string): Promise<Reply<null>> {
    if (!/^\d+$/.test(version))
      return {
        kind: "failed",
        message: `Unity Catalog versions are whole numbers, not "${version}"`,
        retry: false,
        retryAfterMs: null,
      };
    const path = `${this.#path(model)}/aliases/${segment(this.#options.alias)}`;
    return done(await this.#http.call({ method: "PUT", path, body: { version_num: Number(version) } }));
  }

  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const found = await this.#version(`${this.#path(model)}/versions/${segment(note.version)}`, {});
    if (found.kind !== "ok") return found;
    const runId = found.value.run_id ?? "";
    if (runId === "") return await this.#tagQuality(model, note);
    const body = { run_id: runId, metrics: mlflowMetrics(note, null) };
    return done(await this.#http.call({ method: "POST", path: "/api/2.0/mlflow/runs/log-batch", body }));
  }

  /** Without a run: tags of the version, which only MLflow's path takes. */
  async #tagQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const path = "/api/2.0/mlflow/unity-catalog/model-versions/set-tag";
    const name = this.#options.registeredName(model);
    for (const { window, metric, value, samples } of note.figures.slice(0, 20)) {
      const key = `outrider_${window}_${metric}`;
      const body = { name, version: note.version, key, value: `${value} (n=${samples})` };
      const reply = await this.#http.call({ method: "POST", path, body });
      if (reply.kind !== "ok") return reply;
    }
    return { kind: "ok", value: null };
  }

  writeLabel(_model: string, _note: LabelNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "labels on traces in Unity Catalog tables"));
  }
}
