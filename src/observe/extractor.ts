// Station 2 of the road: an exchange becomes predictions. Once per request, in the observer; never throws.

import type { Exchange } from "../facts/exchange.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { Prediction } from "../facts/prediction.ts";
import { pathOf } from "../kernel/glob.ts";
import { readPath } from "../kernel/jsonpath.ts";
import { AlikeJson } from "./alike-json.ts";
import { ID_HEADERS, aliasesOf } from "./aliases.ts";
import { readBody, readRequest } from "./body.ts";
import type { BodyHead } from "./body.ts";
import { DEFAULT_READ, compileRule, headersOf } from "./compile.ts";
import type { CompiledRule } from "./compile.ts";
import { fitFor } from "./fit.ts";
import { HeaderPicker, mediaType } from "./heads.ts";
import type { Heads } from "./heads.ts";
import { generationOf, requestModelOf } from "./generation.ts";
import { captureInputs } from "./inputs.ts";
import { isObject, own } from "./json.ts";
import type { ModelBook } from "./models.ts";
import { DEFAULT_MODEL, OTHER, UNKNOWN_VERSION, modelName } from "./names.ts";
import { Paths } from "./paths.ts";
import type { PathFacts } from "./paths.ts";
import { fitText } from "./openai.ts";
import { createRedaction, type Redaction } from "./redact.ts";
import { isConfigured, isFreeText, isSure, readAnswer } from "./readers.ts";
import type { Answer } from "./readers.ts";
import type { Row } from "./row.ts";
import type { Failure, FailureReason, Generation, ModelRule, Reading } from "./rules.ts";
import { isBrokenOff, readStream } from "./stream.ts";
import type { StreamReading } from "./stream.ts";
import { versionOf } from "./version.ts";

export * from "./rules.ts";

export interface ExtractorOptions {
  readonly rules: readonly ModelRule[];
  /** A header of the answer or the request that carries one more alias. */
  readonly idHeader: string | null;
  readonly specs: ModelBook;
  /** `capture.maxBodySize`; compressed answers may unfold to eight times as much. Default 64 KiB. */
  readonly bodyBytesMax?: number;
  /** Bodies are copied of a sample only: answers without a copy are then no failures. Default false. */
  readonly sampled?: boolean;
  /** `capture.storeInputs` (default "leave-out") and `capture.redact` (paths in request bodies). */
  readonly inputs?: "read" | "leave-out";
  readonly redact?: readonly string[];
}

export interface ExtractorNeeds {
  /** The version of `model` known from a polled endpoint or a registry; null: none. */
  externalVersion(model: string): string | null;
}

export interface Extractor {
  read(exchange: Exchange): Reading;
  /** Exchanges so far with a route, or a slice value, that became `_OTHER` because its cap was reached. */
  overflows(): { readonly routes: number; readonly slices: number };
}

const REQUEST_HEADERS: readonly string[] = [
  "content-encoding",
  "inference-header-content-length",
  "x-request-id",
  "x-prediction-id",
];
const RESPONSE_HEADERS: readonly string[] = [
  "content-type",
  "content-encoding",
  "inference-header-content-length",
  "x-model-version",
  "x-litellm-model-id",
  ...ID_HEADERS,
];
const BODY_BYTES_MAX = 64 * 1024;
/** A request's body is parsed for its id only when it has one and is at most so long. */
const REQUEST_ID = Object.freeze({ bytes: Buffer.from('"id"'), bytesMax: 16 * 1024 });
const METHODS: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH", "QUERY", "GET"]);
const STREAMS: ReadonlySet<string> = new Set([
  "text/event-stream",
  "application/x-ndjson",
  "application/grpc",
  "application/grpc+proto",
]);

/** Everything about one exchange that several steps ask for. */
interface Sight {
  readonly exchange: Exchange;
  readonly facts: PathFacts;
  readonly route: string;
  /** The rule whose pattern matches the path. */
  readonly byPath: CompiledRule | null;
  readonly responseHeads: Heads;
  /** null: the answer is no stream of events. */
  readonly stream: StreamReading | null;
}

function bodyHead(heads: Heads, bytesMax: number): BodyHead {
  return {
    encoding: heads.get("content-encoding"),
    jsonBytes: heads.get("inference-header-content-length"),
    bytesMax,
  };
}

