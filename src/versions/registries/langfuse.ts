// Langfuse 4: no model registry, but traces with a version and scores on them. Quality becomes scores on one evaluation trace
// per version and window; ground truth becomes a score on the prediction's trace. Calls as in its public OpenAPI description.

import type { Capability, LabelNote, QualityNote, Registry, RegistryVersion, Reply } from "../registry.ts";
import { unsupported } from "../registry.ts";
import { done, type RegistryHttp } from "../registry-http.ts";
import { stableHex } from "./mlflow.ts";

const SCORES = "/api/public/scores";
const OTLP = "/api/public/otel/v1/traces";
/** Scores go out one by one, and rate limits are low: of one note so many. */
const SCORES_MAX = 40;

interface Evaluation {
  readonly model: string;
  readonly version: string;
  readonly window: string;
  readonly at: number;
}

/** OTLP in JSON: one span that stands for the evaluation. */
function evaluationTrace({ model, version, window, at }: Evaluation, traceId: string): unknown {
  const nanos = `${Math.floor(at)}000000`;
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
                name: `quality ${model} ${window}`,
                kind: 1,
                startTimeUnixNano: nanos,
                endTimeUnixNano: nanos,
                attributes: [
                  text("langfuse.version", version),
                  text("langfuse.trace.name", `quality ${model} ${window}`),
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

export class Langfuse implements Registry {
  readonly type = "langfuse";
  readonly can: ReadonlySet<Capability> = new Set(["metrics", "labels"]);
  readonly source = "langfuse";
  readonly #http: RegistryHttp;

  constructor(http: RegistryHttp) {
    this.#http = http;
  }

  current(_model: string): Promise<Reply<RegistryVersion>> {
    return Promise.resolve(unsupported(this.type, "a declared model version (it has no model registry)"));
  }

  version(_model: string, _version: string): Promise<Reply<RegistryVersion>> {
    return Promise.resolve(unsupported(this.type, "metadata of model versions"));
  }

  promote(_model: string, _version: string): Promise<Reply<null>> {
    return Promise.resolve(unsupported(this.type, "promotion and rollback"));
  }

  /** Trace and scores keep their ids for a day: the same day's next note replaces them instead of adding rows. */
  async writeQuality(model: string, note: QualityNote): Promise<Reply<null>> {
    const { version, at } = note;
    const day = new Date(at).toISOString().slice(0, 10);
    const figures = note.figures.slice(0, SCORES_MAX);
    for (const window of new Set(figures.map((figure) => figure.window))) {
      const traceId = stableHex(["quality", model, version, window, day], 32);
      const trace = await this.#trace({ model, version, window, at }, traceId);
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
    const headers = { "x-langfuse-ingestion-version": "4" };
    return done(
      await this.#http.call({ method: "POST", path: OTLP, body: evaluationTrace(of, traceId), headers }),
    );
  }

  async #score(body: Readonly<Record<string, unknown>>): Promise<Reply<null>> {
    return done(await this.#http.call({ method: "POST", path: SCORES, body }));
  }

  /** The same id again replaces the value: a correction needs no other call. */
  async writeLabel(model: string, { predictionId, traceId, value }: LabelNote): Promise<Reply<null>> {
    const kind =
      typeof value === "number" ? { value, dataType: "NUMERIC" } : { value, dataType: "CATEGORICAL" };
    return await this.#score({
      id: `outrider-${stableHex(["label", model, predictionId], 24)}`,
      traceId,
      name: "ground_truth",
      ...kind,
      metadata: { prediction_id: predictionId },
    });
  }
}
