// Record and join: what was predicted, and the truth that arrives later. What is acknowledged survives kill -9 and power cuts.

import { join } from "node:path";

import type { LabelEvent, LabelRevision } from "../facts/label.ts";
import type { ExchangeRecord } from "../facts/prediction.ts";
import { ArchiveError } from "../kernel/archive.ts";
import { messageOf } from "../kernel/problem.ts";
import { Disk } from "./disk.ts";
import { FILE_NAME, openFile, quarantine } from "./file.ts";
import { LabelJob, RecordJob } from "./jobs.ts";
import { changesFor, Checkpointer } from "./checkpoint.ts";
import { CheckpointTally } from "./checkpoint-tally.ts";
import { load } from "./load.ts";
import type { Loaded } from "./load.ts";
import type { Shelf } from "./lookup.ts";
import { Pace } from "./pace.ts";
import { CommitQueue } from "./queue.ts";
import { findPredictions, findRevisions, scanRows, walkRows } from "./read.ts";
import { RESIDENT_SEGMENTS, SEGMENT_ROWS } from "./row-book.ts";
import { sealDue, sealStep } from "./seal.ts";
import type { Sql } from "./sql.ts";
import { savedStates, setStates, STATE_LENGTH_MAX } from "./states.ts";
import { ClockGuard, sweepStep } from "./sweep.ts";
import { sqliteCodeOf, troubleOf } from "./trouble.ts";
import type { Trouble } from "./trouble.ts";
import type {
  BatchMark,
  FoundPrediction,
  LabelBatchResult,
  Ledger,
  LedgerNeeds,
  LedgerOptions,
  LedgerStats,
  OpenResult,
  RecordResult,
  Refused,
  RowVisitor,
  ScanRange,
  SweepResult,
  WalkRange,
} from "./types.ts";
import { walPagesFor } from "./wal.ts";
import { Memory } from "./work.ts";
import type { Work } from "./work.ts";

export type * from "./types.ts";

const WAITING_MAX = 1_000_000;
const QUEUE_ITEMS_MAX = 262_144;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
/** Steps of sealing before a batch of predictions when it lags behind. */
const SEAL_STEPS_OVERDUE = 3;
/** A step of retention before its commit, at most. */
const SWEEP_WORK_MS = 4;

const CLOSED: Refused = Object.freeze({
  kind: "refused",
  cause: "closed",
  message: "the ledger is not open",
});

const NO_STATS: LedgerStats = Object.freeze({
  rows: 0,
  labelled: 0,
  open: 0,
  waiting: 0,
  waitingExpired: 0,
  waitingInvalid: 0,
  forgottenByAge: 0,
  forgottenBySize: 0,
  sizeBytes: 0,
  walBytes: 0,
  wal: { steps: 0, forced: 0, failed: 0, pagesMax: 0 },
  writeErrors: 0,
  queuedItems: 0,
  queuedBytes: 0,
  busy: 0,
  damaged: 0,
  trouble: "the ledger is not open",
  checkpoints: [],
  series: [],
});

/** Does nothing until `open()`. One process at a time: a second one is refused. */
export function createLedger(options: LedgerOptions, needs: LedgerNeeds): Ledger {
  return new FileLedger(options, needs);
}

/** An open file with what memory knows of it. */
interface Running {
  readonly memory: Memory;
  readonly disk: Disk;
  readonly queue: CommitQueue;
  readonly guard: ClockGuard;
  readonly checkpointer: Checkpointer;
  readonly pace: Pace;
}

class FileLedger implements Ledger {
  readonly #options: LedgerOptions;
  readonly #needs: LedgerNeeds;
  #running: Running | null = null;
  #sealed = false;
  #unchecked: string | null = null;
  readonly #tally = new CheckpointTally();

  constructor(options: LedgerOptions, needs: LedgerNeeds) {
    this.#options = options;
    this.#needs = needs;
  }

