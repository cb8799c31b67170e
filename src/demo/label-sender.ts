// Keeps the labels that are not due yet and sends those that are, in batches, one request at a time.

import type { Clock } from "../kernel/clock.ts";
import type { PostResult } from "./http-client.ts";
import type { DueLabel } from "./label-plan.ts";

/** More labels than this wait for their moment: the newest is dropped and counted. */
const WAITING_MAX = 50_000;
const BATCH_MAX = 1000;

export interface LabelSenderNeeds {
  readonly clock: Clock;
  /** Sends a JSON array of labels. */
  readonly send: (body: string) => Promise<PostResult>;
}

export interface LabelCounts {
  readonly waiting: number;
  readonly sent: number;
  readonly refused: number;
  readonly dropped: number;
}

export interface LabelSender {
  add(labels: readonly DueLabel[]): void;
  /** Sends one batch of what is due; joins the batch under way. */
  flush(): Promise<void>;
  counts(): LabelCounts;
}

interface Sent {
  readonly id: string;
  readonly label: number;
  readonly ts: number;
}

class Sender implements LabelSender {
  readonly #needs: LabelSenderNeeds;
  // By the second in which they fall due.
  readonly #seconds = new Map<number, DueLabel[]>();
  #waiting = 0;
  #sent = 0;
  #refused = 0;
  #dropped = 0;
  #flushing: Promise<void> | null = null;

  constructor(needs: LabelSenderNeeds) {
    this.#needs = needs;
  }

  add(labels: readonly DueLabel[]): void {
    for (const label of labels) {
      if (this.#waiting >= WAITING_MAX) {
        this.#dropped++;
        continue;
      }
      const second = Math.ceil(label.dueMs / 1000);
      const same = this.#seconds.get(second);
      if (same === undefined) this.#seconds.set(second, [label]);
      else same.push(label);
      this.#waiting++;
    }
  }

  flush(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = null;
    });
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const nowMs = this.#needs.clock.wallMs();
    const batch = this.#take(nowMs);
    if (batch.length === 0) return;
    const stamped = batch.map((label) => ({ ...label, ts: label.ts ?? nowMs }));
    const body: readonly Sent[] = stamped.map(({ id, label, ts }) => ({ id, label, ts }));
    const result = await this.#needs.send(JSON.stringify(body));
    if (result.kind === "failed" || result.status >= 500) {
      // Not kept there: the same labels again, later.
      this.add(stamped.map((label) => ({ ...label, dueMs: nowMs + 2000 })));
      return;
    }
    if (result.status < 300) this.#sent += batch.length;
    else this.#refused += batch.length;
    const again = stamped.filter((label) => label.sends > 1);
    this.add(again.map((label) => ({ ...label, sends: label.sends - 1, dueMs: nowMs + 1000 })));
  }

  #take(nowMs: number): DueLabel[] {
    const batch: DueLabel[] = [];
    const due = [...this.#seconds.keys()]
      .filter((second) => second * 1000 <= nowMs)
      .toSorted((a, b) => a - b);
    for (const second of due) {
      const labels = this.#seconds.get(second) ?? [];
      batch.push(...labels.splice(0, BATCH_MAX - batch.length));
      if (labels.length === 0) this.#seconds.delete(second);
      if (batch.length >= BATCH_MAX) break;
    }
    this.#waiting -= batch.length;
    return batch;
  }

  counts(): LabelCounts {
    return { waiting: this.#waiting, sent: this.#sent, refused: this.#refused, dropped: this.#dropped };
  }
}

export function createLabelSender(needs: LabelSenderNeeds): LabelSender {
  return new Sender(needs);
}
