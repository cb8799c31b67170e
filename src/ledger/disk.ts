// Transactions on a file that may fail at any time. Memory follows the disk, never leads it.

import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

import type { Change } from "../facts/pair.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import { FILE_NAME, closeQuietly, connect } from "./file.ts";
import type { OpenFile } from "./file.ts";
import { writeForgotten } from "./forgotten.ts";
import { LabelTable } from "./label-table.ts";
import type { Shelf } from "./lookup.ts";
import { PredictionTable } from "./prediction-table.ts";
import { num, one } from "./sql.ts";
import { setStates } from "./states.ts";
import { sqliteCodeOf, troubleOf } from "./trouble.ts";
import type { Trouble } from "./trouble.ts";
import type { LedgerNeeds, WalStats } from "./types.ts";
import { Wal } from "./wal.ts";
import type { Memory, Work } from "./work.ts";

const LOST: Trouble = Object.freeze({
  cause: "io",
  message: "the disk lost transactions that it had taken: a restart goes on with what it still has",
});

/** After an I/O error the connection is closed; so often it is tried again, when somebody asks. */
const RECONNECT_MS = 500;

export type Committed<T> =
  | { readonly kind: "committed"; readonly value: T }
  | { readonly kind: "failed"; readonly trouble: Trouble };

interface Counters {
  readonly nextRow: number;
  readonly nextSeq: number;
}

export interface DiskNeeds extends Required<Pick<LedgerNeeds, "normalise" | "onChanges" | "beside">> {
  readonly clock: Clock;
  readonly log: Log;
  readonly directory: string;
  readonly waitingMax: number;
  readonly walPagesMax: number;
}

/*
 * States: connected -> (I/O error) -> cut off -> (reconnected) -> connected; any -> closed.
 * A transaction that failed in COMMIT with an I/O error is unsettled: only the file, opened again, can tell whether it
 * happened. Until then its callers were refused, its memory changes stand, and nothing can be read or written.
 * If the file then lacks more than that one (a COMMIT that did not wait, and whose pages the system dropped after an error),
 * memory is ahead of it: cut off -> lost, for good; a start reads what there is.
 */
export class Disk {
  readonly #needs: DiskNeeds;
  readonly #memory: Memory;
  readonly #wal: Wal;
  #file: OpenFile | null;
  #closed = false;
  #lost = false;
  /** A COMMIT waits until the disk has it. */
  #waits = true;
  #tidyPages = 0;
  /** The last COMMIT did not wait: what it wrote may be in the system's memory only. */
  #unsynced = false;
  #unsettled: { readonly work: Work; readonly before: Counters } | null = null;
  #triedAtMs = Number.NEGATIVE_INFINITY;
  #trouble: Trouble | null = null;
  writeErrors = 0;
  /** Listeners are being told: they may know half of a transaction. */
  telling = false;

  constructor(needs: DiskNeeds, memory: Memory, file: OpenFile) {
    this.#needs = needs;
    this.#memory = memory;
    this.#wal = new Wal(needs, needs.walPagesMax);
    this.#wal.limit(file.db);
    this.#file = file;
  }

  /** Why the last write failed, to the log or from there to the file; null when it succeeded. */
  get trouble(): Trouble | null {
    return this.#trouble ?? this.#wal.trouble;
  }

  get wal(): WalStats {
    return this.#wal.stats;
  }

  /** What questions are put to; null while the file cannot be had. */
  get shelf(): Shelf | null {
    this.#reconnect();
    return this.#file === null || this.#unsettled !== null
      ? null
      : { sql: this.#file.sql, memory: this.#memory };
  }

  /** Runs `body` in a transaction. When it is on disk, memory and listeners follow; else nothing has happened. */
  transact<T>(body: (work: Work) => T): Committed<T> {
    return this.#run(body, true);
  }

  /**
   * The same for what is simply done again when a power cut undoes it: COMMIT does not wait for the disk. All transactions are
   * in one log in their order, so the next one that waits brings this one along.
   */
  tidy<T>(body: (work: Work) => T): Committed<T> {
    const before = this.#logPages();
    const committed = this.#run(body, false);
    // The log begins anew once all of it is in the file.
    const after = this.#logPages();
    this.#tidyPages = after >= before ? after - before : after;
    return committed;
  }

  /** Pages that the last `tidy` wrote. */
  get tidyPages(): number {
    return this.#tidyPages;
  }

  #logPages(): number {
    return this.#file === null ? 0 : this.#wal.pages(this.#file.sql);
  }

