// MLflow 3: an alias or a stage says what is in production, metrics go to the version's run and logged model, ground truth to its
// traces. Calls as in mlflow/protos/service.proto and model_registry.proto; names follow REST API 2.0 and, for traces, 3.0.

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
} from "../registry.ts";
import { failed, unsupported, VERSIONS_MAX } from "../registry.ts";
import { done, picked, type RegistryHttp } from "../registry-http.ts";
import { allPages } from "../registry-pages.ts";
import { Remembered } from "../remembered.ts";
import { writeAssessment } from "./mlflow-labels.ts";
import { API, evaluationOf, logFigures, metric, pair, withRun } from "./mlflow-runs.ts";

/** MLflow numbers versions itself; the name that we gave one stands in this tag. */
const NAME_TAG = "outrider.version";
const PAGE = 200;
/** Tags written of one note. */
const TAGS_MAX = 50;

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
const versionsPage = z.object({
  model_versions: z.array(modelVersion).nullish(),
  next_page_token: z.string().nullish(),
});

type ModelVersion = z.output<typeof modelVersion>;

export interface MlflowOptions {
  readonly alias: string;
  /** Not null: this stage decides instead of the alias. */
  readonly stage: string | null;
  /** What is written of live quality: metrics of the run, tags of the version. */
  readonly writes: ReadonlySet<string>;
  /** Name of the model there. */
  readonly registeredName: (model: string) => string;
}

function nameOf({ version, tags }: ModelVersion): string {
  return tags?.find(({ key }) => key === NAME_TAG)?.value ?? version;
}

function versionOf(given: ModelVersion): RegistryVersion {
  const { status, source, description, tags, model_params, model_metrics } = given;
  return {
    version: nameOf(given),
    status: status ?? null,
    artifactUri: source ?? null,
    description: description === undefined || description === "" ? null : description,
    tags: Object.fromEntries((tags ?? []).map(({ key, value }) => [key, value])),
    parameters: Object.fromEntries((model_params ?? []).map(({ name, value }) => [name, value])),
    evaluation: evaluationOf((model_metrics ?? []).map(({ key, value }) => [key, value])),
  };
}

/** An alias that is not set is 400 here, not 404. */
function noAlias(reply: Reply<unknown>): boolean {
  return (
    reply.kind === "none" ||
    (reply.kind === "failed" && /INVALID_PARAMETER_VALUE: .*alias .* not found/i.test(reply.message))
  );
}

export class Mlflow implements Registry {
  readonly type = "mlflow";
  readonly can: ReadonlySet<Capability> = new Set([
    "current",
    "versions",
    "promotion",
    "registration",
    "metrics",
    "labels",
  ]);
  readonly source: string;
  readonly #http: RegistryHttp;
  readonly #options: MlflowOptions;
  readonly #tags = new Remembered();

  constructor(http: RegistryHttp, options: MlflowOptions) {
    this.#http = http;
    this.#options = options;
    const { stage, alias } = options;
    this.source = stage === null ? `mlflow alias ${alias}` : `mlflow stage ${stage}`;
  }

  async current(model: string): Promise<Reply<RegistryVersion>> {
    const name = this.#options.registeredName(model);
    const { alias, stage } = this.#options;
    if (stage !== null) return await this.#inStage(name, stage);
    const reply = await this.#versionAt(`${API}/registered-models/alias`, { name, alias });
    if (noAlias(reply)) return { kind: "none", message: `no version of ${name} has the alias ${alias}` };
    return reply.kind === "ok" ? { kind: "ok", value: versionOf(reply.value) } : reply;
  }

