// What questions would have to wait for is worked out between them, in small steps: half of the time is left to others,
// nine tenths while labels or facts wait.

import type { Clock, Timer } from "../kernel/clock.ts";

/** While there is nothing to do, and at least between two steps. */
const FOLLOW_MS = 1_000;
const PAUSE_MS = 25;

export interface AheadNeeds {
  readonly clock: Clock;
  /** One step as of a time (Unix ms); true: there is more. */
  readonly work: (at: number) => boolean;
  readonly busy: () => boolean;
}

/** Returns what ends it. */
export function workAhead({ clock, work, busy }: AheadNeeds): () => void {
  let timer: Timer;
  const step = (): void => {
    const startedAt = clock.monotonicMs();
    const more = work(clock.wallMs());
    const pauseMs = Math.max(PAUSE_MS, (clock.monotonicMs() - startedAt) * (busy() ? 9 : 1));
    timer = clock.after(more ? pauseMs : Math.max(FOLLOW_MS, pauseMs), step);
  };
  timer = clock.after(FOLLOW_MS, step);
  return () => timer.cancel();
}