  open(): OpenResult {
    const { clock } = this.#needs;
    const startedAt = clock.monotonicMs();
    let trouble = this.#tryOpen();
    const memory = this.#running?.memory;
    if (trouble === null && memory !== undefined) {
      const { rowCount: rows, waiting, damaged } = memory;
      const tookMs = clock.monotonicMs() - startedAt;
      return { kind: "open", rows, waiting: waiting.size, damaged, unchecked: this.#unchecked, tookMs };
    }
    if (trouble?.cause !== "corrupt") return this.#refuse(trouble);
    const why = trouble.message;
    let file: string;
    try {
      file = quarantine(this.#options.path, clock.wallMs());
    } catch (thrown) {
      return this.#refuse(troubleOf(thrown));
    }
    this.#needs.log.error({ file, why }, "ledger: the store was broken and is set aside; a new one begins");
    trouble = this.#tryOpen();
    if (trouble !== null) return this.#refuse(trouble);
    return { kind: "quarantined", file, why, tookMs: clock.monotonicMs() - startedAt };
  }

  /** null: it runs. */
  #tryOpen(): Trouble | null {
    if (this.#running !== null) return null;
    const opened = openFile(this.#options.path);
    if (opened.kind === "trouble") return opened.trouble;
    const { clock, log, normalise, onChanges, beside = () => null, checkpointed } = this.#needs;
    const memory = new Memory({
      segmentRows: this.#options.segmentRows ?? SEGMENT_ROWS,
      residentSegments: this.#options.residentSegments ?? RESIDENT_SEGMENTS,
    });
    const { path: directory, waitingMax = WAITING_MAX, sizeMaxBytes = Infinity } = this.#options;
    const walPagesMax = this.#options.walPagesMax ?? walPagesFor(sizeMaxBytes);
    const told = { normalise, onChanges, beside };
    const disk = new Disk({ clock, log, ...told, directory, waitingMax, walPagesMax }, memory, opened.file);
    try {
      const { sql } = opened.file;
      this.#needs.onLoading?.(savedStates(sql));
      this.#loaded(load({ sql, memory }, { onChanges: (changes) => disk.tell(changes), checkpointed }));
    } catch (thrown) {
      checkpointed?.clear();
      const isDamaged = thrown instanceof ArchiveError && dropCheckpoint(opened.file.sql);
      disk.close();
      if (!isDamaged) return troubleOf(thrown);
      this.#tally.add("not_used", "damaged");
      log.warn(
        { error: messageOf(thrown) },
        "ledger: what came after the checkpoint is damaged: all rows are read",
      );
      return this.#tryOpen();
    }
    const { groupCommitMs, queueItemsMax = QUEUE_ITEMS_MAX, queueBytesMax = QUEUE_BYTES_MAX } = this.#options;
    const limits = { groupCommitMs, itemsMax: queueItemsMax, bytesMax: queueBytesMax };
    const queue = new CommitQueue(disk, clock, limits);
    const { checkpointChanges: changes = changesFor(sizeMaxBytes), checkpointBytes: pieceBytes } =
      this.#options;
    const writes = { clock, log, checkpointed, changes, pieceBytes, tally: this.#tally };
    const checkpointer = new Checkpointer(writes, memory, disk);
    this.#running = {
      memory,
      disk,
      queue,
      guard: new ClockGuard(),
      checkpointer,
      pace: new Pace(SWEEP_WORK_MS),
    };
    return null;
  }

  /** A start that had to read more than it should says so. */
  #loaded({ unchecked, reread }: Loaded): void {
    this.#unchecked = unchecked?.message ?? null;
    if (this.#needs.checkpointed === undefined) return;
    if (unchecked === null) this.#tally.add("used");
    else {
      this.#tally.add("not_used", unchecked.reason);
      const why = unchecked.message;
      this.#needs.log.info({ why }, "ledger: no checkpoint is used: all rows are read");
    }
    if (reread > 0)
      this.#needs.log.warn({ segments: reread }, "ledger: filters are missing or damaged: rows are read");
  }

  #refuse(trouble: Trouble | null): OpenResult {
    const { cause, message } = trouble ?? { cause: "io", message: "it does not open" };
    const path = join(this.#options.path, FILE_NAME);
    const told = cause === "locked" ? `${path} is in use by another process` : `${path}: ${message}`;
    const code = cause === "corrupt" ? "io" : cause;
    this.#needs.log.error({ path, code, message }, "ledger: not open");
    return { kind: "refused", code, message: told };
  }

  record(exchanges: readonly ExchangeRecord[], mark: BatchMark | null): Promise<RecordResult> {
    const running = this.#running;
    if (running === null) return Promise.resolve(CLOSED);
    // Whoever fills memory faster than it is sealed pays for the sealing.
    for (let steps = 0; steps < SEAL_STEPS_OVERDUE && running.memory.rows.overdue; steps++)
      this.#seal(running);
    if (running.checkpointer.overdue) running.checkpointer.step();
    return new Promise((resolve) => running.queue.add(new RecordJob(exchanges, mark, resolve)));
  }

  label(events: readonly LabelEvent[]): Promise<LabelBatchResult> {
    const running = this.#running;
    if (running === null) return Promise.resolve(CLOSED);
    if (events.length === 0) return Promise.resolve({ kind: "kept", outcomes: [] });
    return new Promise((resolve) => running.queue.add(new LabelJob(events, resolve)));
  }

  lastMark(session: string): number | null {
    return this.#running?.memory.marks.get(session) ?? null;
  }

  find(id: string): readonly FoundPrediction[] {
    return this.#ask<readonly FoundPrediction[]>([], (shelf) => findPredictions(shelf, id));
  }

  labelsOf(id: string): readonly LabelRevision[] {
    return this.#ask<readonly LabelRevision[]>([], (shelf) => findRevisions(shelf, id));
  }

  scan(of: ScanRange, visit: RowVisitor): boolean {
    return this.#ask(false, (shelf) => {
      scanRows(shelf, of, visit);
      return true;
    });
  }

  walk(of: WalkRange, visit: RowVisitor): number | null {
    return this.#ask<number | null>(null, (shelf) => walkRows(shelf, of, visit));
  }

  readable(): boolean {
    return (this.#running?.disk.shelf ?? null) !== null;
  }

  saveState(key: string, value: string): boolean {
    return this.saveStates([[key, value]]);
  }

  saveStates(states: Iterable<readonly [key: string, value: string | null]>): boolean {
    const given = [...states];
    if (this.#running === null || given.some(([, value]) => (value?.length ?? 0) > STATE_LENGTH_MAX))
      return false;
    const saved = this.#running.disk.transact(({ sql }) => setStates(sql, given));
    return saved.kind === "committed";
  }

  loadState(key: string): string | null {
    return this.#ask(null, (shelf) => savedStates(shelf.sql).get(key));
  }

  /** Puts a question to the disk. One that cannot be read answers like one that holds nothing, and the log says why. */
  #ask<T>(nothing: T, question: (shelf: Shelf) => T): T {
    const shelf = this.#running?.disk.shelf ?? null;
    if (shelf === null) return nothing;
    try {
      return question(shelf);
    } catch (thrown) {
      if (sqliteCodeOf(thrown) === null) throw thrown;
      this.#needs.log.error({ error: messageOf(thrown) }, "ledger: could not read");
      return nothing;
    }
  }

  #seal({ disk, memory }: Running): Trouble | null {
    const body = (work: Work): void => sealStep(work, this.#needs.clock);
    // What an emptied segment left is found again by a start.
    const step = memory.rows.emptied.length > 0 ? disk.tidy(body) : disk.transact(body);
    return step.kind === "failed" ? step.trouble : null;
  }

  /** Sealing and retention take turns, so that no call does both. */
  #sealsNow({ memory }: Running): boolean {
    this.#sealed = !this.#sealed && sealDue({ memory });
    return this.#sealed;
  }

  /** One step of what comes before retention; null: there was none. No call does two things. */
  #otherStep(running: Running): { readonly trouble: Trouble | null } | null {
    const { disk, checkpointer } = running;
    if (disk.stepLog(false)) return { trouble: null };
    if (this.#sealsNow(running)) return { trouble: this.#seal(running) };
    return checkpointer.due ? { trouble: checkpointer.step() } : null;
  }

  sweep(nowMs: number): SweepResult {
    const { clock } = this.#needs;
    const startedAt = clock.monotonicMs();
    const nothing = { forgotten: 0, expired: 0, more: false, held: false, tookMs: 0, trouble: null };
    const running = this.#running;
    if (running === null) return nothing;
    const { memory, disk, guard, pace } = running;
    const other = this.#otherStep(running);
    if (other !== null) {
      const trouble = other.trouble?.message ?? null;
      return { ...nothing, more: trouble === null, tookMs: clock.monotonicMs() - startedAt, trouble };
    }
    if (!guard.believes(nowMs, startedAt, newestTs(memory))) return { ...nothing, held: true };
    const { retentionMs, labelHorizonMs, sizeMaxBytes = Number.POSITIVE_INFINITY } = this.#options;
    for (const series of memory.series.all()) series.expire(nowMs - labelHorizonMs);
    const isOverfull = sizeMaxBytes < Number.POSITIVE_INFINITY && disk.usedBytes() > sizeMaxBytes;
    const cutoffTs = isOverfull ? Number.MAX_VALUE : nowMs - retentionMs;
    const waitingCutoffMs = nowMs - labelHorizonMs;
    const more = sealDue({ memory });
    if (!isOverfull && !hasOld(memory, cutoffTs))
      return { ...nothing, more, tookMs: clock.monotonicMs() - startedAt };
    const { workMs, rows } = pace;
    const step = disk.tidy((work) => sweepStep(work, { cutoffTs, waitingCutoffMs, clock, workMs, rows }));
    const tookMs = clock.monotonicMs() - startedAt;
    if (step.kind === "failed") return { ...nothing, tookMs, trouble: step.trouble.message };
    pace.took({ ms: tookMs, rows: step.value.forgotten, pages: disk.tidyPages });
    if (isOverfull) memory.forgottenBySize += step.value.forgotten;
    else memory.forgottenByAge += step.value.forgotten;
    return { ...nothing, ...step.value, more: step.value.more || more, tookMs };
  }

  stats(): LedgerStats {
    const running = this.#running;
    if (running === null) return NO_STATS;
    const { memory, disk, queue } = running;
    const horizonTs = this.#needs.clock.wallMs() - this.#options.labelHorizonMs;
    const series = memory.series.all().map((one) => one.stats(horizonTs));
    return {
      rows: memory.rowCount,
      labelled: memory.labelledCount,
      open: series.reduce((sum, one) => sum + one.pending, 0),
      waiting: memory.waiting.size,
      waitingExpired: memory.waitingExpired,
      waitingInvalid: memory.waitingInvalid,
      forgottenByAge: memory.forgottenByAge,
      forgottenBySize: memory.forgottenBySize,
      sizeBytes: disk.sizeBytes(),
      walBytes: disk.walBytes(),
      wal: disk.wal,
      writeErrors: disk.writeErrors,
      queuedItems: queue.items,
      queuedBytes: queue.bytes,
      busy: queue.busy,
      damaged: memory.damaged,
      trouble: disk.trouble?.message ?? null,
      checkpoints: this.#tally.all(),
      series,
    };
  }

  flushNow(): void {
    this.#running?.queue.flush();
  }

  close(): Promise<void> {
    const running = this.#running;
    if (running === null) return Promise.resolve();
    running.queue.flush();
    running.checkpointer.close();
    this.#running = null;
    running.disk.close();
    return Promise.resolve();
  }
}

/** Without it nothing of it is read again. Gives true. */
function dropCheckpoint(sql: Sql): true {
  sql.dropCheckpoint.run();
  sql.dropForgotten.run();
  return true;
}

function newestTs(memory: Memory): number | null {
  const newest = memory.series.all().reduce((ts, one) => Math.max(ts, one.lastTs), Number.NEGATIVE_INFINITY);
  return Number.isFinite(newest) ? newest : null;
}

/** There may be something to sweep: asked so that an idle step costs no transaction. */
function hasOld(memory: Memory, cutoffTs: number): boolean {
  return (
    memory.waiting.size > 0 || memory.rows.blocks(Number.NEGATIVE_INFINITY, cutoffTs).next().done === false
  );
}