  async #inStage(name: string, stage: string): Promise<Reply<RegistryVersion>> {
    const path = `${API}/registered-models/get-latest-versions`;
    const reply = picked(
      await this.#http.call({ method: "POST", path, body: { name, stages: [stage] } }),
      (json) => versionsPage.safeParse(json).data ?? null,
    );
    if (reply.kind !== "ok") return reply;
    const [latest] = reply.value.model_versions ?? [];
    if (latest === undefined)
      return { kind: "none", message: `no version of ${name} is in the stage ${stage}` };
    return { kind: "ok", value: versionOf(latest) };
  }

  async version(model: string, version: string): Promise<Reply<RegistryVersion>> {
    const found = await this.#find(model, version);
    if (found.kind !== "ok") return found;
    return { kind: "ok", value: await withRun(this.#http, versionOf(found.value), found.value.run_id) };
  }

  /** By its number, or by the name that we gave it. */
  async #find(model: string, version: string): Promise<Reply<ModelVersion>> {
    const name = this.#options.registeredName(model);
    if (/^\d{1,18}$/.test(version)) {
      const reply = await this.#versionAt(`${API}/model-versions/get`, { name, version });
      if (reply.kind !== "none" && (reply.kind !== "ok" || nameOf(reply.value) === version)) return reply;
    }
    // The filter language has no way to write a quote inside of quotes.
    const nameless = { kind: "none", message: `MLflow knows no version ${version} of ${name}` } as const;
    if (/['"`]/.test(version + name)) return nameless;
    const filter = `name='${name}' and tags.\`${NAME_TAG}\`='${version}'`;
    const reply = await this.#search(filter, 1, null);
    if (reply.kind !== "ok") return reply;
    const [found] = reply.value.items;
    return found === undefined ? nameless : { kind: "ok", value: found };
  }

  async #search(
    filter: string,
    pageSize: number,
    pageToken: string | null,
  ): Promise<Reply<{ readonly items: readonly ModelVersion[]; readonly next: string | null }>> {
    const query = {
      filter,
      max_results: String(pageSize),
      ...(pageToken === null ? {} : { page_token: pageToken }),
    };
    const reply = await this.#http.call({ method: "GET", path: `${API}/model-versions/search`, query });
    return picked(reply, (json) => {
      const page = versionsPage.safeParse(json).data;
      return page === undefined
        ? null
        : { items: page.model_versions ?? [], next: page.next_page_token ?? null };
    });
  }

  async #versionAt(path: string, query: Record<string, string>): Promise<Reply<ModelVersion>> {
    const reply = await this.#http.call({ method: "GET", path, query });
    return picked(reply, (json) => versionAnswer.safeParse(json).data?.model_version ?? null);
  }

  async versions(model: string): Promise<Reply<readonly RegistryVersion[]>> {
    const name = this.#options.registeredName(model);
    if (name.includes("'")) return failed("a name with a quote cannot be searched for", false);
    const all = await allPages((pageToken) => this.#search(`name='${name}'`, PAGE, pageToken));
    if (all.kind !== "ok") return all;
    const sorted = all.value.toSorted((a, b) => Number(a.version) - Number(b.version));
    return { kind: "ok", value: sorted.slice(-VERSIONS_MAX).map(versionOf) };
  }

  async promote(model: string, version: string): Promise<Reply<null>> {
    const found = await this.#find(model, version);
    if (found.kind !== "ok") return found;
    const name = this.#options.registeredName(model);
    const { alias, stage } = this.#options;
    const { version: number } = found.value;
    if (stage === null) return await this.#post("registered-models/alias", { name, alias, version: number });
    const body = { name, version: number, stage, archive_existing_versions: true };
    return await this.#post("model-versions/transition-stage", body);
  }

  async #post(call: string, body: Readonly<Record<string, unknown>>): Promise<Reply<null>> {
    return done(await this.#http.call({ method: "POST", path: `${API}/${call}`, body }));
  }

  /** Looks first: after an outcome that was not heard the version is not made twice. */
  async register(model: string, note: RegistrationNote): Promise<Reply<null>> {
    const found = await this.#find(model, note.version);
    if (found.kind === "ok") return { kind: "ok", value: null };
    if (found.kind !== "none") return found;
    const name = this.#options.registeredName(model);
    const created = await this.#createVersion(name, note);
    if (created.kind !== "none") return created;
    const made = await this.#post("registered-models/create", { name });
    const there = made.kind === "failed" && made.message.includes("RESOURCE_ALREADY_EXISTS");
    return made.kind === "ok" || there ? await this.#createVersion(name, note) : made;
  }

  #createVersion(name: string, note: RegistrationNote): Promise<Reply<null>> {
    const tags = Object.entries({ ...note.tags, [NAME_TAG]: note.version });
    const run = /^runs:\/([^/]+)/.exec(note.artifactUri)?.[1];
    const logged = /^models:\/(m-[^/]+)$/.exec(note.artifactUri)?.[1];
    return this.#post("model-versions/create", {
      name,
      source: note.artifactUri,
      tags: tags.map(([key, value]) => ({ key, value })),
      ...(note.description === null ? {} : { description: note.description }),
      ...(run === undefined ? {} : { run_id: run }),
      ...(logged === undefined ? {} : { model_id: logged }),
    });
  }

  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const { writes } = this.#options;
    const found = await this.#find(model, note.version);
    if (found.kind !== "ok") return found;
    const { version, run_id, model_id } = found.value;
    const runId = run_id ?? "";
    if (writes.has("metrics") && runId !== "") {
      const logged = await logFigures(this.#http, { runId, modelId: model_id || null }, note);
      if (logged.kind !== "ok") return logged;
    }
    // A version without a run has no metrics; its tags are what it can be told.
    const tags = writes.has("tags") || runId === "";
    return tags ? await this.#tagQuality(model, version, note) : { kind: "ok", value: null };
  }

  async #tagQuality(model: string, version: string, note: QualityNote): Promise<Reply<null>> {
    const name = this.#options.registeredName(model);
    for (const { window, metric: of, value, samples } of note.figures.slice(0, TAGS_MAX)) {
      const tag = { name, version, key: `outrider.${window}.${of}`, value: `${value} (n=${samples})` };
      const which = `${name}\0${version}\0${tag.key}`;
      if (this.#tags.has(which, tag.value)) continue;
      const reply = await this.#post("model-versions/set-tag", tag);
      if (reply.kind !== "ok") return reply;
      this.#tags.set(which, tag.value);
    }
    return { kind: "ok", value: null };
  }

  writeLabel(_model: string, note: LabelNote): Promise<Reply<null>> {
    return writeAssessment(this.#http, note);
  }

  readBack(_model: string, _now: number): Promise<Reply<readonly ReadBack[]>> {
    return Promise.resolve(unsupported(this.type, "a comparison by version"));
  }
}
