// Start and stop: push the undo the moment something is acquired; undo runs newest first, and one failure skips nothing.

import type { Clock } from "./clock.ts";
import type { Log } from "./log.ts";
import { messageOf } from "./problem.ts";

/** A part of the program. `stop` is safe before start, after it, and twice, and returns by the deadline. */
export interface Part {
  start(): Promise<void>;
  stop(deadlineMs: number): Promise<void>;
}

type Undo = (remainingMs: number) => void | Promise<void>;

/** A stack of named undo steps with one deadline for all of them. */
export class UndoStack {
  readonly #steps: { name: string; undo: Undo }[] = [];
  readonly #clock: Clock;
  readonly #log: Log;
  #running: Promise<void> | null = null;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  push(name: string, undo: Undo): void {
    this.#steps.push({ name, undo });
  }

  /** Runs all steps, newest first, each with what remains of `deadlineMs`. A second call joins the first. */
  run(deadlineMs: number): Promise<void> {
    this.#running ??= this.#runAll(deadlineMs).finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #runAll(deadlineMs: number): Promise<void> {
    const endsAt = this.#clock.monotonicMs() + deadlineMs;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      const remaining = Math.max(0, endsAt - this.#clock.monotonicMs());
      // One after the other: the order of the steps is the point.
      await this.#runOne(step.name, step.undo, remaining);
    }
  }

  async #runOne(name: string, undo: Undo, remainingMs: number): Promise<void> {
    let late: { cancel(): void } | null = null;
    try {
      const done = Promise.resolve(undo(remainingMs));
      const lateness = new Promise<"late">((resolve) => {
        late = this.#clock.after(remainingMs + 50, () => resolve("late"));
      });
      const how = await Promise.race([done, lateness]);
      if (how === "late")
        this.#log.warn({ step: name, remainingMs }, "stopping: step did not finish in time");
    } catch (thrown) {
      this.#log.warn({ step: name, error: messageOf(thrown) }, "stopping: step failed");
    } finally {
      (late as { cancel(): void } | null)?.cancel();
    }
  }
}
