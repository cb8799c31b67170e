// What a request path says by itself: its route template, the model and version in it, and whether predictions live there.

import { OTHER, modelName, versionName } from "./names.ts";

export interface PathFacts {
  /** Template: names and ids replaced. */
  readonly route: string;
  /** The template is one of a finite set. */
  readonly wellKnown: boolean;
  /** "prediction": answers there should be predictions; "service": health, metadata, documents; "other": cannot tell. */
  readonly kind: "prediction" | "service" | "other";
  readonly model: string | null;
  readonly version: string | null;
}

const SEGMENTS_MAX = 16;
const CHARACTERS_MAX = 2048;

const SERVICE_FIRST: ReadonlySet<string> = new Set(
  (
    "health healthz healthcheck livez readyz ready live ping metrics stats status docs redoc openapi.json docs.json " +
    "schema.json swagger swagger.json favicon.ico robots.txt version info props slots -"
  ).split(" "),
);
const SERVICE_LAST: ReadonlySet<string> = new Set(
  "health healthz healthcheck livez readyz ready live ping metrics openapi.json".split(" "),
);
const PREDICTS =
  /^(?:predict|score|scoring$|infer|inference|classif|regress|forecast|invocations$|invoke$|generate)/i;
const VERBS: ReadonlySet<string> = new Set(["predict", "classify", "regress"]);
const INFERS: ReadonlySet<string> = new Set(["infer", "infer_stream", "generate", "generate_stream"]);

const DIGITS = /^\d+$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const HEX = /^(?=.*\d)[0-9a-f]{12,}$/i;
const TAME = /^[A-Za-z0-9._~:@+-]{1,40}$/;

/** One segment of a template. */
function templateOf(segment: string): string {
  if (DIGITS.test(segment) || UUID.test(segment) || HEX.test(segment) || !TAME.test(segment)) return "{id}";
  // Long and full of digits: a key, not a word.
  return segment.length > 16 && (segment.match(/\d/g)?.length ?? 0) > 5 ? "{id}" : segment;
}

