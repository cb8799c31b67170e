// One tick a second by node-cron, and a guard against the one thing it cannot bear: a clock that is set.
// When the wall clock jumps back, its next beat lies in the future and nothing ticks until then; when it jumps
// forward, it walks through every second in between at about 90 µs each (a day: 8 s with the event loop blocked).
// So a timer on the monotonic clock looks at the wall clock just before each beat, and makes a new task when it jumped.

import { createTask, type ScheduledTask } from "node-cron";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";

const EVERY_SECOND = "* * * * * *";
const PERIOD_MS = 1000;
/** The guard looks so long before the beat: little time for a jump in between. */
const AHEAD_MS = 10;
/** More than clocks are slewed by, less than a second's beat can be late and still run. */
const JUMP_MS = 2000;
/** No tick for so long: the task is made anew, whatever the reason. */
const SILENT_MS = 5000;

export interface Ticker {
  start(): void;
  /** No tick comes after it. */
  stop(): void;
}

export interface TickerNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly onTick: () => void;
}

/** node-cron speaks in texts; what it says about single beats is of no use to an operator. */
function cronLog(log: Log) {
  const say = (message: string | Error): void => log.debug({}, `cron: ${String(message)}`);
  return { info: say, warn: say, debug: say, error: say };
}

class CronTicker implements Ticker {
  readonly #needs: TickerNeeds;
  #task: ScheduledTask | null = null;
  #guard: Timer | null = null;
  #offsetMs = 0;
  #lastTickMs = 0;

  constructor(needs: TickerNeeds) {
    this.#needs = needs;
  }

  start(): void {
    this.#renew();
    this.#watch();
  }

  stop(): void {
    this.#guard?.cancel();
    this.#guard = null;
    void this.#task?.destroy();
    this.#task = null;
  }

  #offset(): number {
    const { clock } = this.#needs;
    return clock.wallMs() - clock.monotonicMs();
  }

  #renew(): void {
    void this.#task?.destroy();
    const { clock, log, onTick } = this.#needs;
    this.#offsetMs = this.#offset();
    this.#lastTickMs = clock.monotonicMs();
    const tick = (): void => {
      this.#lastTickMs = clock.monotonicMs();
      onTick();
    };
    const options = {
      name: "probes",
      timezone: "UTC",
      noOverlap: true,
      unref: true,
      suppressMissedWarning: true,
    };
    this.#task = createTask(EVERY_SECOND, tick, { ...options, logger: cronLog(log) });
    void this.#task.start();
  }

  /** Looks again just before the next beat, which is at a whole second of the wall clock. */
  #watch(): void {
    const { clock } = this.#needs;
    const untilBeatMs = PERIOD_MS - (clock.wallMs() % PERIOD_MS);
    const waitMs = untilBeatMs - AHEAD_MS;
    this.#guard = clock.after(waitMs > AHEAD_MS ? waitMs : waitMs + PERIOD_MS, () => {
      this.#look();
      this.#watch();
    });
  }

  #look(): void {
    const { clock, log } = this.#needs;
    const jumpMs = this.#offset() - this.#offsetMs;
    const silentMs = clock.monotonicMs() - this.#lastTickMs;
    if (Math.abs(jumpMs) > JUMP_MS)
      log.warn({ jumpMs: Math.round(jumpMs) }, "the system clock was set; probes go on");
    else if (silentMs <= SILENT_MS) {
      this.#offsetMs += jumpMs;
      return;
    }
    this.#renew();
  }
}

export function createTicker(needs: TickerNeeds): Ticker {
  return new CronTicker(needs);
}
