// The newest rows of answers with many rows, as columns in memory: a label that comes soon finds its prediction without the disk.

import type { Prediction } from "../facts/prediction.ts";
import { predictionId } from "./codec.ts";
import type { Head } from "./codec.ts";
import type { SeriesBook } from "./series-book.ts";
import type { Words } from "./words.ts";

const BLOCK_ROWS = 1 << 16;
/** Half a million rows, 17 MB at most; older blocks are let go, and their rows read from the disk. */
const BLOCKS_MAX = 8;

/** Of every row, 0 in `series`: it is not kept here. NaN: null. */
class Block {
  readonly series = new Uint16Array(BLOCK_ROWS);
  readonly slice = new Uint16Array(BLOCK_ROWS);
  readonly ts = new Float64Array(BLOCK_ROWS);
  readonly value = new Float64Array(BLOCK_ROWS);
  readonly score = new Float64Array(BLOCK_ROWS);
}

export interface Texts {
  readonly series: SeriesBook;
  readonly words: Words;
}

/** Rows never change; they only go. Whoever undoes an insert says so here; rows that were forgotten are not asked for. */
export class RecentRows {
  readonly #blocks = new Map<number, Block>();
  /** The one that was asked for last. */
  #last: { readonly number: number; readonly block: Block } | null = null;

  /** Keeps a row if it is one of numbers; `slice` is the word of its slice, as it is stored. */
  add(row: number, prediction: Prediction, of: { series: number; slice: number | string | null }): void {
    const { value, score, scores, ts } = prediction;
    const { series, slice } = of;
    if (scores !== null || typeof value === "string" || typeof slice === "string") return;
    if (series > 0xffff || (slice ?? 0) > 0xffff) return;
    const block = this.#blockOf(row) ?? this.#begin(Math.floor(row / BLOCK_ROWS));
    const at = row % BLOCK_ROWS;
    block.series[at] = series;
    block.slice[at] = slice ?? 0;
    block.ts[at] = ts;
    // What comes back from the disk is 0 where -0 went.
    block.value[at] = value === null ? Number.NaN : value + 0;
    block.score[at] = score === null ? Number.NaN : score + 0;
  }

  drop(row: number): void {
    const block = this.#blockOf(row);
    if (block !== undefined) block.series[row % BLOCK_ROWS] = 0;
  }

  has(row: number): boolean {
    const block = this.#blockOf(row);
    return block !== undefined && block.series[row % BLOCK_ROWS] !== 0;
  }

  /** The row at `pos` of an exchange; null: it is not here. `id`: that of the prediction, where it is known. */
  read(
    head: Pick<Head, "row" | "id" | "n">,
    { pos, id }: { readonly pos: number; readonly id: string | null },
    { series, words }: Texts,
  ): Prediction | null {
    const row = head.row + pos;
    const block = this.#blockOf(row);
    if (block === undefined) return null;
    const at = row % BLOCK_ROWS;
    const known = series.byId(block.series[at] ?? 0);
    if (known === undefined) return null;
    const value = block.value[at] ?? Number.NaN;
    const score = block.score[at] ?? Number.NaN;
    const slice = block.slice[at] ?? 0;
    return {
      model: known.model,
      version: known.version,
      id: id ?? predictionId(head, pos),
      ts: block.ts[at] ?? 0,
      value: Number.isNaN(value) ? null : value,
      score: Number.isNaN(score) ? null : score,
      scores: null,
      slice: slice === 0 ? null : words.sliceOf(slice),
    };
  }

  #blockOf(row: number): Block | undefined {
    const number = Math.floor(row / BLOCK_ROWS);
    if (this.#last?.number === number) return this.#last.block;
    const block = this.#blocks.get(number);
    if (block !== undefined) this.#last = { number, block };
    return block;
  }

  #begin(number: number): Block {
    const made = new Block();
    this.#blocks.set(number, made);
    if (this.#blocks.size > BLOCKS_MAX) this.#blocks.delete(Math.min(...this.#blocks.keys()));
    this.#last = null;
    return made;
  }
}
