// Time, handed in: the only place that reads the machine's clocks or sets timers.

// The global one is behind an accessor, which is called each time.
import { performance } from "node:perf_hooks";

/** An owned timer; `cancel` is safe at any time and more than once. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Unix time in milliseconds (fractional). May jump when the system clock is set. */
  wallMs(): number;
  /** Milliseconds from an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Calls once after `ms`. The timer does not keep the process alive. */
  after(ms: number, call: () => void): Timer;
  /** Calls every `ms`. The timer does not keep the process alive. */
  every(ms: number, call: () => void): Timer;
}

export const systemClock: Clock = Object.freeze({
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms: number, call: () => void) => {
    const timer = setTimeout(call, ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every: (ms: number, call: () => void) => {
    const timer = setInterval(call, ms);
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
});

/**
 * A clock that is read once for all that is done with what was read from a socket: reading it takes as long as a tenth of what a
 * request needs. Between `hold` and `release`, which nothing asynchronous may come between, time stands still.
 */
export class ReadingClock implements Clock {
  readonly #clock: Clock;
  #held = false;
  /** NaN: not asked for yet. */
  #heldMs = Number.NaN;

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The clock itself if it is one. */
  static of(clock: Clock): ReadingClock {
    return clock instanceof ReadingClock ? clock : new ReadingClock(clock);
  }

  hold(): void {
    this.#held = true;
    this.#heldMs = Number.NaN;
  }

  release(): void {
    this.#held = false;
  }

  monotonicMs(): number {
    if (!this.#held) return this.#clock.monotonicMs();
    if (Number.isNaN(this.#heldMs)) this.#heldMs = this.#clock.monotonicMs();
    return this.#heldMs;
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  after(ms: number, call: () => void): Timer {
    return this.#clock.after(ms, call);
  }

  every(ms: number, call: () => void): Timer {
    return this.#clock.every(ms, call);
  }
}

/**
 * Calls when what has arrived by now at this process's sockets has been read. For limits on what others send: after the process
 * was held up (its machine moved, its CPU taken away) they have not been late because nobody listened.
 */
export function onceRead(call: () => void): Timer {
  // Of each turn of the event loop timers come first, then sockets, then immediates.
  const soon = setImmediate(call).unref();
  return { cancel: () => clearImmediate(soon) };
}

/** `clock.after` for such a limit: cancelled by what is read, it does not call. */
export function afterReading(clock: Clock, ms: number, call: () => void): Timer {
  let running = clock.after(ms, () => (running = onceRead(call)));
  return { cancel: () => running.cancel() };
}

/** Resolves after `ms` by `clock`. Keeps the process alive only as long as somebody awaits other work. */
export function sleep(clock: Pick<Clock, "after">, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Keeps the process alive until cancelled; a Clock's timers alone do not. For commands that wait between attempts. */
export function keepAlive(): Timer {
  const handle = setInterval(() => {}, 2 ** 31 - 1);
  return { cancel: () => clearInterval(handle) };
}
