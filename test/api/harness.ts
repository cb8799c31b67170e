// A running API on a free port with a plain label store, and a client that says exactly what a test tells it to.

import { request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Readable } from "node:stream";
import { type Api, type ApiNeeds, type ApiOptions, DEFAULT_LIMITS, createApi } from "../../src/api/api.ts";
import type { VersionDesk } from "../../src/api/contract.ts";
import type { LabelEvent, LabelOutcome } from "../../src/facts/label.ts";
import type { Status } from "../../src/facts/status.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";

export interface Store {
  /** How the next batches end; the last one stays. */
  answers: ("keep" | "refuse" | "throw" | "hang")[];
  readonly events: LabelEvent[];
  readonly counted: LabelOutcome[];
  /** Ids whose prediction is known. */
  readonly known: Set<string>;
  inFlight: number;
  inFlightMost: number;
  batchMost: number;
  /** Also keep the events (off for the large streams). */
  remember: boolean;
}

export function createStore(): Store {
  return {
    answers: ["keep"],
    events: [],
    counted: [],
    known: new Set(),
    inFlight: 0,
    inFlightMost: 0,
    batchMost: 0,
    remember: true,
  };
}

function outcome(store: Store, event: LabelEvent): LabelOutcome {
  if (event.id.startsWith("bad-")) {
    return { result: "rejected", code: "ambiguous_id", message: "shared", model: null, version: null };
  }
  const result = event.label === null ? "retracted" : store.known.has(event.id) ? "joined" : "waiting";
  return { result, code: null, message: null, model: null, version: null };
}

export function labelsInto(store: Store): ApiNeeds["labels"] {
  return async (events) => {
    const how = store.answers.length > 1 ? store.answers.shift() : store.answers[0];
    store.inFlight++;
    store.inFlightMost = Math.max(store.inFlightMost, store.inFlight);
    store.batchMost = Math.max(store.batchMost, events.length);
    await new Promise((resolve) => setImmediate(resolve));
    store.inFlight--;
    if (how === "refuse") return { kind: "refused", cause: "disk_full", message: "the disk is full" };
    if (how === "throw") throw new Error("secret detail of a bug");
    if (how === "hang") return await new Promise(() => {});
    if (store.remember) store.events.push(...events);
    return { kind: "kept", outcomes: events.map((event) => outcome(store, event)) };
  };
}

const nothingKnown = {
  kind: "refused",
  code: "unknown_model",
  message: "no version of this model is known",
  details: {},
} as const;
export const noVersions: VersionDesk = {
  register: () => nothingKnown,
  promote: () => nothingKnown,
  rollBack: () => nothingKnown,
  history: () => [],
  productionAt: () => null,
  registries: () => Promise.resolve([]),
  webhook: () => null,
};

export const noStatus = (): Status => ({
  at: 0,
  outrider: "0.0.0-test",
  startedAt: 0,
  window: "24h",
  windows: ["1h", "24h"],
  parts: {},
  pulse: { binMs: 10_000, bins: [] },
  models: [],
  verdicts: [],
  history: [],
  findings: [],
});

export interface Setup {
  readonly options?: Partial<ApiOptions>;
  readonly needs?: Partial<ApiNeeds>;
  readonly store?: Store;
}

export async function running(
  t: TestContext,
  setup: Setup = {},
): Promise<{ api: Api; store: Store; port: number }> {
  const store = setup.store ?? createStore();
  const api = createApi(
    {
      listen: { host: "127.0.0.1", port: 0 },
      tokens: [],
      limits: DEFAULT_LIMITS,
      softwareVersion: "0.0.0-test",
      ...setup.options,
    },
    {
      clock: systemClock,
      log: silentLog,
      labels: labelsInto(store),
      countLabel: (counted, times) => {
        if (store.remember) for (let i = 0; i < times; i++) store.counted.push(counted);
      },
      prediction: () => [],
      labelsOf: () => [],
      quality: () => ({ at: 0, groups: [] }),
      estimates: () => ({ at: "2026-01-01T00:00:00.000Z", estimates: [] }),
      drift: () => ({ at: "2026-01-01T00:00:00.000Z", versions: [] }),
      compare: () => ({ at: 0, model: "m", baseline: "1", candidate: "2", countedUntil: null, metrics: [] }),
      models: () => [],
      version: () => ({ outrider: "0.0.0-test", models: [] }),
      versions: noVersions,
      status: noStatus,
      health: () => ({ live: true, ready: true, body: { state: "ok" } }),
      ...setup.needs,
    },
  );
  await api.start();
  t.after(() => api.stop(100));
  const port = (api.address as AddressInfo | null)?.port ?? 0;
  return { api, store, port };
}

export interface Call {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer | Iterable<string | Buffer> | AsyncIterable<string | Buffer>;
}

interface OpenApiOperation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string }[];
  readonly requestBody: { readonly content: object };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly security: unknown;
}

/** The members of all answers of the API that tests look at, as they are expected to be; the assertions tell if they are not. */
export interface Body {
  readonly countedUntil: string;
  readonly metadata: { readonly trainingData: unknown };
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly received: number;
  readonly waiting: number;
  readonly kept: number;
  readonly cause: string;
  readonly id: string;
  readonly ids: readonly string[];
  readonly model: string;
  readonly models: readonly unknown[];
  readonly version: string;
  readonly versions: readonly { readonly quality: readonly unknown[] }[];
  readonly others: readonly unknown[];
  readonly ts: string;
  readonly firstSeen: string | null;
  readonly labels: readonly { readonly receivedAt: string }[];
  readonly openapi: string;
  /** Path, method, operation. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>;
  readonly rejected: number;
  readonly errors: readonly { readonly line: number; readonly code: string; readonly message: string }[];
}

export interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
  readonly json: Body;
}

/** One request with its own connection. Resolves with the answer even when it comes before the body was sent. */
export function call(port: number, { method, path, headers, body }: Call): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: "127.0.0.1",
      port,
      method: method ?? (body === undefined ? "GET" : "POST"),
      path: path ?? "/v1/labels",
      headers: headers ?? {},
      agent: false,
    });
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(parts).toString();
        const type = String(response.headers["content-type"]);
        const json = JSON.parse(/json/.test(type) && text !== "" ? text : "{}") as Body;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
        request.destroy();
      });
    });
    request.on("error", (error) => {
      if (!answered) reject(error);
    });
    if (body === undefined) request.end();
    else if (typeof body === "string" || Buffer.isBuffer(body)) request.end(body);
    else
      Readable.from(body)
        .on("error", () => {})
        .pipe(request);
  });
}

export const NDJSON = { "content-type": "application/x-ndjson" };
export const JSON_TYPE = { "content-type": "application/json" };
export const CSV = { "content-type": "text/csv" };
