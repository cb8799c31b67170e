// Calls to a registry: bounded in time and size, never redirected, never repeated here; the answer as data or as trouble.

import type { Dispatcher } from "undici";
import { messageOf } from "../kernel/problem.ts";
import type { Reply } from "./registry.ts";

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Longer waits are not obeyed; our own back-off goes on. */
const RETRY_AFTER_MAX_MS = 3_600_000;
/** Of a registry's own words about an error. */
const WORDS_MAX = 300;

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the base address, with its leading slash. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as a form, instead. */
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  /** null: empty, or not JSON. */
  readonly json: unknown;
}

export interface RegistryHttp {
  /** 2xx is "ok", 404 with the registry's own word for it "none"; anything else has failed. */
  call(call: Call): Promise<Reply<Answer>>;
}

/**
 * Header lines of one call; asked anew each time, because tokens expire. `refused`: the registry answered 401 to the last ones;
 * the same object again says that there are no others.
 */
export type Authorise = (refused: boolean) => Promise<Reply<Readonly<Record<string, string>>>>;

async function bounded(body: Dispatcher.ResponseData["body"]): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    const piece = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    bytes += piece.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Seconds or a date (RFC 9110 section 10.2.3), as milliseconds from the answer's own date. */
function retryAfter(headers: Dispatcher.ResponseData["headers"]): number | null {
  const { "retry-after": header, date } = headers;
  if (typeof header !== "string") return null;
  const ms = /^\d+$/.test(header.trim())
    ? Number(header) * 1000
    : Date.parse(header) - Date.parse(String(date));
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), RETRY_AFTER_MAX_MS);
}

function textAt(json: object, name: string): string {
  const value: unknown = Object.hasOwn(json, name) ? Reflect.get(json, name) : undefined;
  if (typeof value === "string") return value;
  return typeof value === "object" && value !== null ? JSON.stringify(value).slice(0, WORDS_MAX) : "";
}

/** The registry's own words, cut short: error_code and message (MLflow, Unity Catalog), message and error (Langfuse, OAuth). */
function wordsOf(text: string, json: unknown): string {
  if (typeof json !== "object" || json === null)
    return text.slice(0, WORDS_MAX).replaceAll(/[^\x20-\x7e]+/g, " ");
  const names = ["error_code", "message", "error", "error_description"];
  return names
    .map((name) => textAt(json, name))
    .filter((said) => said !== "")
    .join(": ");
}

/** A thing that is not there, in the registry's words; an unknown path, or a proxy's own 404, is no such answer. */
function saysNone(json: unknown): boolean {
  if (typeof json !== "object" || json === null) return false;
  const code = textAt(json, "error_code") || textAt(json, "error");
  return /DOES_NOT_EXIST|NOT_FOUND|NotFoundError/.test(code) && code !== "ENDPOINT_NOT_FOUND";
}

function contentOf({ body, form }: Call): { headers: Record<string, string>; body: string | null } {
  if (form !== undefined) {
    const type = "application/x-www-form-urlencoded";
    return { headers: { "content-type": type }, body: new URLSearchParams(form).toString() };
  }
  if (body === undefined) return { headers: {}, body: null };
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

/** A server may echo what it was sent; what we log may not. */
function withoutSecrets(text: string, authorised: Readonly<Record<string, string>>): string {
  let clean = text;
  for (const value of Object.values(authorised)) {
    for (const secret of [value, value.replace(/^\w+ /, "")]) {
      if (secret.length >= 4) clean = clean.replaceAll(secret, "***");
    }
  }
  return clean;
}

class HttpCalls implements RegistryHttp {
  readonly #base: string;
  readonly #authorise: Authorise;

  constructor(base: string, authorise: Authorise) {
    this.#base = base.replace(/\/+$/, "");
    this.#authorise = authorise;
  }

  async call(call: Call): Promise<Reply<Answer>> {
    const authorised = await this.#authorise(false);
    if (authorised.kind !== "ok") return authorised;
    const reply = await this.#once(call, authorised.value);
    if (reply.kind !== "failed" || !reply.message.startsWith("status 401")) return reply;
    const renewed = await this.#authorise(true);
    if (renewed.kind !== "ok" || renewed.value === authorised.value) return reply;
    return await this.#once(call, renewed.value);
  }

  async #once(call: Call, authorised: Readonly<Record<string, string>>): Promise<Reply<Answer>> {
    try {
      const { statusCode: status, headers, body } = await this.#send(call, authorised);
      const text = await bounded(body);
      const json = parsed(text);
      if (status >= 200 && status < 300) return { kind: "ok", value: { status, json } };
      const words = status >= 300 && status < 400 ? "redirects are not followed" : wordsOf(text, json);
      const message = withoutSecrets(`status ${status} ${words}`.trim(), authorised).slice(0, WORDS_MAX);
      if (status === 404 && saysNone(json)) return { kind: "none", message };
      // 404 of another kind: the address is wrong, or something in between is being replaced.
      const retry = status === 404 || status === 408 || status === 429 || status >= 500;
      return { kind: "failed", message, retry, retryAfterMs: retryAfter(headers) };
    } catch (thrown) {
      const message = withoutSecrets(messageOf(thrown), authorised);
      return { kind: "failed", message, retry: true, retryAfterMs: null };
    }
  }

  async #send(call: Call, authorised: Readonly<Record<string, string>>): Promise<Dispatcher.ResponseData> {
    // Not at the start: it costs 0.1 s to load, and most have no registry.
    const { request } = await import("undici");
    const url = new URL(`${this.#base}${call.path}`);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const content = contentOf(call);
    return await request(url, {
      method: call.method,
      headers: { accept: "application/json", ...content.headers, ...authorised, ...call.headers },
      ...(content.body === null ? {} : { body: content.body }),
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(2 * TIMEOUT_MS),
    });
  }
}

export function createRegistryHttp(base: string, authorise: Authorise): RegistryHttp {
  return new HttpCalls(base, authorise);
}

/** One segment of a path. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}

/** The part of an answer that `pick` finds; an answer of another shape has failed. */
export function picked<T>(reply: Reply<Answer>, pick: (json: unknown) => T | null): Reply<T> {
  if (reply.kind !== "ok") return reply;
  const value = pick(reply.value.json);
  if (value !== null) return { kind: "ok", value };
  return {
    kind: "failed",
    message: "the answer has another shape than documented",
    retry: true,
    retryAfterMs: null,
  };
}

/** An answer whose content does not matter. */
export function done(reply: Reply<Answer>): Reply<null> {
  return reply.kind === "ok" ? { kind: "ok", value: null } : reply;
}
