// One queue for predictions and labels, in order of arrival, and the group commit that empties it. Bounded in items and bytes.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Disk } from "./disk.ts";
import { refusalOf } from "./trouble.ts";
import type { Refused } from "./types.ts";
import type { Work } from "./work.ts";

/** One transaction takes about this many predictions and labels, so that the loop turns in between. */
export const TRANSACTION_ITEMS = 4096;

export interface Job {
  readonly items: number;
  readonly bytes: number;
  /** Somebody waits for it: commit at the next turn of the loop. */
  readonly urgent: boolean;
  /** Does its part of the transaction, at most `room` items where it can be cut; gives how many it did. */
  step(work: Work, room: number): number;
  /** All its steps are done. */
  readonly done: boolean;
  /** All its steps are on disk. */
  settle(): void;
  refuse(refused: Refused): void;
}

export interface QueueLimits {
  readonly itemsMax: number;
  readonly bytesMax: number;
  readonly groupCommitMs: number;
}

export class CommitQueue {
  readonly #disk: Disk;
  readonly #clock: Clock;
  readonly #limits: QueueLimits;
  #jobs: Job[] = [];
  #items = 0;
  #bytes = 0;
  #busy = 0;
  #timer: Timer | null = null;
  #turn: NodeJS.Immediate | null = null;
  #committing = false;

  constructor(disk: Disk, clock: Clock, limits: QueueLimits) {
    this.#disk = disk;
    this.#clock = clock;
    this.#limits = limits;
  }

  get items(): number {
    return this.#items;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Jobs refused because the queue was full. */
  get busy(): number {
    return this.#busy;
  }

  add(job: Job): void {
    const { itemsMax, bytesMax } = this.#limits;
    const isFull = this.#items + job.items > itemsMax || this.#bytes + job.bytes > bytesMax;
    // A job larger than the queue is taken when nothing else waits: it was in memory anyway.
    if (isFull && this.#jobs.length > 0) {
      this.#busy++;
      job.refuse({ kind: "refused", cause: "busy", message: "too much waits to be written" });
      return;
    }
    this.#jobs.push(job);
    this.#items += job.items;
    this.#bytes += job.bytes;
    if (job.urgent || this.#items >= TRANSACTION_ITEMS) this.#soon();
    else this.#timer ??= this.#clock.after(this.#limits.groupCommitMs, () => this.#soon());
  }

  #soon(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#turn ??= setImmediate(() => {
      this.#turn = null;
      // A turn does one of the two, so that what else there is comes in between.
      if (!this.#disk.stepLog(this.#jobs.length > 0) && this.#jobs.length > 0) this.#commit();
      if (this.#jobs.length > 0 || this.#disk.logDue(false)) this.#soon();
    });
  }

  /** Commits everything that waits, now. */
  flush(): void {
    // Called by a listener in the middle of a commit: what is queued goes with the next one.
    if (this.#committing) return;
    this.#timer?.cancel();
    this.#timer = null;
    while (this.#jobs.length > 0) this.#commit();
    this.#disk.stepLog(false);
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
  }

  #commit(): void {
    this.#committing = true;
    try {
      this.#commitFirst();
    } finally {
      this.#committing = false;
    }
  }

  /** One transaction with what came first. */
  #commitFirst(): void {
    const touched: Job[] = [];
    const committed = this.#disk.transact((work) => {
      let room = TRANSACTION_ITEMS;
      for (const job of this.#jobs) {
        if (room <= 0) break;
        touched.push(job);
        room -= job.step(work, room);
        if (!job.done) break;
      }
    });
    if (committed.kind === "committed") {
      for (const job of touched) if (job.done) job.settle();
      this.#drop(touched.filter((job) => job.done).length);
      return;
    }
    const refusal = refusalOf(committed.trouble);
    // A transaction that cannot even begin has touched nothing; what waits would wait for ever.
    const refused = touched.length > 0 ? touched : this.#jobs;
    for (const job of refused) job.refuse(refusal);
    this.#drop(refused.length);
  }

  #drop(count: number): void {
    const dropped = this.#jobs.slice(0, count);
    this.#jobs = this.#jobs.slice(count);
    for (const job of dropped) {
      this.#items -= job.items;
      this.#bytes -= job.bytes;
    }
  }
}
