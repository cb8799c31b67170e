// The way to the model: a small interface, and undici behind it. Nothing of undici is seen outside this file.

import { Readable } from "node:stream";
import { Pool, buildConnector, type Dispatcher } from "undici";
import type { OwnError, RawHeaders } from "../facts/exchange.ts";
import { codeOf, messageOf } from "../kernel/problem.ts";
import { describeFailure, ownErrorOfCode, type Failure } from "./failures.ts";

export interface UpstreamOptions {
  /** http://, https:// or unix:/path */
  readonly url: string;
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | null;
  readonly connectTimeoutMs: number;
  /** Until the response's head; 0: no limit. */
  readonly responseTimeoutMs: number;
}

export interface UpstreamRequest {
  readonly method: string;
  /** Path and query, exactly as they will stand on the request line. */
  readonly target: string;
  /** Flat lines; framing lines other than Content-Length are made here. */
  readonly headers: string[];
  /** The whole body, none, or "streamed": it follows by `write` and `end`. */
  readonly body: Uint8Array | null | "streamed";
}

/** What happens to one call. Nothing is called after `onEnd`, `onFailure` or an `abort`. */
export interface UpstreamHandler {
  /** A 1xx answer other than 100 and 101. */
  onInformation(status: number, headers: RawHeaders): void;
  onHead(status: number, reason: string, headers: RawHeaders): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: RawHeaders): void;
  onFailure(failure: Failure): void;
  /** The streamed body can take more. */
  onDrain(): void;
}

export interface UpstreamCall {
  /** False: wait for `onDrain` before the next chunk. */
  write(chunk: Uint8Array): boolean;
  end(): void;
  /** Stops and resumes the response's body. */
  pause(): void;
  resume(): void;
  /** Ends the call at once, also while it waits for a connection; the model sees its connection close. */
  abort(): void;
}

export interface Upstream {
  send(request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
  /** Closes the pool; calls in flight fail. */
  close(): Promise<void>;
}

/** Below what common model servers allow an idle connection (uvicorn and Node: 5 s), so that they rarely close first. */
const IDLE_MS = 4000;
const IDLE_MS_MAX = 60_000;
/** Taken off a server's own `Keep-Alive: timeout`. */
const IDLE_MARGIN_MS = 2000;
const HEAD_BYTES_MAX = 64 * 1024;

export function createUpstream(options: UpstreamOptions): Upstream {
  const { origin, socketPath } = parseUpstreamUrl(options.url);
  const connect = buildConnector({
    ...options.tls,
    allowH2: false,
    timeout: options.connectTimeoutMs,
    ...(socketPath === null ? {} : { socketPath }),
  });
  const pool = new Pool(origin, {
    // The client's Host must choose neither the name that TLS verifies nor the address: only our own URL does.
    connect: ({ servername: _chosenByHost, ...target }, callback) => connect(target, callback),
    pipelining: 1,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS_MAX,
    keepAliveTimeoutThreshold: IDLE_MARGIN_MS,
    headersTimeout: options.responseTimeoutMs,
    bodyTimeout: 0,
    maxHeaderSize: HEAD_BYTES_MAX,
  });
  return {
    send: (request, handler) => {
      const call = new PoolCall(handler, options.url, request.body === "streamed");
      pool.dispatch(call.dispatchOptions(request), call);
      return call;
    },
    close: () => pool.destroy(),
  };
}

/** Where `unix:/path`, `http://…` or `https://…` connects to. */
export function parseUpstreamUrl(url: string): {
  readonly origin: string;
  readonly socketPath: string | null;
} {
  if (url.startsWith("unix:")) return { origin: "http://localhost", socketPath: url.slice("unix:".length) };
  return { origin: new URL(url).origin, socketPath: null };
}

const GONE = new Error("the client is gone");
const ignore = (): void => {};

/** One call: undici's handler on one side, ours on the other. */
class PoolCall implements Dispatcher.DispatchHandler, UpstreamCall {
  readonly #handler: UpstreamHandler;
  readonly #name: string;
  readonly #body: StreamedBody | null;
  #controller: Dispatcher.DispatchController | null = null;
  #over = false;
  #answered = false;

  constructor(handler: UpstreamHandler, name: string, streamed: boolean) {
    this.#handler = handler;
    this.#name = name;
    this.#body = streamed ? new StreamedBody(handler) : null;
  }