function isSuccess(status: number | null): boolean {
  return status !== null && status >= 200 && status < 300 && status !== 204 && status !== 205;
}

/** Answered by the upstream in a way that says it knows the path. */
function isTrusted(exchange: Exchange): boolean {
  const { status } = exchange;
  return exchange.ownError === null && status !== null && (status < 400 || status >= 500);
}

/** Could this exchange carry predictions at all? */
function isCandidate(sight: Sight, path: string): boolean {
  const { exchange, facts, byPath } = sight;
  if (!isSuccess(exchange.status) || !METHODS.has(exchange.method)) return false;
  if (exchange.upgraded || exchange.ownError !== null || isBrokenOff(exchange, sight.stream)) return false;
  // A pattern such as /v2/models/credit/** also covers its metadata; only a path written out is meant for sure.
  return facts.kind !== "service" || byPath?.pattern === path;
}

/** The name in the answer: `model_name`, `model` or `model.name`. */
function namedIn(body: unknown): string | null {
  if (!isObject(body)) return null;
  const model = own(body, "model");
  return modelName(own(body, "model_name")) ?? modelName(isObject(model) ? own(model, "name") : model);
}

class ExchangeReader implements Extractor {
  readonly #options: ExtractorOptions;
  readonly #needs: ExtractorNeeds;
  readonly #rules: readonly CompiledRule[];
  readonly #idHeader: string | null;
  readonly #requestHeaders: HeaderPicker;
  readonly #responseHeaders: HeaderPicker;
  readonly #paths = new Paths();
  readonly #redaction: Redaction;
  readonly #bodyBytesMax: number;
  readonly #alike = new AlikeJson();

  constructor(options: ExtractorOptions, needs: ExtractorNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#redaction = createRedaction(options.redact ?? []);
    this.#bodyBytesMax = options.bodyBytesMax ?? BODY_BYTES_MAX;
    this.#rules = options.rules.map(compileRule);
    this.#idHeader = options.idHeader?.toLowerCase() ?? null;
    const configured = headersOf(options.rules);
    const ids = this.#idHeader === null ? [] : [this.#idHeader];
    this.#requestHeaders = new HeaderPicker([...REQUEST_HEADERS, ...ids, ...configured.request]);
    this.#responseHeaders = new HeaderPicker([...RESPONSE_HEADERS, ...ids, ...configured.response]);
  }

  read(exchange: Exchange): Reading {
    try {
      return this.#read(exchange);
    } catch (thrown) {
      const detail = thrown instanceof Error ? thrown.name : "unknown";
      const failure: Failure = { reason: "internal", detail };
      const [model, version] = [OTHER, UNKNOWN_VERSION];
      return {
        kind: "unreadable",
        model,
        version,
        route: OTHER,
        aliases: [],
        predictions: [],
        failure,
        generation: null,
      };
    }
  }

