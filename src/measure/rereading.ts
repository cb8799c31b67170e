// Models whose rows are read again in small steps. A row is told by the reading, with the truth that holds then, or, once the
// reading has passed it, by its changes: so in the end all is as if nothing had been missed.

import type { Change } from "../facts/pair.ts";
import { Bin } from "./bin.ts";
import type { Answering, BinVisitor } from "./track-types.ts";
import type { MeasureNeeds, SeriesInfo } from "./types.ts";
import type { Window } from "./windows.ts";

/** Rows (of all models) of one reading, and of one step. */
const TOGETHER = 512;
const STEP_ROWS = 2048;

export type Walk = NonNullable<MeasureNeeds["walk"]>;
type Visit = Parameters<Walk>[1];

interface Reading {
  /** All rows up to this one are told. */
  row: number;
  /** Its rows could not be read. It waits until it is begun again. */
  failed: boolean;
  /** What is told of its versions until then: of the rows told so far the last is an old one, or there is none. */
  readonly shown: readonly SeriesInfo[];
}

export class Rereading {
  readonly #models = new Map<string, Reading>();

  get size(): number {
    return this.#models.size;
  }

  has(model: string): boolean {
    return this.#models.has(model);
  }

  begin(model: string, shown: readonly SeriesInfo[]): void {
    this.#models.set(model, { row: 0, failed: false, shown });
  }

  /** null: the model is not being read. */
  shownOf(model: string): readonly SeriesInfo[] | null {
    return this.#models.get(model)?.shown ?? null;
  }

  end(model: string): void {
    this.#models.delete(model);
  }

  clear(): void {
    this.#models.clear();
  }

  /** The row will be read as it is then. */
  willRead({ row, prediction }: Change): boolean {
    const reading = this.#models.get(prediction.model);
    return reading !== undefined && row > reading.row;
  }

  /** One step. Gives the model of which all rows are told now; null: none yet. */
  step(walk: Walk, visitOf: (model: string) => Visit): string | null {
    for (const [model, reading] of this.#models) {
      if (reading.failed) continue;
      const visit = visitOf(model);
      for (let rows = 0; rows < STEP_ROWS; rows += TOGETHER) {
        const read = walk({ model, afterRow: reading.row, rowsMax: TOGETHER }, visit);
        reading.failed = read === null;
        if (read === null) return null;
        reading.row = read;
        if (read < Number.POSITIVE_INFINITY) continue;
        this.end(model);
        return model;
      }
      return null;
    }
    return null;
  }

  /** There is a step to do. */
  get due(): boolean {
    for (const { failed } of this.#models.values()) if (!failed) return true;
    return false;
  }
}

/** What is shown of a version that is behind. */
export function showBehind(windows: readonly Window[], wanted: Answering, visit: BinVisitor): void {
  if (wanted.slice !== undefined && wanted.slice !== "") return;
  for (const [order, { name }] of windows.entries()) {
    if (wanted.window !== undefined && wanted.window !== name) continue;
    visit("", { name, order }, { bin: new Bin(null, "total"), gap: "catching_up" });
  }
}
