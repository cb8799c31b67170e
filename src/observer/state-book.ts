// How the observer's parts are, for `/readyz`: ok, degraded (with why), off; and since when.

import type { PartState } from "../facts/road.ts";
import type { Clock } from "../kernel/clock.ts";

export interface StateBook {
  set(part: string, state: PartState["state"], why?: string): void;
  all(): Readonly<Record<string, PartState>>;
}

/** `onChange` is called after a part's state or reason became another. */
export function createStateBook(clock: Clock, onChange: () => void): StateBook {
  const parts = new Map<string, PartState>();
  return {
    set: (part, state, why) => {
      const before = parts.get(part);
      const reason = why ?? null;
      if (before?.state === state && before.why === reason) return;
      const since = before?.state === state ? before.since : new Date(clock.wallMs()).toISOString();
      parts.set(part, { state, why: reason, since });
      onChange();
    },
    all: () => Object.fromEntries(parts),
  };
}
