// Calls to a registry: bounded in time and size, never redirected, never repeated here; the answer as data or as trouble.

import { type Dispatcher, request } from "undici";
import { messageOf } from "../kernel/problem.ts";
import type { Reply } from "./registry.ts";

const TIMEOUT_MS = 10_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** Longer waits are not obeyed; our own back-off goes on. */
const RETRY_AFTER_MAX_MS = 3_600_000;

export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH";
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
  /** 2xx is "ok", 404 "none"; anything else has failed. */
  call(call: Call): Promise<Reply<Answer>>;
}

/** Header lines of one call; asked anew each time, because tokens expire. */
export type Authorise = () => Promise<Reply<Readonly<Record<string, string>>>>;

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

function retryAfter(header: string | string[] | undefined): number | null {
  const seconds = typeof header === "string" ? Number(header) : Number.NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, RETRY_AFTER_MAX_MS) : null;
}

/** The registry's own words, cut short; never what we sent. */
function wordsOf(json: unknown, status: number): string {
  if (typeof json !== "object" || json === null) return `status ${status}`;
  const code = "error_code" in json && typeof json.error_code === "string" ? `${json.error_code}: ` : "";
  const message = "message" in json && typeof json.message === "string" ? json.message : "";
  return `status ${status} ${code}${message}`.trim().slice(0, 300);
}

function contentOf({ body, form }: Call): { headers: Record<string, string>; body: string | null } {
  if (form !== undefined) {
    const type = "application/x-www-form-urlencoded";
    return { headers: { "content-type": type }, body: new URLSearchParams(form).toString() };
  }
  if (body === undefined) return { headers: {}, body: null };
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

class HttpCalls implements RegistryHttp {
  readonly #base: string;
  readonly #authorise: Authorise;

  constructor(base: string, authorise: Authorise) {
    this.#base = base.replace(/\/+$/, "");
    this.#authorise = authorise;
  }

  async call(call: Call): Promise<Reply<Answer>> {
    const authorised = await this.#authorise();
    if (authorised.kind !== "ok") return authorised;
    try {
      const { statusCode, headers, body } = await this.#send(call, authorised.value);
      const json = parsed(await bounded(body));
      if (statusCode >= 200 && statusCode < 300) return { kind: "ok", value: { status: statusCode, json } };
      if (statusCode === 404) return { kind: "none", message: wordsOf(json, statusCode) };
      const retry = statusCode === 408 || statusCode === 429 || statusCode >= 500;
      return {
        kind: "failed",
        message: wordsOf(json, statusCode),
        retry,
        retryAfterMs: retryAfter(headers["retry-after"]),
      };
    } catch (thrown) {
      return { kind: "failed", message: messageOf(thrown), retry: true, retryAfterMs: null };
    }
  }

  #send(call: Call, authorised: Readonly<Record<string, string>>): Promise<Dispatcher.ResponseData> {
    const url = new URL(`${this.#base}${call.path}`);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const content = contentOf(call);
    return request(url, {
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
