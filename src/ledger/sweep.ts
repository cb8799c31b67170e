// Retention in steps of a few milliseconds, and a guard against a clock that jumps.

import type { Change } from "../facts/pair.ts";
import type { Clock } from "../kernel/clock.ts";
import { decodeWaiting } from "./codec.ts";
import type { Revision } from "./codec.ts";
import { noteForgotten } from "./forgotten.ts";
import { holding, truthOf } from "./join.ts";
import type { Block } from "./row-book.ts";
import { many, num } from "./sql.ts";
import type { Cells } from "./sql.ts";
import { chainOf, forgetHistory, placesOf, removePlace } from "./wait.ts";
import { Walker } from "./walk.ts";
import type { WalkedRow } from "./walk.ts";
import type { Work } from "./work.ts";

/** Rows read at once: most steps end within a block. */
const ROWS_TOGETHER = 256;
const STEP_WAITING_MAX = 500;

const JUMP_MS = 3_600_000;
const CONFIRM_MS = 5 * 60_000;

/**
 * Believes a wall clock that runs like the monotonic one. After a jump (or a start long after the newest row) it holds
 * until a reading five minutes later agrees with the first one.
 */
export class ClockGuard {
  #known: { readonly wallMs: number; readonly monotonicMs: number } | null = null;
  #suspect: { readonly wallMs: number; readonly monotonicMs: number } | null = null;

  /** `newestTs`: the newest time in the store, for the first reading; null when it is empty. */
  believes(wallMs: number, monotonicMs: number, newestTs: number | null): boolean {
    const reading = { wallMs, monotonicMs };
    const expected =
      this.#known === null ? newestTs : this.#known.wallMs + monotonicMs - this.#known.monotonicMs;
    if (this.#suspect !== null) {
      const agrees = wallMs - this.#suspect.wallMs - (monotonicMs - this.#suspect.monotonicMs);
      if (Math.abs(agrees) > JUMP_MS) this.#suspect = reading;
      else if (monotonicMs - this.#suspect.monotonicMs >= CONFIRM_MS) return this.#accept(reading);
    }
    if (expected === null || Math.abs(wallMs - expected) <= JUMP_MS) return this.#accept(reading);
    this.#suspect ??= reading;
    return false;
  }

  #accept(reading: { readonly wallMs: number; readonly monotonicMs: number }): boolean {
    this.#known = reading;
    this.#suspect = null;
    return true;
  }
}

export interface Step {
  /** Rows with ts <= this are forgotten. */
  readonly cutoffTs: number;
  /** Early labels received up to here are given up. */
  readonly waitingCutoffMs: number;
  readonly clock: Clock;
  /** For so long rows are taken; the commit and the listeners come after that. */
  readonly workMs: number;
  /** About so many rows are taken. */
  readonly rows: number;
}

export interface StepResult {
  readonly forgotten: number;
  readonly expired: number;
  readonly more: boolean;
}

/** One step inside a transaction. Memory follows when it is on disk. */
export function sweepStep(work: Work, step: Step): StepResult {
  const endsAt = step.clock.monotonicMs() + step.workMs;
  const early = expireWaiting(work, step.waitingCutoffMs);
  const gone: Change[] = [];
  let rows = 0;
  work.memory.recent.clear();
  work.after.push(() => work.memory.recent.clear());
  for (const block of work.memory.rows.blocks(Number.NEGATIVE_INFINITY, step.cutoffTs)) {
    const isOver = (more: number): boolean => rows + more >= step.rows || step.clock.monotonicMs() >= endsAt;
    const done = sweepBlock(work, { block, gone, cutoffTs: step.cutoffTs, isOver });
    rows += done.rows;
    if (!done.whole || rows >= step.rows)
      return { forgotten: gone.length, expired: early.expired, more: true };
  }
  return { forgotten: gone.length, expired: early.expired, more: early.more };
}

interface BlockSweep {
  readonly block: Block;
  readonly gone: Change[];
  readonly cutoffTs: number;
  /** The step must end, after so many rows of this block. */
  readonly isOver: (rows: number) => boolean;
}

/** Rows of one exchange. */
type Exchange = WalkedRow[];

