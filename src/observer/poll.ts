// Versions that the traffic does not tell: polled from a metadata endpoint of the model server.

import { get as getTls } from "node:https";
import type { Clock, Timer } from "../kernel/clock.ts";
import { get } from "../kernel/http.ts";
import { parsePath, readPath } from "../kernel/jsonpath.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";

const TIMEOUT_MS = 5000;
const BODY_BYTES_MAX = 1024 * 1024;

export interface PolledModel {
  readonly model: string;
  /** Absolute URL of the endpoint. */
  readonly url: string;
  /** Not null: the model server listens on this unix socket. */
  readonly socketPath: string | null;
  /** PEM texts for an https server with its own authority or client certificates. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | null;
  readonly everyMs: number;
  /** Path of the version inside the JSON answer, e.g. `$.versions[0]`. */
  readonly at: string;
}

export interface PollNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly onVersion: (model: string, version: string) => void;
}

/** The body of a 2xx answer; rejects on any other, on more than 1 MiB, and after 5 s. */
function fetchText({ url, socketPath, tls }: PolledModel): Promise<string> {
  const getter = url.startsWith("https:") ? getTls : get;
  const where = { ...(socketPath === null ? {} : { socketPath }), ...tls };
  return new Promise((resolve, reject) => {
    const request = getter(
      url,
      { ...where, agent: false, timeout: TIMEOUT_MS, headers: { accept: "application/json" } },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > BODY_BYTES_MAX) request.destroy(new Error("the answer is longer than 1 MiB"));
        });
        response.on("error", reject);
        response.on("end", () => {
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(Buffer.concat(chunks).toString());
          else reject(new Error(`status ${status}`));
        });
      },
    );
    request.on("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    request.on("error", reject);
  });
}

/** What has never answered is asked soon again, with pauses that double up to the regular one. */
const SOONEST_MS = 1000;

export interface VersionPoller extends Part {
  /** Models that have not answered yet. */
  awaited(): string[];
}

class Poller implements VersionPoller {
  readonly #models: readonly PolledModel[];
  readonly #needs: PollNeeds;
  readonly #timers = new Map<string, Timer>();
  readonly #failing = new Set<string>();
  readonly #awaited: Set<string>;
  #stopped = false;

  constructor(models: readonly PolledModel[], needs: PollNeeds) {
    this.#models = models;
    this.#needs = needs;
    this.#awaited = new Set(models.map(({ model }) => model));
  }

  awaited(): string[] {
    return [...this.#awaited];
  }

  start(): Promise<void> {
    for (const model of this.#models) this.#poll(model, SOONEST_MS);
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    return Promise.resolve();
  }

  #poll(model: PolledModel, pauseMs: number): void {
    void fetchText(model)
      .then((text) => this.#take(model, text))
      .catch((thrown: unknown) => this.#failed(model, messageOf(thrown)))
      .then(() => {
        if (this.#stopped) return;
        const next = this.#awaited.has(model.model) ? Math.min(model.everyMs, pauseMs) : model.everyMs;
        this.#timers.set(
          model.model,
          this.#needs.clock.after(next, () => this.#poll(model, pauseMs * 2)),
        );
      });
  }

  #take(model: PolledModel, text: string): void {
    const path = parsePath(model.at);
    const value = path === null ? undefined : readPath(JSON.parse(text), path);
    if (typeof value !== "string" && typeof value !== "number") throw new Error(`nothing at ${model.at}`);
    this.#failing.delete(model.model);
    this.#awaited.delete(model.model);
    this.#needs.onVersion(model.model, String(value).slice(0, 128));
  }

  /** Said once until it works again; the last version known stays. */
  #failed(model: PolledModel, error: string): void {
    if (this.#failing.has(model.model)) return;
    this.#failing.add(model.model);
    this.#needs.log.warn(
      { model: model.model, url: model.url, error },
      "version could not be polled; the last known one stays",
    );
  }
}

export function createVersionPoller(models: readonly PolledModel[], needs: PollNeeds): VersionPoller {
  return new Poller(models, needs);
}
