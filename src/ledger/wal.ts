// The write-ahead log, brought into the file in small steps of our own. SQLite would do it within whichever COMMIT comes past
// a size, and hold that one up for as long as a thousand pages and their fsync take.

import type { DatabaseSync } from "node:sqlite";

import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { PagePace } from "./pace.ts";
import { num, one } from "./sql.ts";
import type { Sql } from "./sql.ts";
import { troubleOf } from "./trouble.ts";
import type { Trouble } from "./trouble.ts";
import type { WalStats } from "./types.ts";

/** On a log of so many pages (16 MiB) no transaction begins before a step was taken; if it fails, the transaction is refused. */
const CAP_PAGES = 4096;
const CAP_PAGES_LEAST = 16;
const PAGE_BYTES = 4096;
/** The log takes at most so much of a store that may not be large. */
const SIZE_SHARE = 16;
/** Of the cap's pages, so many (1 MiB) are enough for a step while nobody waits; on a disk that is slower, down to a quarter. */
const STEP_SHARE = 16;
const LEAST_SHARE = 4 * STEP_SHARE;
/** While somebody waits, a step comes first only when there are so many. */
const OVERDUE_SHARE = 8;
/** After a failure nothing is tried for so long. */
const AGAIN_MS = 1000;

/** The cap of the log in a store that may have so many bytes. */
export function walPagesFor(sizeMaxBytes: number): number {
  return Math.max(CAP_PAGES_LEAST, Math.min(CAP_PAGES, Math.floor(sizeMaxBytes / PAGE_BYTES / SIZE_SHARE)));
}

/*
 * A step writes all pages that are in the log and not in the file, then waits for the disk; SQLite knows no smaller one. So
 * steps are small because they come often. Only when all is on disk does the log begin anew: what is committed is in one of
 * the two at any moment, and a step that failed is repeated from the log.
 */
export class Wal {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #capPages: number;
  readonly #pace: PagePace;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #trouble: Trouble | null = null;
  #steps = 0;
  #forced = 0;
  #failed = 0;
  #pagesMax = 0;

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }, capPages: number) {
    this.#clock = clock;
    this.#log = log;
    this.#capPages = capPages;
    this.#pace = new PagePace(Math.ceil(capPages / LEAST_SHARE), Math.ceil(capPages / STEP_SHARE));
  }

  get capBytes(): number {
    return this.#capPages * PAGE_BYTES;
  }

  /** Once the log begins anew its file is cut to the cap, if a transaction was longer. */
  limit(db: DatabaseSync): void {
    db.exec(`PRAGMA journal_size_limit = ${this.capBytes}`);
  }

  /** Why the last step failed; null: it succeeded. */
  get trouble(): Trouble | null {
    return this.#trouble;
  }

  get stats(): WalStats {
    return { steps: this.#steps, forced: this.#forced, failed: this.#failed, pagesMax: this.#pagesMax };
  }

  /** Pages in the log that are not in the file yet. */
  pages(sql: Sql): number {
    return pending(sql);
  }

  /** There is a step to do. `waiting`: somebody waits for a transaction. */
  due(sql: Sql, waiting: boolean): boolean {
    const least = Math.max(this.#pace.pages, waiting ? this.#capPages / OVERDUE_SHARE : 0);
    return this.#clock.monotonicMs() >= this.#notBeforeMs && pending(sql) >= least;
  }

  step(sql: Sql): void {
    const startedAt = this.#clock.monotonicMs();
    try {
      const pages = pending(sql);
      sql.walCheckpoint.get();
      if (pending(sql) > 0) throw new Error("the log could not be emptied");
      this.#trouble = null;
      this.#steps++;
      this.#pagesMax = Math.max(this.#pagesMax, pages);
      this.#pace.took(pages, this.#clock.monotonicMs() - startedAt);
    } catch (thrown) {
      this.#failed++;
      const trouble = troubleOf(thrown);
      if (this.#trouble === null)
        this.#log.warn(
          { error: trouble.message },
          "ledger: the write-ahead log stays: it is not in the file",
        );
      this.#trouble = trouble;
      this.#notBeforeMs = this.#clock.monotonicMs() + AGAIN_MS;
    }
  }

  /** Before a transaction: null when the log has room for it, else why not. */
  makeRoom(sql: Sql): Trouble | null {
    if (pending(sql) < this.#capPages) return null;
    if (this.#clock.monotonicMs() >= this.#notBeforeMs) {
      this.step(sql);
      if (this.#trouble === null) this.#forced++;
    }
    return this.#trouble;
  }

  /** The log was emptied by other means. */
  emptied(): void {
    this.#trouble = null;
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
  }
}

/** Pages in the log that are not in the file yet. */
function pending(sql: Sql): number {
  const cells = one(sql.walPages.get());
  return cells === null ? 0 : num(cells[1]) - num(cells[2]);
}