  #run<T>(body: (work: Work) => T, waits: boolean): Committed<T> {
    this.#reconnect();
    const file = this.#file;
    if (file === null) return this.#refuse(this.#trouble ?? { cause: "io", message: "the store is closed" });
    const noRoom = this.#wal.makeRoom(file.sql);
    if (noRoom !== null) {
      const refusal = this.#refuse(noRoom);
      this.#doubt();
      return refusal;
    }
    const { nextRow, nextSeq, commits } = this.#memory;
    const before = { nextRow, nextSeq };
    const { normalise, waitingMax } = this.#needs;
    const work: Work = {
      sql: file.sql,
      labels: new LabelTable(file.sql),
      predictions: new PredictionTable(file.sql),
      memory: this.#memory,
      normalise,
      waitingMax,
      undo: [],
      moved: [],
      after: [],
      changes: [],
      forgotten: [],
    };
    try {
      this.#wait(file, waits);
      file.sql.begin.run();
      const value = body(work);
      work.predictions.flush();
      work.labels.flush();
      writeForgotten(work);
      this.#writeBeside(work);
      file.sql.setMeta.run(commits + 1, this.#memory.nextRow, this.#memory.nextSeq);
      file.sql.commit.run();
      this.#unsynced = !waits;
      this.#trouble = null;
      this.#finish(work);
      return { kind: "committed", value };
    } catch (thrown) {
      return this.#fail({ work, before }, thrown);
    }
  }

  /** The log has a step to do. `waiting`: somebody waits for a transaction. */
  logDue(waiting: boolean): boolean {
    return this.#file !== null && this.#wal.due(this.#file.sql, waiting);
  }

  /** Does that step; false: there was none. */
  stepLog(waiting: boolean): boolean {
    if (this.#file === null || !this.#wal.due(this.#file.sql, waiting)) return false;
    this.#wal.step(this.#file.sql);
    this.#doubt();
    return true;
  }

  /**
   * After a failed fsync of the log the system may drop what did not wait, and the next COMMIT's fsync says nothing of it: a start
   * would read no further than there, past no acknowledgement that follows. So the connection is given up, as after such a COMMIT.
   */
  #doubt(): void {
    if (this.#unsynced && this.#wal.trouble?.cause === "io") this.#connectAnew();
  }

  /** After a failed fsync the pages may be gone while the handle says all is well: never try it again on the same one. */
  #connectAnew(): void {
    closeQuietly(this.#file?.db ?? null);
    this.#file = null;
    this.#triedAtMs = Number.NEGATIVE_INFINITY;
    this.#reconnect();
  }

  /** In a log of its own NORMAL is FULL without the fsync of a COMMIT. Steps of the log wait for the disk in both. */
  #wait({ db }: OpenFile, waits: boolean): void {
    if (this.#waits === waits) return;
    db.exec(`PRAGMA synchronous = ${waits ? "FULL" : "NORMAL"}`);
    this.#waits = waits;
  }

  #writeBeside(work: Work): void {
    const beside = work.changes.length === 0 ? null : this.#needs.beside(work.changes);
    if (beside === null) return;
    setStates(work.sql, beside.states);
    work.after.push(beside.kept);
  }

