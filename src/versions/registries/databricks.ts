// Databricks: Unity Catalog aliases say what is in production, or a serving endpoint which version it sends traffic to; metrics go
// to runs. Paths as its SDK and MLflow's client call them: /api/2.1/unity-catalog/models, /api/2.0/serving-endpoints, /api/2.0/mlflow.

import * as z from "zod";
import type {
  Capability,
  LabelNote,
  QualityNote,
  ReadBack,
  RegistrationNote,
  Registry,
  RegistryVersion,
  Reply,
  TrafficShare,
} from "../registry.ts";
import { failed, unsupported } from "../registry.ts";
import { done, picked, segment, type RegistryHttp } from "../registry-http.ts";
import { Remembered } from "../remembered.ts";
import { logFigures, pair, withRun } from "./mlflow-runs.ts";
import {
  commentedVersion,
  isNumber,
  noSuchNumber,
  readVersion,
  readVersions,
  UC,
  type UcVersion,
  writeComment,
} from "./unity-catalog.ts";

/** Tags are only known to MLflow's own path, where a version is text. */
const TAGS = "/api/2.0/mlflow/unity-catalog/model-versions";
/** A version takes 50 tags; some are the user's own. */
const TAGS_MAX = 20;

const endpointAnswer = z.object({
  config: z.object({
    served_entities: z
      .array(
        z.object({
          name: z.string().nullish(),
          entity_name: z.string().nullish(),
          entity_version: z.union([z.string(), z.number()]).transform(String).nullish(),
        }),
      )
      .nullish(),
    traffic_config: z
      .object({
        routes: z
          .array(
            z.object({
              served_model_name: z.string().nullish(),
              served_entity_name: z.string().nullish(),
              traffic_percentage: z.number(),
            }),
          )
          .nullish(),
      })
      .nullish(),
  }),
});
const tagsAnswer = z.object({ model_version: z.object({ tags: z.array(pair).nullish() }) });

export interface DatabricksOptions {
  readonly alias: string;
  /** `catalog.schema.model`. */
  readonly registeredName: (model: string) => string;
  /** Name of a serving endpoint; null: aliases decide. */
  readonly endpoint: string | null;
  /** What is written of live quality: metrics of the run, tags and comment of the version. */
  readonly writes: ReadonlySet<string>;
}

type Endpoint = z.output<typeof endpointAnswer>["config"];

/** How the endpoint's traffic is split over the versions of `full`; a lone entity without routes gets all of it. */
function splitOf({ served_entities, traffic_config }: Endpoint, full: string): TrafficShare[] {
  const routes = traffic_config?.routes ?? [];
  const shares = new Map<string, number>();
  for (const { name, entity_name, entity_version } of served_entities ?? []) {
    if (entity_name !== full || entity_version === null || entity_version === undefined) continue;
    const percent =
      routes.length === 0
        ? 100
        : routes
            .filter((route) => (route.served_entity_name ?? route.served_model_name) === name)
            .reduce((sum, route) => sum + route.traffic_percentage, 0);
    shares.set(entity_version, (shares.get(entity_version) ?? 0) + percent);
  }
  return [...shares]
    .map(([version, percent]) => ({ version, percent }))
    .toSorted((a, b) => b.percent - a.percent);
}

export class Databricks implements Registry {
  readonly type = "databricks";
  readonly can: ReadonlySet<Capability>;
  readonly source: string;
  readonly #http: RegistryHttp;
  readonly #options: DatabricksOptions;
  readonly #tags = new Remembered();

  constructor(http: RegistryHttp, options: DatabricksOptions) {
    this.#http = http;
    this.#options = options;
    const { endpoint, alias } = options;
    this.source = endpoint === null ? `databricks alias ${alias}` : `databricks endpoint ${endpoint}`;
    // An endpoint's traffic is not moved by an alias.
    this.can = new Set([
      "current",
      "versions",
      "metrics",
      ...(endpoint === null ? ["promotion" as const] : []),
    ]);
  }

