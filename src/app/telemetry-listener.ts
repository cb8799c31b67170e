// The telemetry listener of the traffic process: alive, ready, which version, and the observer's metrics, or our own few when it is away.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ObserverState, TrafficStats } from "../facts/road.ts";
import { pathOf } from "../kernel/glob.ts";
import { createServer } from "../kernel/http.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import { renderOwnMetrics } from "./own-metrics.ts";
import type { Answer } from "./supervisor.ts";

/** How long a scrape waits for the observer before it gets the traffic process's own counters. */
const METRICS_TIMEOUT_MS = 1000;

export interface TelemetryNeeds {
  readonly log: Log;
  readonly askMetrics: (accept: string, acceptEncoding: string, timeoutMs: number) => Promise<Answer | null>;
  readonly stats: () => TrafficStats;
  /** Why no traffic should come; null: it may. */
  readonly unready: () => string | null;
  readonly state: () => ObserverState | null;
  readonly parts: () => Readonly<Record<string, unknown>>;
  readonly outriderVersion: string;
}

export interface TelemetryListener extends Part {
  readonly address: { readonly host: string; readonly port: number } | null;
}

class Listener implements TelemetryListener {
  readonly #listen: { host: string; port: number };
  readonly #needs: TelemetryNeeds;
  #server: Server | null = null;

  constructor(listen: { host: string; port: number }, needs: TelemetryNeeds) {
    this.#listen = listen;
    this.#needs = needs;
  }

  get address(): { host: string; port: number } | null {
    const bound: AddressInfo | string | null = this.#server?.address() ?? null;
    return bound === null || typeof bound === "string" ? null : { host: bound.address, port: bound.port };
  }

  start(): Promise<void> {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000 }, (request, response) => {
      this.#route(request, response).catch((thrown: unknown) => {
        this.#needs.log.warn({ error: messageOf(thrown) }, "telemetry request failed");
        response.destroy();
      });
    });
    // A scraper that stops reading must not hold memory: its socket is cut.
    server.setTimeout(30_000);
    server.maxConnections = 512;
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#listen.port, this.#listen.host, () => {
        server.off("error", reject);
        server.on("error", (error) => this.#needs.log.warn({ error: error.message }, "telemetry listener"));
        resolve();
      });
    });
  }

  stop(): Promise<void> {
    const server = this.#server;
    if (server === null) return Promise.resolve();
    this.#server = null;
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(request.url ?? "/");
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      this.#json(response, 405, { title: "Method Not Allowed", status: 405, code: "method_not_allowed" });
    } else if (path === "/metrics") await this.#metrics(request, response);
    else if (path === "/livez") this.#json(response, 200, { status: "ok" });
    else if (path === "/readyz") this.#ready(response);
    else if (path === "/version") {
      this.#json(response, 200, {
        outrider: this.#needs.outriderVersion,
        models: this.#needs.state()?.models ?? [],
      });
    } else this.#json(response, 404, { title: "Not Found", status: 404, code: "not_found" });
  }

  #ready(response: ServerResponse): void {
    const why = this.#needs.unready();
    const parts = this.#needs.parts();
    if (why === null) this.#json(response, 200, { status: "ready", parts });
    else this.#json(response, 503, { status: "not-ready", why, parts });
  }

  async #metrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const encodings = request.headers["accept-encoding"];
    const answer = await this.#needs.askMetrics(
      request.headers.accept ?? "",
      typeof encodings === "string" ? encodings : "",
      METRICS_TIMEOUT_MS,
    );
    response.setHeader("cache-control", "no-store");
    response.setHeader("vary", "Accept, Accept-Encoding");
    if (answer === null) {
      const body = renderOwnMetrics(this.#needs.stats());
      response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" });
      response.end(body);
      return;
    }
    response.setHeader("content-type", answer.contentType);
    if (answer.contentEncoding !== "") response.setHeader("content-encoding", answer.contentEncoding);
    response.writeHead(answer.status, { "content-length": answer.body.length });
    response.end(answer.body);
  }

  #json(response: ServerResponse, status: number, body: unknown): void {
    const type = status >= 400 && status !== 503 ? "application/problem+json" : "application/json";
    response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
    response.end(`${JSON.stringify(body)}\n`);
  }
}

export function createTelemetryListener(
  listen: { readonly host: string; readonly port: number },
  needs: TelemetryNeeds,
): TelemetryListener {
  return new Listener({ ...listen }, needs);
}
