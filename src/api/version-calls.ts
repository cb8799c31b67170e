// The calls of the version ledger: register, promote, roll back, and what was in production when.

import type { IncomingMessage } from "node:http";
import type { Request, Response } from "express";
import type { z } from "zod";
import type { VersionDecision, VersionEvent } from "../facts/version.ts";
import { ByteBudget, lingerOver, wholeBody } from "./body.ts";
import type { ApiNeeds } from "./contract.ts";
import { ApiProblem, sendJson } from "./problems.ts";
import { parseQuery, param } from "./request.ts";
import { rfc3339, timeOrNull } from "./timestamp.ts";
import { historyQuery, productionQuery, promoteBody, registerBody, rollbackBody } from "./version-shapes.ts";

type Handler = (request: Request, response: Response) => void | Promise<void>;

/** Longest body; a registration is metadata, not the model. */
const BODY_BYTES_MAX = 256 * 1024;
const BODIES_HELD_MAX = 16 * BODY_BYTES_MAX;
const BODY_IDLE_MS = 30_000;
const HISTORY_MAX = 1000;
const DEPTH_MAX = 32;
const NAME_MAX = 256;

/** Nesting of JSON text, counted outside of strings: deep nesting is refused before it is parsed. */
function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (inString) {
      if (c === "\\") i++;
      else if (c === '"') inString = false;
    } else if (c === '"') inString = true;
    else if (c === "{" || c === "[") deepest = Math.max(deepest, ++depth);
    else if (c === "}" || c === "]") depth--;
  }
  return deepest;
}

function parseJson(bytes: Buffer): unknown {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (depthOf(text) > DEPTH_MAX)
      throw new ApiProblem("invalid_json", `the body is nested deeper than ${DEPTH_MAX} levels`);
    return JSON.parse(text === "" ? "{}" : text);
  } catch (thrown) {
    if (thrown instanceof ApiProblem) throw thrown;
    throw new ApiProblem("invalid_json", "the body is not valid JSON in UTF-8");
  }
}