  #path(model: string): string {
    return `${UC}/${segment(this.#options.registeredName(model))}`;
  }

  async current(model: string): Promise<Reply<RegistryVersion>> {
    const { endpoint, alias } = this.#options;
    if (endpoint !== null) return await this.#served(model, endpoint);
    const path = `${this.#path(model)}/aliases/${segment(alias)}`;
    const reply = await readVersion(this.#http, path, { include_aliases: "true" });
    return reply.kind === "ok" ? { kind: "ok", value: commentedVersion(reply.value) } : reply;
  }

  async version(model: string, version: string): Promise<Reply<RegistryVersion>> {
    const reply = await this.#versionOf(model, version);
    if (reply.kind !== "ok") return reply;
    const name = this.#options.registeredName(model);
    const query = { name, version };
    const tags = picked(
      await this.#http.call({ method: "GET", path: `${TAGS}/get`, query }),
      (json) => tagsAnswer.safeParse(json).data?.model_version.tags ?? null,
    );
    // Tags are an addition: without them the version is still one.
    const known = tags.kind === "ok" ? tags.value.map(({ key, value }) => [key, value] as const) : [];
    const described = { ...commentedVersion(reply.value), tags: Object.fromEntries(known) };
    return { kind: "ok", value: await withRun(this.#http, described, reply.value.run_id) };
  }

  #versionOf(model: string, version: string): Promise<Reply<UcVersion>> {
    if (!isNumber(version)) return Promise.resolve(noSuchNumber(version));
    return readVersion(this.#http, `${this.#path(model)}/versions/${segment(version)}`, {});
  }

  versions(model: string): Promise<Reply<readonly RegistryVersion[]>> {
    return readVersions(this.#http, `${this.#path(model)}/versions`, 100);
  }

  /** The version of our model to which the endpoint sends most of the traffic. */
  async #served(model: string, endpoint: string): Promise<Reply<RegistryVersion>> {
    const path = `/api/2.0/serving-endpoints/${segment(endpoint)}`;
    const reply = picked(
      await this.#http.call({ method: "GET", path }),
      (json) => endpointAnswer.safeParse(json).data?.config ?? null,
    );
    if (reply.kind !== "ok") return reply;
    const full = this.#options.registeredName(model);
    const split = splitOf(reply.value, full);
    const [most] = split;
    if (most === undefined)
      return { kind: "none", message: `the endpoint ${endpoint} serves no version of ${full}` };
    return { kind: "ok", value: { ...commentedVersion({ version: most.version }), split } };
  }

  async promote(model: string, version: string): Promise<Reply<null>> {
    if (this.#options.endpoint !== null)
      return unsupported(this.type, "moving an endpoint's traffic by promotion");
    if (!isNumber(version)) return failed(noSuchNumber(version).message, false);
    const path = `${this.#path(model)}/aliases/${segment(this.#options.alias)}`;
    return done(await this.#http.call({ method: "PUT", path, body: { version_num: Number(version) } }));
  }

  register(_model: string, _note: RegistrationNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "registration without the artifact"));
  }

  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const { writes } = this.#options;
    const found = await this.#versionOf(model, note.version);
    if (found.kind !== "ok") return found;
    const runId = found.value.run_id ?? "";
    if (writes.has("metrics") && runId !== "") {
      const logged = await logFigures(this.#http, { runId, modelId: null }, note);
      if (logged.kind !== "ok") return logged;
    }
    if (writes.has("comment")) {
      const path = `${this.#path(model)}/versions/${segment(note.version)}`;
      const commented = await writeComment(this.#http, path, note);
      if (commented.kind !== "ok") return commented;
    }
    const tags = writes.has("tags") || (writes.has("metrics") && runId === "");
    return tags ? await this.#tagQuality(model, note) : { kind: "ok", value: null };
  }

  async #tagQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const name = this.#options.registeredName(model);
    for (const { window, metric, value, samples } of note.figures.slice(0, TAGS_MAX)) {
      // Tag keys there may not hold . , - = / or :
      const key = `outrider_${window}_${metric}`.replaceAll(/[^\w ]/g, "_");
      const body = { name, version: note.version, key, value: `${value} (n=${samples})` };
      const which = `${name}\0${note.version}\0${key}`;
      if (this.#tags.has(which, body.value)) continue;
      const reply = done(await this.#http.call({ method: "POST", path: `${TAGS}/set-tag`, body }));
      if (reply.kind !== "ok") return reply;
      this.#tags.set(which, body.value);
    }
    return { kind: "ok", value: null };
  }

  writeLabel(_model: string, _note: LabelNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "labels on traces in Unity Catalog tables"));
  }

  readBack(_model: string, _now: number): Promise<Reply<readonly ReadBack[]>> {
    return Promise.resolve(unsupported(this.type, "a comparison by version"));
  }
}
