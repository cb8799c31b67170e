// Opens the store, tries again while it refuses, and sweeps it: traffic metrics go on without it.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import type { Ledger } from "../ledger/types.ts";
import type { StateBook } from "./state-book.ts";

const REOPEN_MS = 5000;
const SWEEP_MS = 60_000;
/** After a start, which may find what is too old or too much; not in the middle of what a start has to do. */
const SWEEP_FIRST_MS = 5000;
/** Between two steps of a sweep that is not finished facts and labels get four fifths of the time. */
const PAUSE_STEPS = 4;
const PAUSE_LEAST_MS = 10;
const PAUSE_MOST_MS = 100;

export interface StoreKeeperNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly states: StateBook;
  readonly onOpen: () => void;
}

export type StoreKeeper = Part;

class Keeper implements StoreKeeper {
  readonly #needs: StoreKeeperNeeds;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(needs: StoreKeeperNeeds) {
    this.#needs = needs;
  }

  start(): Promise<void> {
    this.#open();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    return Promise.resolve();
  }

  #again(ms: number, call: () => void): void {
    if (!this.#stopped) this.#timer = this.#needs.clock.after(ms, call);
  }

  #open(): void {
    const { ledger, log, states, onOpen } = this.#needs;
    const opened = ledger.open();
    if (opened.kind === "refused") {
      states.set("store", "degraded", opened.message);
      log.error({ code: opened.code, againInMs: REOPEN_MS }, `the store is not open: ${opened.message}`);
      this.#again(REOPEN_MS, () => this.#open());
      return;
    }
    if (opened.kind === "quarantined") {
      log.error(
        { file: opened.file, why: opened.why },
        "the store was damaged: it was set aside and a new one begun",
      );
      states.set("store", "degraded", `a damaged store was set aside as ${opened.file}`);
    } else {
      log.info(
        {
          rows: opened.rows,
          waiting: opened.waiting,
          checkpoint: opened.unchecked ?? "used",
          tookMs: Math.round(opened.tookMs),
        },
        "store open",
      );
      states.set("store", "ok");
    }
    onOpen();
    this.#again(SWEEP_FIRST_MS, () => this.#sweep());
  }

  #sweep(): void {
    const { clock, ledger, log } = this.#needs;
    const step = ledger.sweep(clock.wallMs());
    if (step.trouble !== null) log.warn({ trouble: step.trouble }, "retention could not delete");
    const pauseMs = Math.min(PAUSE_MOST_MS, Math.max(PAUSE_LEAST_MS, PAUSE_STEPS * step.tookMs));
    this.#again(step.more ? pauseMs : SWEEP_MS, () => this.#sweep());
  }
}

export function createStoreKeeper(needs: StoreKeeperNeeds): StoreKeeper {
  return new Keeper(needs);
}
