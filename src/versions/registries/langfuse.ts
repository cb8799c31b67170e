// Langfuse 4: no model registry, but traces with a version and scores on them. Quality becomes scores on one evaluation trace
// per version and window; ground truth becomes a score on the prediction's trace. Calls as in its public OpenAPI description.

import * as z from "zod";
import { createHash } from "node:crypto";
import type {
  Capability,
  LabelNote,
  QualityNote,
  ReadBack,
  RegistrationNote,
  Registry,
  RegistryVersion,
  Reply,
} from "../registry.ts";
import { unsupported } from "../registry.ts";
import { done, picked, type RegistryHttp, segment } from "../registry-http.ts";
import { Remembered } from "../remembered.ts";

const SCORES = "/api/public/scores";
const OTLP = "/api/public/otel/v1/traces";
const METRICS = "/api/public/v2/metrics";
/** Scores go out one by one, and rate limits are low: of one note so many. */
const SCORES_MAX = 40;
const DAY_MS = 86_400_000;
/** Read back: scores of so many days, and rows of so many. */
const BACK_MS = 30 * DAY_MS;
const ROWS_MAX = 1000;
/** Longest text of a categorical score. */
const TEXT_MAX = 500;

/** Aggregates may come as text: the database counts in 64 bits. */
const number = z.union([z.number(), z.string().transform(Number)]);
const metricsAnswer = z.object({
  data: z.array(
    z.object({
      name: z.string().nullish(),
      traceVersion: z.string().nullish(),
      avg_value: number.nullish(),
      count_count: number.nullish(),
    }),
  ),
});

/** `n` hex digits that follow from `parts` alone: the same thing gets the same id again. */
function stableHex(parts: readonly string[], n: number): string {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, n);
}

interface Evaluation {
  readonly model: string;
  readonly version: string;
  readonly window: string;
  /** Unix ms at which its day began: the same span again replaces itself only when its start is the same. */
  readonly dayMs: number;
}

/** OTLP in JSON: one span that stands for the evaluation. */
function evaluationTrace({ model, version, window, dayMs }: Evaluation, traceId: string): unknown {
  const nanos = `${dayMs}000000`;
  const text = (key: string, value: string): unknown => ({ key, value: { stringValue: value } });
  return {
    resourceSpans: [
      {
        resource: { attributes: [text("service.name", "outrider")] },
        scopeSpans: [
          {
            scope: { name: "outrider" },
            spans: [
              {
                traceId,
                spanId: stableHex([traceId], 16),
                name: traceName(model, window),
                kind: 1,
                startTimeUnixNano: nanos,
                endTimeUnixNano: nanos,
                attributes: [
                  text("langfuse.version", version),
                  text("langfuse.trace.name", traceName(model, window)),
                  text("model", model),
                  text("window", window),
                ],
                status: {},
              },
            ],
          },
        ],
      },
    ],
  };
}

/** Our evaluation traces of a model are named so, with the window behind it. */
function traceName(model: string, window: string): string {
  return `quality ${model} ${window}`;
}

export class Langfuse implements Registry {
  readonly type = "langfuse";
  readonly can: ReadonlySet<Capability> = new Set(["metrics", "labels", "comparison"]);
  readonly source = "langfuse";
  readonly #http: RegistryHttp;
  readonly #sent = new Remembered();

  constructor(http: RegistryHttp) {
    this.#http = http;
  }

  current(_model: string): Promise<Reply<RegistryVersion>> {
    return Promise.resolve(unsupported(this.type, "a declared model version (it has no model registry)"));
  }

  version(_model: string, _version: string): Promise<Reply<RegistryVersion>> {
    return Promise.resolve(unsupported(this.type, "metadata of model versions"));
  }

  versions(_model: string): Promise<Reply<readonly RegistryVersion[]>> {
    return Promise.resolve(unsupported(this.type, "a list of model versions"));
  }