  dispatchOptions(request: UpstreamRequest): Dispatcher.DispatchOptions & { servername: string } {
    return {
      path: request.target,
      method: request.method,
      headers: request.headers,
      body: request.body === "streamed" ? this.#body : request.body,
      // Constant: undici gives up its connection whenever this changes, and would take it from the Host line.
      servername: "upstream",
    };
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(GONE);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    ...[, reason]: [headers: unknown, reason?: string]
  ): void {
    if (this.#over) return;
    const headers = parseRawLines(controller.rawHeaders);
    if (status < 200) this.#handler.onInformation(status, headers);
    else {
      this.#answered = true;
      this.#handler.onHead(status, reason ?? "", headers);
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#over) this.#handler.onData(chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#over) return;
    this.#over = true;
    this.#handler.onEnd(parseRawLines(controller.rawTrailers));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, thrown: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#body?.destroy();
    this.#handler.onFailure(describeFailure(ownErrorOf(thrown, this.#answered), this.#name, thrown));
  }

  write(chunk: Uint8Array): boolean {
    return this.#body === null || this.#body.destroyed || this.#body.push(chunk);
  }

  end(): void {
    if (this.#body !== null && !this.#body.destroyed) this.#body.push(null);
  }

  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    this.#controller?.resume();
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#body?.destroy();
    // Still waiting for a connection: `onRequestStart` will drop it before a byte is written.
    this.#controller?.abort(GONE);
  }
}

/** The request body as undici pulls it; holds at most its high-water mark plus one chunk. */
class StreamedBody extends Readable {
  readonly #handler: UpstreamHandler;

  constructor(handler: UpstreamHandler) {
    super();
    this.#handler = handler;
    this.on("error", ignore);
  }

  override _read(): void {
    this.#handler.onDrain();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    // The model answered before it had read everything: the rest is discarded as it comes.
    this.#handler.onDrain();
    done(error);
  }
}

const UNDICI_CODES: ReadonlyMap<string, OwnError> = new Map([
  ["UND_ERR_CONNECT_TIMEOUT", "connect_timeout"],
  ["UND_ERR_HEADERS_TIMEOUT", "response_timeout"],
  ["UND_ERR_HEADERS_OVERFLOW", "invalid_response"],
  ["UND_ERR_SOCKET", "connection_reset"],
  ["UND_ERR_INVALID_ARG", "bad_request"],
  ["UND_ERR_NOT_SUPPORTED", "bad_request"],
  ["UND_ERR_CLOSED", "draining"],
  ["UND_ERR_DESTROYED", "draining"],
]);

function ownErrorOf(thrown: Error, answered: boolean): OwnError {
  const code = codeOf(thrown);
  const message = messageOf(thrown);
  if (thrown.name === "HTTPParserError") return "invalid_response";
  // Before the head: two lengths that differ. After it: a body that ended too early.
  if (code === "UND_ERR_RES_CONTENT_LENGTH_MISMATCH")
    return answered ? "connection_reset" : "invalid_response";
  // undici's words for an answer, or an upgrade, that nobody asked for.
  if (message === "bad response" || message === "bad upgrade") return "invalid_response";
  return UNDICI_CODES.get(code ?? "") ?? ownErrorOfCode(code) ?? "connection_reset";
}

/** Raw header pairs as latin-1 text: one decode for the whole head where its lines lie in one buffer, as they nearly always do. */
function parseRawLines(raw: unknown): string[] {
  if (!Array.isArray(raw) || raw.length === 0) return [];
  const first: unknown = raw[0];
  const last: unknown = raw[raw.length - 1];
  if (!Buffer.isBuffer(first) || !Buffer.isBuffer(last)) return raw.map(String);
  const memory = first.buffer;
  const base = first.byteOffset;
  const end = last.byteOffset + last.length;
  if (last.buffer !== memory || end < base) return raw.map(latin1Of);
  const text = Buffer.from(memory, base, end - base).toString("latin1");
  const lines: string[] = [];
  for (const item of raw as readonly Buffer[]) {
    const at = item.byteOffset - base;
    lines.push(item.buffer === memory ? text.slice(at, at + item.length) : item.toString("latin1"));
  }
  return lines;
}

function latin1Of(item: unknown): string {
  return Buffer.isBuffer(item) ? item.toString("latin1") : String(item);
}
