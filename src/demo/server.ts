// The demo's model server: a small Open Inference Protocol v2 server over node:http that stands where a real one would.

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { sleep, type Clock } from "../kernel/clock.ts";
import { createServer } from "../kernel/http.ts";
import { uuidv7 } from "../kernel/ids.ts";
import type { Part } from "../kernel/lifecycle.ts";
import { inferAnswer, modelAnswer } from "./answers.ts";
import { loadDemo, type DemoModel } from "./models.ts";
import { BadRequest, parseInfer } from "./parse-infer.ts";

export interface DemoServerOptions {
  readonly host: string;
  /** 0 asks the system for a free one. */
  readonly port: number;
  /** Share of the requests without a version in their path that the newest version answers. Default 0.3. */
  readonly newestShare?: number;
  /** Requests of a model before its newest version gets any: a roll-out begins with what was there. Default 0. */
  readonly newestAfter?: number;
  /** Share of the predictions that fail with 500. Default 0.002. */
  readonly failureShare?: number;
}

export interface DemoServerNeeds {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly chance: () => number;
}

export interface DemoServer extends Part {
  /** Null before `start` and after `stop`. */
  readonly address: { readonly host: string; readonly port: number } | null;
}

const BODY_BYTES_MAX = 1024 * 1024;
const ROUTE = /^\/v2\/models\/([^/]+)(?:\/versions\/([^/]+))?(?:\/(infer|ready))?$/;

/** A body of text is sent as it is. */
interface Answer {
  readonly status: number;
  readonly body: unknown;
}

class ModelServer implements DemoServer {
  readonly #options: DemoServerOptions;
  readonly #needs: DemoServerNeeds;
  readonly #models = loadDemo().models;
  readonly #asked = new Map<string, number>();
  #server: Server | null = null;

  constructor(options: DemoServerOptions, needs: DemoServerNeeds) {
    this.#options = options;
    this.#needs = needs;
  }

  get address(): { host: string; port: number } | null {
    const bound = this.#server?.address();
    return typeof bound === "object" && bound !== null ? { host: bound.address, port: bound.port } : null;
  }

  async start(): Promise<void> {
    if (this.#server !== null) return;
    const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
      void this.#respond(request, response);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#options.port, this.#options.host, () => {
        server.off("error", reject);
        resolve();
      });
    });
  }

  async stop(deadlineMs: number): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const cut = this.#needs.clock.after(deadlineMs, () => server.closeAllConnections());
    await closed;
    cut.cancel();
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = await this.#answer(request).catch((thrown: unknown): Answer => {
      if (thrown instanceof BadRequest) return { status: thrown.status, body: { error: thrown.message } };
      return { status: 500, body: { error: "internal error" } };
    });
    const plain = typeof answer.body === "string";
    const text = plain ? String(answer.body) : JSON.stringify(answer.body);
    // Whatever of the request was not read must not be taken for the next one; a stopping server keeps no connection.
    if (!request.complete || this.#server === null) response.setHeader("connection", "close");
    response.writeHead(answer.status, {
      "content-type": plain ? "text/plain; version=0.0.4; charset=utf-8" : "application/json",
      "content-length": Buffer.byteLength(text),
    });
    response.end(request.method === "HEAD" ? undefined : text);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const path = request.url?.split("?")[0] ?? "/";
    if (path === "/v2/health/live") return { status: 200, body: { live: true } };
    if (path === "/v2/health/ready") return { status: 200, body: { ready: true } };
    if (path === "/metrics") return { status: 200, body: processPage(this.#needs.clock.wallMs()) };
    if (path === "/v2") return { status: 200, body: { name: "outrider-demo", version: "2", extensions: [] } };
    const [, name, version, action] = ROUTE.exec(path) ?? [];
    if (name === undefined) throw new BadRequest(404, "no such path");
    const models = this.#named(name, version);
    if (action === "ready") return { status: 200, body: { name, ready: true } };
    if (action !== "infer") return { status: 200, body: modelAnswer(models) };
    if (request.method !== "POST") throw new BadRequest(405, "infer takes POST");
    return this.#infer(this.#choose(models), await readBody(request));
  }

  #named(name: string, version: string | undefined): readonly [DemoModel, ...DemoModel[]] {
    const found = this.#models.filter(
      (model) => model.name === name && (version === undefined || model.version === version),
    );
    const [first, ...rest] = found;
    if (first === undefined) throw new BadRequest(404, "no such model or version");
    return [first, ...rest];
  }

  /** The newest version gets its share; the one before it the rest. */
  #choose(models: readonly [DemoModel, ...DemoModel[]]): DemoModel {
    const newest = models.at(-1) ?? models[0];
    const before = models.at(-2) ?? newest;
    const asked = this.#asked.get(newest.name) ?? 0;
    this.#asked.set(newest.name, asked + 1);
    if (asked < (this.#options.newestAfter ?? 0)) return before;
    return this.#needs.chance() < (this.#options.newestShare ?? 0.3) ? newest : before;
  }

  async #infer(model: DemoModel, text: string): Promise<Answer> {
    const { chance, clock } = this.#needs;
    const request = parseInfer(text, model.width);
    await sleep(clock, this.#workMs(request.rows.length));
    if (chance() < (this.#options.failureShare ?? 0.002)) {
      return { status: 500, body: { error: "the model failed" } };
    }
    return { status: 200, body: inferAnswer(model, request, () => uuidv7(clock.wallMs())) };
  }

  /** Some milliseconds and a little more for each row; one request in fifty waits as behind a garbage collection. */
  #workMs(rows: number): number {
    const { chance } = this.#needs;
    const usual = 2 + 0.3 * rows - 1.5 * Math.log(1 - chance());
    return chance() < 0.02 ? usual + 20 + 60 * chance() : usual;
  }
}

/** Its own CPU and memory, by the names that Prometheus client libraries agree on. */
function processPage(nowMs: number): string {
  const { user, system } = process.cpuUsage();
  const figures = [
    ["process_cpu_seconds_total", "counter", (user + system) / 1e6],
    ["process_resident_memory_bytes", "gauge", process.memoryUsage.rss()],
    ["process_start_time_seconds", "gauge", Math.round(nowMs / 1000 - process.uptime())],
  ] as const;
  return figures.map(([name, type, value]) => `# TYPE ${name} ${type}\n${name} ${value}\n`).join("");
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    const chunk = Buffer.from(part);
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new BadRequest(413, `the body is longer than ${BODY_BYTES_MAX} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Serves every version of every demo model: `POST /v2/models/{name}[/versions/{v}]/infer` and the metadata around it. */
export function createDemoServer(options: DemoServerOptions, needs: DemoServerNeeds): DemoServer {
  return new ModelServer(options, needs);
}