  overflows(): { readonly routes: number; readonly slices: number } {
    const slices = this.#rules.reduce((sum, rule) => sum + rule.slices.overflowed, 0);
    return { routes: this.#paths.overflowed, slices };
  }

  #read(exchange: Exchange): Reading {
    const path = pathOf(exchange.target);
    const facts = this.#paths.read(path);
    const responseHeads = this.#responseHeaders.pick(exchange.responseHeaders);
    const type = mediaType(responseHeads.get("content-type"));
    const head = bodyHead(responseHeads, this.#bodyBytesMax);
    const sight: Sight = {
      exchange,
      facts,
      route: this.#paths.routeOf(facts, isTrusted(exchange)),
      byPath: this.#rules.find((rule) => rule.matches(path)) ?? null,
      responseHeads,
      stream: isSuccess(exchange.status) && !exchange.upgraded ? readStream(exchange, type, head) : null,
    };
    if (!isCandidate(sight, path)) return this.#none(sight);
    const streamed = sight.stream?.answer ?? null;
    if (streamed !== null) return this.#readJson(sight, { json: streamed, tail: null });
    if (STREAMS.has(type)) return this.#missing(sight, "unsupported", type);
    const answer = readBody(exchange.response, head, this.#alike);
    if (typeof answer !== "string") return this.#readJson(sight, answer);
    if (answer === "not_captured" && this.#options.sampled === true) return this.#none(sight);
    return this.#missing(
      sight,
      answer,
      `${exchange.response.bytes.length} of ${exchange.response.total} bytes`,
    );
  }

  #readJson(sight: Sight, answer: Answer): Reading {
    const { facts } = sight;
    const name = namedIn(answer.json);
    const rule = sight.byPath ?? this.#ruleNamed(name, facts.model);
    const named = rule !== null && (rule.name === name || rule.name === facts.model);
    const meant = named || sight.byPath !== null || facts.kind === "prediction" || isSure(answer.json);
    const found = { rule, answer, name };
    // The only model's rule may say what to look for; found there, it is a prediction on whatever path.
    if (!meant && (rule === null || !isConfigured(rule.read.element))) return this.#none(sight, found);
    const spec = this.#options.specs.specOf(rule?.name ?? name ?? facts.model ?? DEFAULT_MODEL);
    const rows = readAnswer(answer, rule?.read ?? DEFAULT_READ, spec?.classes ?? null);
    if (typeof rows !== "string") return this.#predictions(sight, found, rows);
    return meant ? this.#unreadable(sight, found, { reason: rows, detail: "" }) : this.#none(sight, found);
  }

  #predictions(sight: Sight, found: Found, rows: readonly Row[]): Reading {
    const { exchange } = sight;
    const model = this.#modelOf(sight, found);
    const spec: ModelSpec | null = this.#options.specs.specOf(model);
    const fixed = this.#options.specs.isFixed(model);
    const text = isFreeText(found.answer?.json, found.rule?.read ?? DEFAULT_READ);
    // Of a part of a text nobody knows what the whole would have said.
    if (fixed && sight.stream?.whole === false) {
      return this.#unreadable(sight, found, { reason: "truncated", detail: "stream" });
    }
    const fit = text ? fitText(spec, fixed, rows) : fitFor(spec, fixed, rows);
    const { version, requestHeads, requestBody } = this.#context(sight, found, model);
    const slice = found.rule?.slices.read(requestHeads, requestBody) ?? null;
    const ts = Math.floor(exchange.startedAtMs);
    const predictions: Prediction[] = [];
    const taken: number[] = [];
    let refused: FailureReason | null = null;
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at];
      const fitted = row === undefined ? "no_prediction" : fit(row);
      if (typeof fitted === "string") refused ??= fitted;
      else {
        const id = rows.length === 1 ? exchange.id : `${exchange.id}:${at}`;
        const { value, score, scores } = fitted;
        predictions.push({ model, version, id, ts, value, score, scores, slice });
        taken.push(at);
      }
    }
    // What a GET brings may be looked at again and again: a stored text is no new prediction.
    if (exchange.method === "GET" && (text || predictions.length === 0)) return this.#none(sight);
    const lost = rows.length - predictions.length;
    const failure = refused === null ? null : { reason: refused, detail: `${lost} of ${rows.length} rows` };
    const aliases = this.#aliases(sight, found, { requestHeads, requestBody });
    const kind = predictions.length === 0 ? "unreadable" : "predictions";
    const generation = this.#generation(sight, found, requestBody);
    const reading = {
      kind,
      model,
      version,
      route: sight.route,
      aliases,
      predictions,
      failure,
      generation,
    } as const;
    if (this.#options.inputs !== "read" || text) return reading;
    const rule = { names: found.rule?.inputs ?? null, redaction: this.#redaction };
    return { ...reading, inputs: captureInputs(requestBody, { rows: rows.length, taken }, rule) };
  }

  /** Version, and what of the request is needed: its body is parsed for slices, or when it holds an id. */
  #context(sight: Sight, found: Found, model: string): Context {
    const { exchange, facts, responseHeads } = sight;
    const version = versionOf({
      rule: found.rule,
      body: found.answer?.json,
      responseHeads,
      pathVersion: facts.version,
      announced: exchange.announcedVersion,
      external: () => this.#needs.externalVersion(model),
    });
    const requestHeads = this.#requestHeaders.pick(exchange.requestHeaders);
    const needed =
      this.#options.inputs === "read" ||
      found.rule?.needsRequestBody === true ||
      isFreeText(found.answer?.json, DEFAULT_READ);
    const wanted = needed ? "all" : REQUEST_ID;
    const read = readRequest(exchange.request, bodyHead(requestHeads, this.#bodyBytesMax), wanted);
    const requestBody = this.#redaction.clean(read);
    return { version, requestHeads, requestBody };
  }

  #generation(sight: Sight, found: Found | null, requestBody: unknown): Generation | null {
    const generation = sight.stream?.generation ?? generationOf(found?.answer?.json);
    return generation === null ? null : { ...generation, requestModel: requestModelOf(requestBody) };
  }

  #aliases(sight: Sight, found: Found, request: Omit<Context, "version">): string[] {
    const { exchange, responseHeads } = sight;
    const body = found.answer?.json;
    const id = found.rule?.id ?? null;
    return aliasesOf({
      exchange,
      idHeader: this.#idHeader,
      requestHeads: request.requestHeads,
      responseHeads,
      configured: id === null ? undefined : readPath(body, id),
      responseBody: body,
      requestBody: request.requestBody,
    });
  }

  /** A rule without pattern: its model is named, or it is the only one and nothing is named. */
  #ruleNamed(inBody: string | null, inPath: string | null): CompiledRule | null {
    const [only, ...others] = this.#rules;
    if (only === undefined) return null;
    if (inBody === null && inPath === null) return others.length === 0 && only.pattern === null ? only : null;
    const named = (rule: CompiledRule): boolean => rule.name === inBody || rule.name === inPath;
    return this.#rules.find((rule) => rule.pattern === null && named(rule)) ?? null;
  }

  #modelOf(sight: Sight, found: Found): string {
    if (found.rule !== null) return found.rule.name;
    return this.#options.specs.admit(found.name ?? sight.facts.model ?? DEFAULT_MODEL);
  }

  /** An answer that could not be looked into: a failure where predictions were to be expected, else nothing. */
  #missing(sight: Sight, reason: FailureReason, detail: string): Reading {
    const { facts, byPath } = sight;
    const rule = byPath ?? this.#ruleNamed(null, facts.model);
    const named = byPath !== null || (rule !== null && rule.name === facts.model);
    const expected = named || (facts.kind === "prediction" && reason !== "unsupported");
    if (!expected) return this.#none(sight);
    return this.#unreadable(sight, { rule, answer: null, name: null }, { reason, detail });
  }

  #unreadable(sight: Sight, found: Found, failure: Failure): Reading {
    if (sight.exchange.method === "GET") return this.#none(sight);
    const model = this.#modelOf(sight, found);
    const context = this.#context(sight, found, model);
    const aliases = this.#aliases(sight, found, context);
    return {
      kind: "unreadable",
      model,
      version: context.version,
      route: sight.route,
      aliases,
      predictions: [],
      failure,
      generation: this.#generation(sight, found, context.requestBody),
    };
  }

  /** Not a prediction; still counted under its model when the path tells a known one (errors, above all). */
  #none(sight: Sight, found: Found | null = null): Reading {
    const { facts, byPath, exchange, responseHeads } = sight;
    const generation = this.#generation(sight, found, undefined);
    // Embeddings, and streams that broke off: their model is named in what came.
    const named = generation === null ? null : (found?.name ?? namedIn(sight.stream?.answer));
    const guess = named ?? facts.model ?? (facts.kind === "prediction" ? DEFAULT_MODEL : "");
    const rule = byPath ?? (guess === "" ? null : this.#ruleNamed(named, facts.model));
    const known = named === null ? this.#options.specs.specOf(guess)?.name : this.#options.specs.admit(named);
    const model = rule?.name ?? known ?? "";
    const version = versionOf({
      rule,
      body: sight.stream?.answer ?? undefined,
      responseHeads,
      // Whoever guesses at paths must not invent versions.
      pathVersion: isTrusted(exchange) ? facts.version : null,
      announced: exchange.announcedVersion,
      external: () => (model === "" ? null : this.#needs.externalVersion(model)),
    });
    const { route } = sight;
    return { kind: "none", model, version, route, aliases: [], predictions: [], failure: null, generation };
  }
}

interface Found {
  readonly rule: CompiledRule | null;
  /** null: the body could not be looked into. */
  readonly answer: Answer | null;
  /** The model's name in the answer. */
  readonly name: string | null;
}

interface Context {
  readonly version: string;
  readonly requestHeads: Heads;
  readonly requestBody: unknown;
}

/** Compiles the rules (throws a `Problem` for a path that is none) and remembers routes and slice values, both capped. */
export function createExtractor(options: ExtractorOptions, needs: ExtractorNeeds): Extractor {
  return new ExchangeReader(options, needs);
}
