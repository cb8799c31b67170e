// Unity Catalog OSS: versions and their status can be read, and a comment written. It has no alias, stage, tag or metric:
// what is in production is decided in our own ledger. Paths of api/all.yaml below /api/2.1/unity-catalog.

import * as z from "zod";
import type { Capability, LabelNote, QualityNote, Registry, RegistryVersion, Reply } from "../registry.ts";
import { unsupported } from "../registry.ts";
import { done, picked, segment, type RegistryHttp } from "../registry-http.ts";

const UC = "/api/2.1/unity-catalog/models";
const BEGIN = "<!-- outrider:";
const END = " -->";
/** Of the block that we write; a comment is for people. */
const BLOCK_MAX = 2000;

const modelVersion = z.object({
  version: z.union([z.string(), z.number()]).transform(String),
  status: z.string().nullish(),
  source: z.string().nullish(),
  comment: z.string().nullish(),
});
type ModelVersion = z.output<typeof modelVersion>;

/** A version as Unity Catalog knows it, at Databricks as well: status, source and a comment. */
export function commentedVersion(given: {
  readonly version: string;
  readonly status?: string | null | undefined;
  readonly source?: string | null | undefined;
  readonly comment?: string | null | undefined;
}): RegistryVersion {
  return {
    version: given.version,
    status: given.status ?? null,
    artifactUri: given.source ?? null,
    description: given.comment ?? null,
    tags: {},
    parameters: {},
    evaluation: {},
  };
}

/** `comment` with our block replaced or added; not a letter outside the block changes. */
export function withBlock(comment: string, content: string): string {
  const block = `${BEGIN}${content.slice(0, BLOCK_MAX)}${END}`;
  const from = comment.indexOf(BEGIN);
  const to = from < 0 ? -1 : comment.indexOf(END, from);
  if (from >= 0 && to >= 0) return comment.slice(0, from) + block + comment.slice(to + END.length);
  return comment === "" ? block : `${comment}\n${block}`;
}

export interface UnityCatalogOptions {
  /** `catalog.schema.model`. */
  readonly registeredName: (model: string) => string;
}

export class UnityCatalog implements Registry {
  readonly type = "unity-catalog";
  readonly can: ReadonlySet<Capability> = new Set(["metadata", "metrics"]);
  readonly source = "unity-catalog";
  readonly #http: RegistryHttp;
  readonly #options: UnityCatalogOptions;

  constructor(http: RegistryHttp, options: UnityCatalogOptions) {
    this.#http = http;
    this.#options = options;
  }

  #path(model: string, version: string): string {
    return `${UC}/${segment(this.#options.registeredName(model))}/versions/${segment(version)}`;
  }

  current(_model: string): Promise<Reply<RegistryVersion>> {
    return Promise.resolve(unsupported(this.type, "a declared version (no alias or stage exists)"));
  }

  async version(model: string, version: string): Promise<Reply<RegistryVersion>> {
    const reply = await this.#get(model, version);
    if (reply.kind !== "ok") return reply;
    return { kind: "ok", value: commentedVersion(reply.value) };
  }

  async #get(model: string, version: string): Promise<Reply<ModelVersion>> {
    const reply = await this.#http.call({ method: "GET", path: this.#path(model, version) });
    return picked(reply, (json) => modelVersion.safeParse(json).data ?? null);
  }

  promote(_model: string, _version: string): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "promotion and rollback"));
  }

  /** Read, change our block, write: this API knows no compare-and-set. */
  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const found = await this.#get(model, note.version);
    if (found.kind !== "ok") return found;
    const figures = note.figures.map(({ window, metric, value, samples }) => [
      window,
      metric,
      value,
      samples,
    ]);
    const before = found.value.comment ?? "";
    const comment = withBlock(before, JSON.stringify({ at: new Date(note.at).toISOString(), figures }));
    if (comment === before) return { kind: "ok", value: null };
    return done(
      await this.#http.call({ method: "PATCH", path: this.#path(model, note.version), body: { comment } }),
    );
  }

  writeLabel(_model: string, _note: LabelNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "labels"));
  }
}
