// A client of a running sidecar's API: one call, one answer; what went wrong on the way is a value, not an exception.

import { Agent, request } from "undici";
import { Problem, messageOf } from "../kernel/problem.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Longer than the API lets a store take. */
const ANSWER_TIMEOUT_MS = 120_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

export interface ApiCall {
  readonly method: "GET" | "POST";
  /** Below the API's address, e.g. `/v1/labels`. */
  readonly path: string;
  readonly content?: { readonly type: string; readonly bytes: Uint8Array };
}

export type ApiReply =
  | {
      readonly kind: "answer";
      readonly status: number;
      /** Seconds of a Retry-After header. */
      readonly retryAfterS: number | null;
      /** The JSON document, or null when the answer is none. */
      readonly body: unknown;
    }
  | { readonly kind: "unreachable"; readonly message: string };

export interface ApiClient {
  /** As given, for messages. */
  readonly api: string;
  call(asked: ApiCall): Promise<ApiReply>;
  close(): Promise<void>;
}

function parseBase(api: string): URL {
  const url = URL.canParse(api) ? new URL(api) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Problem("usage", `--api takes http://host:port or https://host:port, not "${api}"`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new Problem("usage", "--api takes no user and password: use a token");
  }
  return url;
}

function parseRetryAfter(header: string | string[] | undefined): number | null {
  return typeof header === "string" && /^\d{1,6}$/.test(header) ? Number(header) : null;
}

function parseJsonOrNull(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return null;
  }
}

class HttpApiClient implements ApiClient {
  readonly api: string;
  readonly #base: URL;
  readonly #token: string | null;
  readonly #agent = new Agent({
    connections: 4,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
    maxResponseSize: ANSWER_BYTES_MAX,
  });

  constructor(api: string, token: string | null) {
    this.api = api;
    this.#base = parseBase(api);
    this.#token = token;
  }

  async call({ method, path, content }: ApiCall): Promise<ApiReply> {
    const headers: Record<string, string> = { accept: "application/json, application/problem+json" };
    if (this.#token !== null) headers["authorization"] = `Bearer ${this.#token}`;
    if (content !== undefined) headers["content-type"] = content.type;
    try {
      const prefix = this.#base.pathname.replace(/\/$/, "");
      const {
        statusCode,
        headers: answered,
        body,
      } = await request(`${this.#base.origin}${prefix}${path}`, {
        method,
        headers,
        body: content?.bytes ?? null,
        dispatcher: this.#agent,
      });
      const text = await body.text();
      const retryAfterS = parseRetryAfter(answered["retry-after"]);
      return { kind: "answer", status: statusCode, retryAfterS, body: parseJsonOrNull(text) };
    } catch (thrown) {
      return { kind: "unreachable", message: messageOf(thrown) };
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** Connects to nothing yet. Throws Problem `usage` when `api` is no http(s) address. */
export function createApiClient(api: string, token: string | null): ApiClient {
  return new HttpApiClient(api, token);
}