  #refuse(trouble: Trouble): { readonly kind: "failed"; readonly trouble: Trouble } {
    this.writeErrors++;
    this.#trouble = trouble;
    return { kind: "failed", trouble };
  }

  #finish(work: Work): void {
    this.#memory.commits++;
    for (const call of work.after) call();
    for (const change of work.changes) this.#memory.apply(change);
    if (work.changes.length === 0) return;
    this.telling = true;
    this.tell(work.changes);
    this.telling = false;
  }

  /** What is on disk stays acknowledged, whatever a listener makes of it. */
  tell(changes: readonly Change[]): void {
    try {
      this.#needs.onChanges(changes);
    } catch (thrown) {
      this.#needs.log.error(
        { error: messageOf(thrown), changes: changes.length },
        "ledger: a listener failed",
      );
    }
  }

  #undo(work: Work, before: Counters): void {
    // Heads first: a row that was added and labelled is to be gone in the end.
    for (let at = work.moved.length - 2; at >= 0; at -= 2)
      this.#memory.rows.setHead(work.moved[at] ?? 0, work.moved[at + 1] ?? 0);
    for (const call of work.undo.toReversed()) call();
    this.#memory.recent.clear();
    this.#memory.nextRow = before.nextRow;
    this.#memory.nextSeq = before.nextSeq;
  }

  #fail(failed: { readonly work: Work; readonly before: Counters }, thrown: unknown): Committed<never> {
    const bug = sqliteCodeOf(thrown) === null;
    if (bug) this.#needs.log.error({ error: messageOf(thrown) }, "ledger: a transaction broke");
    const trouble = this.#explain(troubleOf(thrown));
    const rolledBack = this.#rollBack();
    if (rolledBack && trouble.cause !== "io" && trouble.cause !== "read-only") {
      this.#undo(failed.work, failed.before);
      return this.#refuse(trouble);
    }
    if (rolledBack && bug) {
      this.#undo(failed.work, failed.before);
      return this.#refuse(trouble);
    }
    this.#unsettled = failed;
    const refusal = this.#refuse(trouble);
    this.#connectAnew();
    this.#trouble = this.#lost ? LOST : trouble;
    return refusal;
  }

  #rollBack(): boolean {
    const file = this.#file;
    if (file === null) return false;
    try {
      if (file.db.isTransaction) file.sql.rollback.run();
      return true;
    } catch {
      return false;
    }
  }

  /** An I/O error on a file system that was made read-only is told as such. */
  #explain(trouble: Trouble): Trouble {
    if (trouble.cause !== "io") return trouble;
    try {
      accessSync(this.#needs.directory, constants.W_OK);
      return trouble;
    } catch (thrown) {
      const why = troubleOf(thrown);
      return why.cause === "read-only" ? { cause: "read-only", message: why.message } : trouble;
    }
  }

  #reconnect(): void {
    if (this.#file !== null || this.#closed || this.#lost) return;
    const now = this.#needs.clock.monotonicMs();
    if (now - this.#triedAtMs < RECONNECT_MS) return;
    this.#triedAtMs = now;
    const result = connect(this.#needs.directory, false);
    if (result.kind === "trouble") {
      this.#trouble = this.#explain(result.trouble);
      return;
    }
    try {
      this.#settle(result.file);
    } catch (thrown) {
      closeQuietly(result.file.db);
      this.#trouble = this.#explain(troubleOf(thrown));
    }
  }

  /** Brings everything that the log holds into the file and onto the disk, then learns what the last transaction became. */
  #settle(file: OpenFile): void {
    const checkpoint = one(file.db.prepare("PRAGMA wal_checkpoint(TRUNCATE)", { returnArrays: true }).get());
    if (num(checkpoint?.[0]) !== 0) throw new Error("the log could not be emptied");
    const commits = num(one(file.sql.meta.get())?.[0]);
    if (commits < this.#memory.commits) {
      this.#lose(file);
      return;
    }
    const unsettled = this.#unsettled;
    this.#waits = true;
    this.#unsynced = false;
    this.#wal.limit(file.db);
    this.#wal.emptied();
    this.#file = file;
    this.#unsettled = null;
    const happened = commits > this.#memory.commits;
    if (unsettled !== null && happened) this.#finish(unsettled.work);
    else if (unsettled !== null) this.#undo(unsettled.work, unsettled.before);
    this.#needs.log.info({ lastTransaction: happened ? "kept" : "undone" }, "ledger: connected again");
  }

  #lose({ db }: OpenFile): void {
    closeQuietly(db);
    this.#lost = true;
    this.#trouble = LOST;
    this.#needs.log.error({}, `ledger: ${LOST.message}`);
  }

  /** Bytes of the file and its log. */
  sizeBytes(): number {
    return this.#sizeOf(FILE_NAME) + this.walBytes();
  }

  walBytes(): number {
    return this.#sizeOf(`${FILE_NAME}-wal`);
  }

  #sizeOf(name: string): number {
    return statSync(join(this.#needs.directory, name), { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Bytes in use: pages of the file that hold something, and its log. What that is above its cap goes by itself: no row has to. */
  usedBytes(): number {
    try {
      const cells = this.#file === null ? null : one(this.#file.sql.usedPages.get());
      return cells === null
        ? 0
        : num(cells[0]) * num(cells[1]) + Math.min(this.walBytes(), this.#wal.capBytes);
    } catch {
      // A disk that cannot be read tells so at the next transaction.
      return 0;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const db = this.#file?.db ?? null;
    this.#file = null;
    try {
      db?.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } catch (thrown) {
      this.#needs.log.warn({ error: messageOf(thrown) }, "ledger: the log stays; the next start reads it");
    }
    closeQuietly(db);
  }
}