function decoded(segment: string): string {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

type Shape = Omit<PathFacts, "wellKnown">;

function shape(
  route: string,
  kind: PathFacts["kind"],
  named: { model?: string; version?: string } = {},
): Shape {
  return { route, kind, model: modelName(named.model), version: versionName(named.version) };
}

/** v2/models/{model}[/versions/{version}][/what] */
function oipShape(rest: readonly string[]): Shape | null {
  const [model, second, third] = rest;
  if (model === undefined) return shape("/v2/models", "service");
  const versioned = second === "versions" && third !== undefined;
  const tail = rest.slice(versioned ? 3 : 1);
  const base = `/v2/models/{model}${versioned ? "/versions/{version}" : ""}`;
  const named = versioned ? { model, version: third } : { model };
  const [what] = tail;
  if (what === undefined) return shape(base, "service", named);
  if (tail.length === 1 && INFERS.has(what)) return shape(`${base}/${what}`, "prediction", named);
  const known = ["ready", "stats", "config", "trace"].includes(what);
  return known ? shape(`${base}/${what}`, "service", named) : null;
}

/** v1/models/{model}[/versions/{version}|/labels/{label}][:verb] (KServe, TensorFlow Serving, TorchServe) */
function v1Shape(rest: readonly string[]): Shape | null {
  const last = rest.at(-1);
  if (last === undefined) return shape("/v1/models", "service");
  const colon = last.lastIndexOf(":");
  const verb = colon < 0 ? "" : last.slice(colon + 1);
  const names = colon < 0 ? rest : [...rest.slice(0, -1), last.slice(0, colon)];
  const [model, second, third] = names;
  if (names.length > 3 || model === undefined) return null;
  let base = "/v1/models/{model}";
  let named: { model: string; version?: string } = { model };
  if (names.length > 1) {
    const by = second === "versions" ? "version" : second === "labels" ? "label" : null;
    if (by === null || third === undefined)
      return second === "metadata" ? shape(`${base}/metadata`, "service", named) : null;
    base += `/${second}/{${by}}`;
    if (by === "version") named = { model, version: third };
  }
  if (verb === "") return shape(base, "service", named);
  if (VERBS.has(verb)) return shape(`${base}:${verb}`, "prediction", named);
  return verb === "explain" ? shape(`${base}:explain`, "service", named) : null;
}

const GENERATES: ReadonlySet<string> = new Set(["chat/completions", "completions", "responses"]);

/** [v1/]chat/completions and its kin (OpenAI's API). */
function openAiShape(segments: readonly string[]): Shape | null {
  const versioned = segments[0] === "v1";
  const rest = (versioned ? segments.slice(1) : segments).join("/");
  const route = `/${segments.join("/")}`;
  if (GENERATES.has(rest)) return shape(route, "prediction");
  return rest === "embeddings" ? shape(route, "other") : null;
}

/** Shapes that one server family or another gives a meaning, wherever in the path they begin. */
function knownShape(segments: readonly string[]): Shape | null {
  const [first, second, third] = segments;
  if (first === "v2" && second === "models") return oipShape(segments.slice(2));
  if (first === "v1" && second === "models") return v1Shape(segments.slice(2));
  if (first === "v2" && (second === undefined || second === "health" || second === "repository")) {
    const what = second === "health" && (third === "live" || third === "ready") ? `/${third}` : "";
    return shape(second === undefined ? "/v2" : `/v2/${second}${what}`, "service");
  }
  if (first === "predictions" && second !== undefined && segments.length <= 3) {
    if (third === undefined) return shape("/predictions/{model}", "prediction", { model: second });
    return shape("/predictions/{model}/{version}", "prediction", { model: second, version: third });
  }
  if (first === "explanations" && second !== undefined)
    return shape("/explanations/{model}", "service", { model: second });
  if (segments.length === 3 && third === "invocations" && second !== undefined) {
    if (first === "endpoints" || first === "serving-endpoints") {
      return shape(`/${first}/{model}/invocations`, "prediction", { model: second });
    }
  }
  if (segments.length === 1 && (first === "invocations" || first === "predict"))
    return shape(`/${first}`, "prediction");
  return segments.length <= 3 ? openAiShape(segments) : null;
}

function startsShape(segment: string): boolean {
  return segment === "v1" || segment === "v2" || segment === "predictions" || segment.endsWith("endpoints");
}

/** A gateway may have put segments before a known shape. */
function prefixedShape(segments: readonly string[]): PathFacts | null {
  for (let at = 0; at < segments.length; at++) {
    if (at > 0 && !startsShape(segments[at] ?? "")) continue;
    const found = knownShape(segments.slice(at));
    if (found === null || (at > 0 && found.model === null)) continue;
    const prefix = segments.slice(0, at).map((segment) => `/${templateOf(segment)}`);
    return { ...found, route: prefix.join("") + found.route, wellKnown: at === 0 };
  }
  return null;
}

function kindOf(segments: readonly string[]): PathFacts["kind"] {
  if (SERVICE_FIRST.has(segments[0] ?? "") || SERVICE_LAST.has(segments.at(-1) ?? "")) return "service";
  return segments.some((segment) => PREDICTS.test(segment) || segment === "predictions")
    ? "prediction"
    : "other";
}

/** Reads a path (without query). */
export function pathFacts(path: string): PathFacts {
  if (path.length > CHARACTERS_MAX)
    return { route: OTHER, wellKnown: true, kind: "other", model: null, version: null };
  const segments = path
    .split("/", SEGMENTS_MAX + 2)
    .filter((segment) => segment !== "")
    .map(decoded);
  if (segments.length === 0)
    return { route: "/", wellKnown: true, kind: "other", model: null, version: null };
  const known = prefixedShape(segments);
  if (known !== null) return known;
  const kind = kindOf(segments);
  const route =
    segments.length > SEGMENTS_MAX ? OTHER : segments.map((segment) => `/${templateOf(segment)}`).join("");
  const wellKnown = segments.length === 1 && SERVICE_FIRST.has(segments[0] ?? "");
  return { route, wellKnown, kind, model: null, version: null };
}

const ROUTES_MAX = 50;
const PATHS_MAX = 512;

/** Paths read once and remembered for a while; routes beyond the well-known ones are let in up to 50. */
export class Paths {
  readonly #seen = new Map<string, PathFacts>();
  readonly #routes = new Set<string>();
  /** Exchanges whose route became `_OTHER` because 50 others were there first. */
  overflowed = 0;

  read(path: string): PathFacts {
    const seen = this.#seen.get(path);
    if (seen !== undefined) return seen;
    const facts = pathFacts(path);
    if (path.length > 256) return facts;
    // Ids in paths would fill any memory: start afresh rather than keep order.
    if (this.#seen.size === PATHS_MAX) this.#seen.clear();
    this.#seen.set(path, facts);
    return facts;
  }

  /** `trusted`: the upstream knows this path. Scanners' guesses must not use the room up. */
  routeOf(facts: PathFacts, trusted: boolean): string {
    if (facts.wellKnown || this.#routes.has(facts.route)) return facts.route;
    if (!trusted) return OTHER;
    if (this.#routes.size >= ROUTES_MAX) {
      this.overflowed++;
      return OTHER;
    }
    this.#routes.add(facts.route);
    return facts.route;
  }
}