  promote(_model: string, _version: string): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "promotion and rollback"));
  }

  register(_model: string, _note: RegistrationNote): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "registration of model versions"));
  }

  /**
   * Trace and scores keep their ids for a day: the same day's next note replaces them instead of adding rows. What was taken is
   * not sent again, so that a note cut short by a rate limit goes on where it stopped.
   */
  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const { version, at } = note;
    const dayMs = Math.floor(at / DAY_MS) * DAY_MS;
    const day = new Date(dayMs).toISOString().slice(0, 10);
    const figures = note.figures.slice(0, SCORES_MAX);
    for (const window of new Set(figures.map((figure) => figure.window))) {
      const traceId = stableHex(["quality", model, version, window, day], 32);
      const trace = await this.#trace({ model, version, window, dayMs }, traceId);
      if (trace.kind !== "ok") return trace;
      for (const { metric, value, samples } of figures.filter((figure) => figure.window === window)) {
        const reply = await this.#score({
          id: `outrider-${stableHex([traceId, metric], 24)}`,
          traceId,
          name: `${metric} ${window}`,
          value,
          dataType: "NUMERIC",
          comment: `n=${samples}`,
        });
        if (reply.kind !== "ok") return reply;
      }
    }
    return { kind: "ok", value: null };
  }

  async #trace(of: Evaluation, traceId: string): Promise<Reply<null>> {
    if (this.#sent.has(traceId, "")) return { kind: "ok", value: null };
    const headers = { "x-langfuse-ingestion-version": "4" };
    const body = evaluationTrace(of, traceId);
    const reply = done(await this.#http.call({ method: "POST", path: OTLP, body, headers }));
    if (reply.kind === "ok") this.#sent.set(traceId, "");
    return reply;
  }

  async #score(body: Readonly<Record<string, unknown>> & { readonly id: string }): Promise<Reply<null>> {
    const text = JSON.stringify(body);
    if (this.#sent.has(body.id, text)) return { kind: "ok", value: null };
    const reply = done(await this.#http.call({ method: "POST", path: SCORES, body }));
    if (reply.kind === "ok") this.#sent.set(body.id, text);
    return reply;
  }

  /** The same id again replaces the value: a correction needs no other call. */
  async writeLabel(model: string, { predictionId, traceId, value }: LabelNote): Promise<Reply<null>> {
    const id = `outrider-${stableHex(["label", model, predictionId], 24)}`;
    if (value === null) {
      this.#sent.set(id, "deleted");
      const reply = await this.#http.call({ method: "DELETE", path: `${SCORES}/${segment(id)}` });
      // It may never have arrived.
      return reply.kind === "none" ? { kind: "ok", value: null } : done(reply);
    }
    const kind =
      typeof value === "number"
        ? { value, dataType: "NUMERIC" }
        : { value: value.slice(0, TEXT_MAX), dataType: "CATEGORICAL" };
    return await this.#score({
      id,
      traceId,
      name: "ground_truth",
      ...kind,
      metadata: { prediction_id: predictionId },
    });
  }

  /** Means of the last 30 days by version, as Langfuse itself adds them up. */
  async readBack(model: string, now: number): Promise<Reply<readonly ReadBack[]>> {
    const prefix = traceName(model, "");
    const query = {
      view: "scores-numeric",
      dimensions: [{ field: "name" }, { field: "traceVersion" }],
      metrics: [
        { measure: "value", aggregation: "avg" },
        { measure: "count", aggregation: "count" },
      ],
      filters: [{ column: "traceName", operator: "starts with", value: prefix, type: "string" }],
      fromTimestamp: new Date(now - BACK_MS).toISOString(),
      toTimestamp: new Date(now + DAY_MS).toISOString(),
      config: { row_limit: ROWS_MAX },
    };
    const reply = await this.#http.call({
      method: "GET",
      path: METRICS,
      query: { query: JSON.stringify(query) },
    });
    return picked(reply, (json) => {
      const rows = metricsAnswer.safeParse(json).data?.data;
      if (rows === undefined) return null;
      return rows.flatMap(({ name, traceVersion, avg_value, count_count }) => {
        const value = avg_value ?? Number.NaN;
        if (!name || !traceVersion || !Number.isFinite(value)) return [];
        return [{ version: traceVersion, name, value, count: count_count ?? 0 }];
      });
    });
  }
}
