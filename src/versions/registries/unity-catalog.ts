// Unity Catalog OSS: versions and their status can be read, and a comment written. It has no alias, stage, tag or metric:
// what is in production is decided in our own ledger. Paths of api/all.yaml below /api/2.1/unity-catalog.

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
import { unsupported, VERSIONS_MAX } from "../registry.ts";
import { done, picked, segment, type RegistryHttp } from "../registry-http.ts";
import { allPages } from "../registry-pages.ts";

export const UC = "/api/2.1/unity-catalog/models";
const BEGIN = "<!-- outrider:";
const END = " -->";
/** Of the block that we write; a comment is for people. */
const BLOCK_MAX = 2000;

export const ucVersion = z.object({
  version: z.union([z.string(), z.number()]).transform(String),
  status: z.string().nullish(),
  source: z.string().nullish(),
  comment: z.string().nullish(),
  run_id: z.string().nullish(),
});
export type UcVersion = z.output<typeof ucVersion>;

const versionsPage = z.object({
  model_versions: z.array(ucVersion).nullish(),
  next_page_token: z.string().nullish(),
});

/** A version as Unity Catalog knows it, at Databricks as well: status, source and a comment. */
export function commentedVersion(given: UcVersion): RegistryVersion {
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
  const block = `${BEGIN}${content}${END}`;
  const from = comment.indexOf(BEGIN);
  const to = from < 0 ? -1 : comment.indexOf(END, from);
  if (from >= 0 && to >= 0) return comment.slice(0, from) + block + comment.slice(to + END.length);
  return comment === "" ? block : `${comment}\n${block}`;
}

/** JSON of as many figures as fit into the block. */
function contentOf({ at, figures }: QualityNote): string {
  const rows = figures.map(({ window, metric, value, samples }) => [window, metric, value, samples]);
  for (;;) {
    const text = JSON.stringify({ at: new Date(at).toISOString(), figures: rows });
    if (text.length <= BLOCK_MAX || rows.length === 0) return text;
    rows.pop();
  }
}

/** Reads a version's comment, replaces our block in it, writes it back: the API knows no compare-and-set. */
export async function writeComment(
  http: RegistryHttp,
  path: string,
  note: QualityNote,
): Promise<Reply<null>> {
  const found = await readVersion(http, path, {});
  if (found.kind !== "ok") return found;
  const before = found.value.comment ?? "";
  const comment = withBlock(before, contentOf(note));
  if (comment === before) return { kind: "ok", value: null };
  return done(await http.call({ method: "PATCH", path, body: { comment } }));
}

export async function readVersion(
  http: RegistryHttp,
  path: string,
  query: Record<string, string>,
): Promise<Reply<UcVersion>> {
  return picked(
    await http.call({ method: "GET", path, query }),
    (json) => ucVersion.safeParse(json).data ?? null,
  );
}

/** Every version, oldest first: pages come in no order, and an empty one may have a next. */
export async function readVersions(
  http: RegistryHttp,
  path: string,
  pageSize: number,
): Promise<Reply<readonly RegistryVersion[]>> {
  const pages = await allPages(async (pageToken) => {
    const query = { max_results: String(pageSize), ...(pageToken === null ? {} : { page_token: pageToken }) };
    return picked(await http.call({ method: "GET", path, query }), (json) => {
      const page = versionsPage.safeParse(json).data;
      return page === undefined
        ? null
        : { items: page.model_versions ?? [], next: page.next_page_token ?? null };
    });
  });
  if (pages.kind !== "ok") return pages;
  const sorted = pages.value.toSorted((a, b) => Number(a.version) - Number(b.version));
  return { kind: "ok", value: sorted.slice(-VERSIONS_MAX).map(commentedVersion) };
}

export interface UnityCatalogOptions {
  /** `catalog.schema.model`. */
  readonly registeredName: (model: string) => string;
}

export class UnityCatalog implements Registry {
  readonly type = "unity-catalog";
  readonly can: ReadonlySet<Capability> = new Set(["versions", "metrics"]);
  readonly source = "unity-catalog";
  readonly #http: RegistryHttp;
  readonly #options: UnityCatalogOptions;

  constructor(http: RegistryHttp, options: UnityCatalogOptions) {
    this.#http = http;
    this.#options = options;
  }

  #versions(model: string): string {
    return `${UC}/${segment(this.#options.registeredName(model))}/versions`;
  }

  current(_model: string): Promise<Reply<RegistryVersion>> {
    return Promise.resolve(unsupported(this.type, "a declared version (no alias or stage exists)"));
  }

  async version(model: string, version: string): Promise<Reply<RegistryVersion>> {
    const reply = await readVersion(this.#http, `${this.#versions(model)}/${segment(version)}`, {});
    return reply.kind === "ok" ? { kind: "ok", value: commentedVersion(reply.value) } : reply;
  }

  versions(model: string): Promise<Reply<readonly RegistryVersion[]>> {
    return readVersions(this.#http, this.#versions(model), 50);
  }

  promote(_model: string, _version: string): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "promotion and rollback"));
  }

  register(_model: string, _note: RegistrationNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "registration without the artifact"));
  }

  writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    if (!isNumber(note.version)) return Promise.resolve(noSuchNumber(note.version));
    return writeComment(this.#http, `${this.#versions(model)}/${segment(note.version)}`, note);
  }

  writeLabel(_model: string, _note: LabelNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "labels"));
  }

  readBack(_model: string, _now: number): Promise<Reply<readonly ReadBack[]>> {
    return Promise.resolve(unsupported(this.type, "a comparison by version"));
  }
}

/** Versions are whole numbers here; another name needs no call to be known as absent. */
export function isNumber(version: string): boolean {
  return /^\d{1,18}$/.test(version);
}

export function noSuchNumber(version: string): { kind: "none"; message: string } {
  return { kind: "none", message: `Unity Catalog versions are whole numbers, not "${version}"` };
}
