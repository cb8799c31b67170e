// The HTTP API: labels come in here, and everything known goes out. The only room that knows express.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import express, { type Express, type NextFunction, type Request, type Response, type Router } from "express";
import type { Duplex } from "node:stream";
import { createServer } from "../kernel/http.ts";
import type { Part } from "../kernel/lifecycle.ts";
import { Problem, codeOf, messageOf } from "../kernel/problem.ts";
import type { ApiNeeds, ApiOptions } from "./contract.ts";
import { type Guard, createGuard } from "./guard.ts";
import { type Handler, createHandlers } from "./handlers.ts";
import { type LabelsPost, createLabelsPost } from "./post-labels.ts";
import { ApiProblem, asProblem, sendProblem } from "./problems.ts";
import { ROUTES, type Route } from "./routes.ts";

export type * from "./contract.ts";
export { DEFAULT_LIMITS } from "./contract.ts";
export { openApiDocument } from "./openapi.ts";

const HEAD_BYTES_MAX = 16 * 1024;
const HEAD_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
/** Socket silence of any kind; longer than a stalled store may take, so that our own waiting cuts nobody off. */
const SOCKET_IDLE_MS = 150_000;

/** Error code of the parser -> status line and code of the refusal. */
const UNREADABLE: Readonly<Record<string, readonly [status: number, title: string, code: string]>> =
  Object.freeze({
    HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "headers_too_large"],
    ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "request_timeout"],
  });

export interface Api extends Part {
  /** Where it listens; null before start and after stop. */
  readonly address: { readonly host: string; readonly port: number } | null;
}

/** Nothing here is for embedding, sniffing, caching, or a page of another site. */
const FIXED_HEADERS = Object.freeze({
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
});

function expressPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** Refuses the methods a path does not have, naming those it has. */
function refuseOtherMethods(router: Router, path: string): void {
  const known = ROUTES.filter((route) => route.path === path).map((route) => route.method.toUpperCase());
  const allow = known.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  router.all(expressPath(path), () => {
    throw new ApiProblem("method_not_allowed", `this path takes ${allow}`, { headers: { allow } });
  });
}

function createRouter(handlers: Readonly<Record<string, Handler>>, guard: Guard): Router {
  const router = express.Router({ caseSensitive: true });
  const routes: readonly Route[] = ROUTES;
  for (const route of routes) {
    const handler = handlers[route.operation];
    if (handler === undefined) continue;
    router[route.method](expressPath(route.path), (request: Request, response: Response) => {
      response.locals["via"] = guard.admit(request, route.scope);
      return handler(request, response);
    });
  }
  for (const path of new Set(routes.map((route) => route.path))) refuseOtherMethods(router, path);
  return router;
}

function createApp(router: Router, guard: Guard, needs: ApiNeeds): Express {
  const app = express();
  app.disable("x-powered-by");
  app.disable("etag");
  app.set("query parser", "simple");
  app.use((request: Request, response: Response, _next: NextFunction) => {
    for (const [name, value] of Object.entries(FIXED_HEADERS)) response.setHeader(name, value);
    // With a callback of ours the framework's own error page, which shows stack traces, is never reached.
    const ended = (thrown: unknown): void => {
      const problem = thrown === undefined || thrown === null ? notFound() : asProblem(thrown);
      if (problem === null) needs.log.error({ error: messageOf(thrown), path: request.path }, "api: a bug");
      sendProblem(response, problem ?? new ApiProblem("internal", "an error of ours; it is in the log"));
    };
    try {
      guard.admit(request, null);
      router(request, response, ended);
    } catch (thrown) {
      ended(thrown);
    }
  });
  return app;
}

function notFound(): Problem {
  return new ApiProblem("not_found", "no such path; GET / lists them");
}

/** What the parser refuses before there is a request: the same kind of document as every other refusal, and the end. */
function refuseUnreadable(thrown: Error, socket: Duplex): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const [status, title, code] = UNREADABLE[codeOf(thrown) ?? ""] ?? [400, "Bad Request", "invalid_request"];
  const detail = "the request could not be read";
  const body = JSON.stringify({ type: "about:blank", title, status, code, detail });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\nconnection: close\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function listen(server: Server, { host, port }: ApiOptions["listen"]): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (thrown: Error): void => {
      reject(
        new Problem("listen_failed", `cannot listen on ${host}:${port}: ${thrown.message}`, "api.listen"),
      );
    };
    server.once("error", fail);
    server.listen({ host: host.replace(/^\[(.*)\]$/, "$1"), port }, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

class HttpApi implements Api {
  readonly #options: ApiOptions;
  readonly #needs: ApiNeeds;
  #server: Server | null = null;
  #labels: LabelsPost | null = null;

  constructor(options: ApiOptions, needs: ApiNeeds) {
    this.#options = options;
    this.#needs = needs;
  }

  get address(): Api["address"] {
    const address = this.#server?.address();
    if (address === null || address === undefined || typeof address === "string") return null;
    return { host: address.address, port: address.port };
  }

  async start(): Promise<void> {
    if (this.#server !== null) return;
    const guard = createGuard(this.#options);
    const labels = createLabelsPost(this.#options.limits, this.#needs);
    const app = createApp(
      createRouter(createHandlers(this.#options, this.#needs, labels), guard),
      guard,
      this.#needs,
    );
    const server = createServer({
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: HEAD_TIMEOUT_MS,
      // Bodies of any length may take any time; what they may not do is pause (bodyIdleMs).
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: HEAD_TIMEOUT_MS / 2,
    });
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      // A client that leaves is no error of ours.
      request.on("error", () => {});
      response.on("error", () => {});
      app(request, response);
    };
    server.on("request", serve);
    // The body is invited only by whoever reads it, so that a refusal costs the client nothing.
    server.on("checkContinue", serve);
    // An expectation that we do not know may be ignored (RFC 9110 §10.1.1).
    server.on("checkExpectation", serve);
    server.on("clientError", refuseUnreadable);
    server.maxConnections = this.#options.limits.connectionsMax;
    server.setTimeout(SOCKET_IDLE_MS);
    await listen(server, this.#options.listen);
    server.on("error", (thrown) => this.#needs.log.warn({ error: thrown.message }, "api: listener"));
    this.#server = server;
    this.#labels = labels;
  }

  async stop(deadlineMs: number): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.#labels?.refuse();
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    server.closeIdleConnections();
    const timer = this.#needs.clock.after(deadlineMs, () => server.closeAllConnections());
    await closed;
    timer.cancel();
  }
}

/** Binds nothing before `start`, which throws a Problem: `api_tokens_required`, `invalid_token_digest`, `listen_failed`. */
export function createApi(options: ApiOptions, needs: ApiNeeds): Api {
  return new HttpApi(options, needs);
}
