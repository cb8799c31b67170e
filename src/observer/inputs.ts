// Inputs on their way to drift: held until the ledger has taken their prediction, so that a prediction that came twice counts once.

import type { Prediction } from "../facts/prediction.ts";
import type { Drift } from "../measure/drift/drift.ts";
import type { Recorder } from "../telemetry/recorder.ts";

export interface ReadInput {
  readonly name: string;
  readonly value: number | string;
}

/** Rows whose prediction is being recorded; beyond, their inputs are left out and counted. */
const WAITING_MAX = 20_000;

export class InputDesk {
  readonly #drift: Drift;
  readonly #counter: ReturnType<Recorder["counter"]>;
  readonly #waiting = new Map<string, readonly ReadInput[]>();

  constructor(drift: Drift, recorder: Recorder) {
    this.#drift = drift;
    this.#counter = recorder.counter("outrider_inputs_total");
  }

  #count(model: string, result: InputsMissing | "read" | "left_out", rows: number): void {
    this.#counter.inc({ model, result }, rows);
  }

  /** Before the predictions are recorded. `inputs` are those of the first rows, in order; or why there are none. */
  expect(predictions: readonly Prediction[], inputs: ReadInputs): void {
    const [first] = predictions;
    if (first === undefined) return;
    if (typeof inputs === "string") return this.#count(first.model, inputs, predictions.length);
    let left = 0;
    for (const [at, prediction] of predictions.entries()) {
      const row = inputs[at] ?? null;
      if (row === null || this.#waiting.size >= WAITING_MAX) left++;
      else this.#waiting.set(keyOf(prediction), row);
    }
    if (left > 0) this.#count(first.model, "left_out", left);
  }

  /** The ledger has taken it as new, and drift knows of it. */
  predicted(prediction: Prediction): void {
    if (this.#waiting.size === 0) return;
    const key = keyOf(prediction);
    const row = this.#waiting.get(key);
    if (row === undefined) return;
    this.#waiting.delete(key);
    for (const { name, value } of row) this.#drift.input(prediction, name, value);
    this.#count(prediction.model, row.length === 0 ? "no_inputs" : "read", 1);
  }

  /** Recorded, or refused: what is still held came twice or is lost. */
  settle(predictions: readonly Prediction[]): void {
    if (this.#waiting.size === 0) return;
    for (const prediction of predictions) this.#waiting.delete(keyOf(prediction));
  }
}

/** One per prediction, in order (null: left out); or why there are none. */
export type ReadInputs = readonly (readonly ReadInput[] | null)[] | InputsMissing;
export type InputsMissing = "no_inputs" | "row_count";

const keyOf = ({ model, version, id }: Prediction): string => `${model}\0${version}\0${id}`;
