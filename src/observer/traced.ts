// Predictions whose trace was sent: a label that arrives for one of them can be written to that trace.

import type { Exchange } from "../facts/exchange.ts";
import type { Truth } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import type { LabelNote } from "../versions/registry.ts";

/** Remembered, newest; a label for an older one stays in our own ledger only. */
const IDS_MAX = 50_000;

export class TracedPredictions {
  readonly #traces = new Map<string, string>();

  readonly #wanted: boolean;

  /** `wanted` false: nobody asks for it, nothing is remembered. */
  constructor(wanted: boolean) {
    this.#wanted = wanted;
  }

  get isEmpty(): boolean {
    return this.#traces.size === 0;
  }

  /** Call it for every exchange of predictions; those that are not sampled are passed over. */
  add(exchange: Exchange): void {
    if (!this.#wanted || !exchange.trace.sampled) return;
    this.#traces.delete(exchange.id);
    this.#traces.set(exchange.id, exchange.trace.traceId);
    if (this.#traces.size <= IDS_MAX) return;
    const [oldest] = this.#traces.keys();
    if (oldest !== undefined) this.#traces.delete(oldest);
  }

  /** What to tell of a truth, or (null) of one that was taken back at `nowMs`; null: the trace was not sent. */
  noteOf({ id }: Prediction, truth: Truth | null, nowMs: number): LabelNote | null {
    const traceId = this.#traceOf(id);
    if (traceId === null) return null;
    return { predictionId: id, traceId, value: truth?.value ?? null, at: truth?.ts ?? nowMs };
  }

  /** By prediction id, `<exchange id>` or `<exchange id>:<row>`. */
  #traceOf(predictionId: string): string | null {
    const whole = this.#traces.get(predictionId);
    if (whole !== undefined) return whole;
    const colon = predictionId.lastIndexOf(":");
    return colon < 0 ? null : (this.#traces.get(predictionId.slice(0, colon)) ?? null);
  }
}
