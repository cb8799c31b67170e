// Which version answered: from the one configured source, or from wherever servers commonly put it.

import { readPath } from "../kernel/jsonpath.ts";
import type { CompiledRule } from "./compile.ts";
import type { Heads } from "./heads.ts";
import { firstOwn, isObject, own } from "./json.ts";
import { operationOf } from "./openai.ts";
import { UNKNOWN_VERSION, versionName } from "./names.ts";

export interface VersionClues {
  readonly rule: CompiledRule | null;
  readonly body: unknown;
  readonly responseHeads: Heads;
  readonly pathVersion: string | null;
  /** What the relay told the client. */
  readonly announced: string | null;
  readonly external: () => string | null;
}

const BODY_NAMES: readonly string[] = ["model_version", "modelVersion"];

/** `model_version`, `model.version`, or `version` of an answer. */
function bodyVersion(body: unknown): string | null {
  if (!isObject(body)) return null;
  const model = own(body, "model");
  const inModel = isObject(model) ? versionName(own(model, "version")) : null;
  return versionName(firstOwn(body, BODY_NAMES)) ?? inModel ?? versionName(own(body, "version"));
}

/** Generating models have no version; what stands for one is the fingerprint of what served them. */
function fingerprint(body: unknown): string | null {
  return isObject(body) && operationOf(body) !== null ? versionName(own(body, "system_fingerprint")) : null;
}

function fromRule(clues: VersionClues, source: NonNullable<CompiledRule["version"]>): string | null {
  switch (source.kind) {
    case "static":
      return versionName(source.version);
    case "header":
      return versionName(clues.responseHeads.get(source.name));
    case "body":
      return versionName(readPath(clues.body, source.at));
    case "path":
      return clues.pathVersion;
    case "external":
      return clues.announced ?? clues.external();
    default:
      return source satisfies never;
  }
}

/** The version, or "unknown". Without a rule: answer's body, its header, path, announced by the relay, outside source. */
export function versionOf(clues: VersionClues): string {
  const { rule } = clues;
  if (rule !== null && rule.version !== null) return fromRule(clues, rule.version) ?? UNKNOWN_VERSION;
  const configured =
    rule === null || rule.bodyVersion === null ? undefined : readPath(clues.body, rule.bodyVersion);
  return (
    versionName(configured) ??
    bodyVersion(clues.body) ??
    fingerprint(clues.body) ??
    versionName(clues.responseHeads.get("x-model-version")) ??
    versionName(clues.responseHeads.get("x-litellm-model-id")) ??
    clues.pathVersion ??
    versionName(clues.announced ?? clues.external()) ??
    UNKNOWN_VERSION
  );
}
