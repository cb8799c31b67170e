// What the observer sends is ours, but it is another process: looked at before it is believed.

import type { ObserverState, Ready } from "../facts/road.ts";

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function parseReady(value: unknown): Ready {
  const last = isRecord(value) ? value["lastBatch"] : null;
  return { lastBatch: typeof last === "number" ? last : null };
}

/** Throws TypeError when it is no state: the frame reader then restarts the observer. */
export function parseObserverState(value: unknown): ObserverState {
  if (
    !isRecord(value) ||
    !isRecord(value["parts"]) ||
    !Array.isArray(value["models"]) ||
    !isRecord(value["external"]) ||
    !Array.isArray(value["awaited"])
  ) {
    throw new TypeError("not an observer state");
  }
  // The shape was looked at above; the fields are only passed on as JSON.
  return value as unknown as ObserverState;
}
