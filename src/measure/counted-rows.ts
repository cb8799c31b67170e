// A pane of a task whose metrics need more than sums: it only says that there are rows, which are then read one by one.

import type { Archive } from "../kernel/archive.ts";
import { invariant } from "../kernel/problem.ts";
import type { Components, Evaluation, Sign, Totals } from "./totals.ts";

export class CountedRows implements Totals {
  readonly exact = true;
  #rows = 0;

  get mergeable(): boolean {
    return this.#rows === 0;
  }

  add(sign: Sign): void {
    this.#rows += sign;
  }

  merge(other: Totals, sign: Sign): void {
    invariant(other instanceof CountedRows, "totals of one task");
    this.#rows += sign * other.#rows;
  }

  gathering(): Totals {
    return new CountedRows();
  }

  evaluate(): Evaluation {
    return { metrics: {}, undefined: {}, extra: {} };
  }

  components(): Components {
    return { regression: null, classification: null };
  }

  archive(io: Archive): void {
    this.#rows = io.number(this.#rows);
  }

  release(): void {
    // Nothing is borrowed here.
  }
}
