// Rows of predictions on their way into the file within one transaction: many with one statement, in order of their keys.

import { HEAD_COLUMNS, HEADS_TOGETHER, ROW_COLUMNS, ROWS_ADDED_TOGETHER } from "./sql.ts";
import type { Sql } from "./sql.ts";

type Cell = number | string | null;
type Statement = Sql["addHeads"];

/** Rows as cells, one after the other; written when there are as many as one statement takes. */
class Pile {
  readonly #columns: number;
  readonly #one: Statement;
  readonly #many: Statement;
  readonly #most: number;
  /** Written over: what is behind `#used` is of the statement before. */
  readonly #cells: Cell[] = [];
  #used = 0;

  constructor(columns: number, one: Statement, together: { many: Statement; rows: number }) {
    this.#columns = columns;
    this.#one = one;
    this.#many = together.many;
    this.#most = together.rows * columns;
  }

  add(cells: readonly Cell[]): void {
    for (const cell of cells) this.#cells[this.#used++] = cell;
    if (this.#used < this.#most) return;
    this.#used = 0;
    this.#many.run(...this.#cells);
  }

  flush(): void {
    const used = this.#used;
    this.#used = 0;
    for (let at = 0; at < used; at += this.#columns)
      this.#one.run(...this.#cells.slice(at, at + this.#columns));
  }
}

/** Whoever reads rows within the transaction flushes first. */
export class PredictionTable {
  readonly #heads: Pile;
  readonly #rows: Pile;

  constructor(sql: Sql) {
    this.#heads = new Pile(HEAD_COLUMNS, sql.addHead, { many: sql.addHeads, rows: HEADS_TOGETHER });
    this.#rows = new Pile(ROW_COLUMNS, sql.addRow, { many: sql.addRows, rows: ROWS_ADDED_TOGETHER });
  }

  /** The first row of an exchange: all columns of the table. */
  addHead(cells: readonly Cell[]): void {
    this.#rows.flush();
    this.#heads.add(cells);
  }

  /** A further row: row, pos, series, ts, value, score, scores, slice. */
  addRow(cells: readonly Cell[]): void {
    this.#heads.flush();
    this.#rows.add(cells);
  }

  flush(): void {
    this.#heads.flush();
    this.#rows.flush();
  }
}
