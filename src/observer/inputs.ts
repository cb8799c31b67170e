// Inputs on their way to drift: held until the ledger has taken their prediction, so that a prediction that came twice counts once.

import type { Change } from "../facts/pair.ts";
import type { Prediction } from "../facts/prediction.ts";
import type { Beside } from "../ledger/types.ts";
import type { InputRow } from "./input-tail.ts";
import type { Measuring } from "./measuring.ts";
import type { Recorder } from "../telemetry/recorder.ts";

export interface ReadInput {
  readonly name: string;
  readonly value: number | string;
}

/** Rows whose prediction is being recorded; beyond, their inputs are left out and counted. */
const WAITING_MAX = 20_000;

export class InputDesk {
  readonly #measuring: Pick<Measuring, "drift" | "inputTail">;
  readonly #counter: ReturnType<Recorder["counter"]>;
  readonly #waiting = new Map<string, readonly ReadInput[]>();

  constructor(measuring: Pick<Measuring, "drift" | "inputTail">, recorder: Recorder) {
    this.#measuring = measuring;
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

  /** In the transaction that takes predictions as new: their inputs are on disk if and only if they are. */
  beside(changes: readonly Change[]): Beside | null {
    if (this.#waiting.size === 0) return null;
    const rows: InputRow[] = [];
    for (const { kind, prediction } of changes) {
      const inputs = kind === "predicted" ? this.#waiting.get(keyOf(prediction)) : undefined;
      if (inputs !== undefined && inputs.length > 0) rows.push({ prediction, inputs });
    }
    return this.#measuring.inputTail.write(rows);
  }

  /** The ledger has taken it as new, and drift knows of it. */
  predicted(prediction: Prediction): void {
    if (this.#waiting.size === 0) return;
    const key = keyOf(prediction);
    const row = this.#waiting.get(key);
    if (row === undefined) return;
    this.#waiting.delete(key);
    for (const { name, value } of row) this.#measuring.drift.input(prediction, name, value);
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