function requireJson(request: IncomingMessage): void {
  const type = (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") throw new ApiProblem("unsupported_media_type", "send application/json");
  if ((request.headers["content-encoding"] ?? "identity") !== "identity")
    throw new ApiProblem("unsupported_content_encoding", "send the body as it is");
}

function checked<T extends z.ZodType>(shape: T, body: unknown): z.infer<T> {
  const parsed = shape.safeParse(body);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .slice(0, 20)
    .map(({ path, message }) => ({ path: path.join("."), message }));
  const [first] = problems;
  const where = first === undefined || first.path === "" ? "" : `${first.path}: `;
  throw new ApiProblem("invalid_body", `${where}${first?.message ?? "refused"}`, { members: { problems } });
}

function modelOf(request: Request): string {
  const model = param(request, "model");
  if (model.length > NAME_MAX || /\p{Cc}/u.test(model))
    throw new ApiProblem(
      "invalid_path",
      `a model's name has at most ${NAME_MAX} characters, and no control characters`,
    );
  return model;
}

/** Who decides: as the caller says, else the name of its token; and how it was let in, as the guard noted it. */
function callerOf(response: Response, actor: string | undefined): { actor: string; via: string } {
  const noted: unknown = response.locals["via"];
  const via = typeof noted === "string" ? noted : "api";
  return { actor: actor ?? via.replace(/^token:/, ""), via };
}

function eventDocument(event: VersionEvent): Record<string, unknown> {
  const { seq, at, actor, via, action, version, from, to, reason, quality } = event;
  return { seq, at: rfc3339(at), actor, via, action, version, from, to, reason, quality };
}

class VersionCalls {
  readonly #needs: ApiNeeds;
  readonly #budget = new ByteBudget(BODIES_HELD_MAX);

  constructor(needs: ApiNeeds) {
    this.#needs = needs;
  }

  async #body<T extends z.ZodType>(shape: T, request: Request, response: Response): Promise<z.infer<T>> {
    requireJson(request);
    const { clock } = this.#needs;
    const held = { bytes: 0 };
    try {
      const watch = { request, response, clock, idleMs: BODY_IDLE_MS };
      const bytes = await wholeBody(watch, { bytesMax: BODY_BYTES_MAX, budget: this.#budget, held });
      return checked(shape, parseJson(bytes));
    } finally {
      this.#budget.give(held.bytes);
      lingerOver(request, clock);
    }
  }

  #answer(response: Response, model: string, decision: VersionDecision): void {
    if (decision.kind === "refused")
      throw new ApiProblem(decision.code, decision.message, {
        members: decision.details,
        ...(decision.code === "store_unavailable" ? { headers: { "retry-after": "5" } } : {}),
      });
    const { version, stage, registration, since } = decision.record;
    const production = this.#needs.versions.productionAt(model, null)?.version ?? null;
    const registered = registration !== null;
    sendJson(response, {
      model,
      version,
      stage,
      registered,
      since: rfc3339(since),
      changed: decision.changed,
      pending: decision.pending ?? false,
      production,
    });
  }

  async register(request: Request, response: Response): Promise<void> {
    const model = modelOf(request);
    const { version, actor, ...registration } = await this.#body(registerBody, request, response);
    const who = callerOf(response, actor);
    this.#answer(response, model, this.#needs.versions.register({ model, version, registration, ...who }));
  }

  async promote(request: Request, response: Response): Promise<void> {
    const model = modelOf(request);
    const asked = await this.#body(promoteBody, request, response);
    const version = param(request, "version");
    this.#answer(
      response,
      model,
      this.#needs.versions.promote({
        ...asked,
        ...callerOf(response, asked.actor),
        ifCurrent: asked.ifCurrent,
        model,
        version,
      }),
    );
  }

  async rollBack(request: Request, response: Response): Promise<void> {
    const model = modelOf(request);
    const asked = await this.#body(rollbackBody, request, response);
    this.#answer(
      response,
      model,
      this.#needs.versions.rollBack({
        ...asked,
        ...callerOf(response, asked.actor),
        ifCurrent: asked.ifCurrent,
        model,
      }),
    );
  }

  history(request: Request, response: Response): void {
    const model = modelOf(request);
    const { before } = parseQuery(historyQuery, request);
    const events = this.#needs.versions.history(model);
    if (events.length === 0) throw new ApiProblem("unknown_model", "no version of this model is known");
    const fits = before === undefined ? events : events.filter((event) => event.seq < before);
    sendJson(response, { model, history: fits.slice(-HISTORY_MAX).map(eventDocument) });
  }

  production(request: Request, response: Response): void {
    const model = modelOf(request);
    const { at } = parseQuery(productionQuery, request);
    const when = at === undefined ? this.#needs.clock.wallMs() : Date.parse(at);
    if (this.#needs.versions.history(model).length === 0)
      throw new ApiProblem("unknown_model", "no version of this model is known");
    const found = this.#needs.versions.productionAt(model, when);
    sendJson(response, {
      model,
      at: rfc3339(when),
      version: found?.version ?? null,
      since: timeOrNull(found?.since ?? null),
    });
  }
}

export type VersionOperation =
  | "postVersion"
  | "postPromotion"
  | "postRollback"
  | "getHistory"
  | "getProduction";

export function versionHandlers(needs: ApiNeeds): Readonly<Record<VersionOperation, Handler>> {
  const calls = new VersionCalls(needs);
  return {
    postVersion: (request, response) => calls.register(request, response),
    postPromotion: (request, response) => calls.promote(request, response),
    postRollback: (request, response) => calls.rollBack(request, response),
    getHistory: (request, response) => calls.history(request, response),
    getProduction: (request, response) => calls.production(request, response),
  };
}
