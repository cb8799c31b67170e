// A clock that stands still until a test moves it. Timers run when their moment is passed, in order.

import { systemClock, type Clock } from "../../src/kernel/clock.ts";

export interface HandClock extends Clock {
  /** Moves both clocks on by `ms` and runs the timers that fall due. */
  advance(ms: number): void;
}

interface Due {
  at: number;
  readonly everyMs: number | null;
  readonly call: () => void;
}

export function handClock(wallMs = Date.UTC(2026, 0, 14)): HandClock {
  let elapsed = 0;
  const due = new Set<Due>();
  const add = (ms: number, everyMs: number | null, call: () => void): { cancel(): void } => {
    const entry: Due = { at: elapsed + ms, everyMs, call };
    due.add(entry);
    return { cancel: () => due.delete(entry) };
  };
  const next = (until: number): Due | undefined =>
    [...due].filter((entry) => entry.at <= until).toSorted((a, b) => a.at - b.at)[0];
  return {
    wallMs: () => wallMs + elapsed,
    monotonicMs: () => elapsed,
    after: (ms, call) => add(ms, null, call),
    every: (ms, call) => add(ms, ms, call),
    advance: (ms) => {
      const until = elapsed + ms;
      for (let entry = next(until); entry !== undefined; entry = next(until)) {
        elapsed = Math.max(elapsed, entry.at);
        if (entry.everyMs === null) due.delete(entry);
        else entry.at += entry.everyMs;
        entry.call();
      }
      elapsed = until;
    },
  };
}

/** One that does at once what is to be done at once, so that a proxy stops at the end of a test. */
export function movedClock(): HandClock {
  const clock = handClock();
  return { ...clock, after: (ms, call) => (ms === 0 ? systemClock : clock).after(ms, call) };
}