function sweepBlock(work: Work, sweep: BlockSweep): { readonly rows: number; readonly whole: boolean } {
  const { block, cutoffTs } = sweep;
  const walker = new Walker(work);
  let rows = 0;
  let looked = 0;
  let survivorTs = Number.POSITIVE_INFINITY;
  const drop = (exchange: Exchange): void => {
    const newest = exchange.reduce((ts, row) => Math.max(ts, tsOf(row)), Number.NEGATIVE_INFINITY);
    if (newest <= cutoffTs) rows += forget(work, exchange, sweep.gone);
    else for (const row of exchange) survivorTs = Math.min(survivorTs, tsOf(row));
  };
  // An exchange may reach into the next block: it is taken whole, with the block it begins in.
  let exchange: Exchange = [];
  for (const cells of rowsOf(work, block)) {
    const walked = walker.read(cells);
    if (walked === null) continue;
    if (walked.head.row < block.first) {
      survivorTs = Math.min(survivorTs, tsOf(walked));
      continue;
    }
    if (walked.stored.pos === 0) {
      drop(exchange);
      exchange = [];
      if (++looked % 64 === 0 && sweep.isOver(rows)) return { rows, whole: false };
    }
    exchange.push(walked);
  }
  drop(complete(work, exchange, block));
  work.after.push(() => work.memory.rows.narrow(block, survivorTs));
  return { rows, whole: true };
}

function* rowsOf({ sql }: Work, block: Block): Generator<Cells> {
  for (let { first } = block; first <= block.last; first += ROWS_TOGETHER)
    yield* many(sql.predictionsBetween.all(first, Math.min(block.last, first + ROWS_TOGETHER - 1)));
}

function tsOf(row: WalkedRow): number {
  return num(row.stored.cells[5]);
}

/** Adds the rows that lie behind the block's end. */
function complete(work: Work, exchange: Exchange, block: Block): Exchange {
  const head = exchange[0]?.head;
  if (head === undefined || head.row + head.n - 1 <= block.last) return exchange;
  const walker = new Walker(work);
  const rest = many(work.sql.predictionsBetween.all(block.last + 1, head.row + head.n - 1));
  return [...exchange, ...rest.map((cells) => walker.read(cells)).filter((row) => row !== null)];
}

/** Deletes an exchange with its labels. */
function forget(work: Work, exchange: Exchange, gone: Change[]): number {
  const first = exchange[0];
  if (first === undefined) return 0;
  const last = first.head.row + first.head.n - 1;
  work.sql.dropPredictions.run(first.head.row, last);
  const isStored = work.memory.rows.keepsOnDisk(first.head.row);
  for (const { stored, head, prediction } of exchange) {
    const revision = holding(work, stored.row);
    noteForgotten(work, { stored, head, prediction }, revision);
    if (revision !== null) dropChain(work, revision);
    work.after.push(() => work.memory.rows.forget(stored.row));
    if (prediction === null) continue;
    const change: Change = { kind: "forgotten", row: stored.row, prediction, before: truthOf(revision) };
    work.changes.push(change);
    gone.push(change);
  }
  // Asked of the disk above, so deleted last. A segment half sealed before a kill may have left some, too.
  if (isStored || work.memory.rows.keepsOnDisk(last)) work.sql.dropHeads.run(first.head.row, last);
  return exchange.length;
}

function dropChain(work: Work, newest: Revision): void {
  for (let step: Revision | null = newest; step !== null;) {
    const { seq, prev }: Revision = step;
    step = prev > 0 ? work.labels.get(prev) : null;
    work.labels.drop(seq);
  }
}

function expireWaiting(work: Work, cutoffMs: number): { readonly expired: number; readonly more: boolean } {
  const { memory } = work;
  let expired = 0;
  let dropped = 0;
  if (memory.waiting.size === 0) return { expired, more: false };
  const oldest = many(work.sql.oldestWaiting.all(STEP_WAITING_MAX));
  for (const cells of oldest) {
    const revision = decodeWaiting(cells);
    if (revision === null) continue;
    if (revision.received > cutoffMs) break;
    const place = placesOf(work, revision.name).find((one) => one.holds.model === revision.model);
    if (place === undefined) continue;
    dropped++;
    if (place.holds.received > cutoffMs) {
      // A newer revision goes on waiting; its history is over.
      forgetHistory(work, place);
      continue;
    }
    removePlace(work, place, chainOf(work, place));
    expired++;
  }
  work.after.push(() => {
    memory.waitingExpired += expired;
  });
  return { expired, more: dropped > 0 && oldest.length === STEP_WAITING_MAX };
}
