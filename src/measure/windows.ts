// Window names become lengths, and lengths become panes: epoch-aligned pieces that a window is made of.

import { Problem } from "../kernel/problem.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNITS_MS = new Map([
  ["ms", 1],
  ["s", SECOND],
  ["m", MINUTE],
  ["h", HOUR],
  ["d", DAY],
  ["w", 7 * DAY],
]);
/** Pane lengths to choose from: the shortest that needs at most PANES panes. 1h -> 1 min, 24h -> 10 min, 7d -> 1 h. */
const STEPS_MS = [SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY];
const PANES = 180;

export interface Window {
  readonly name: string;
  /** null: everything that is retained. */
  readonly lengthMs: number | null;
  readonly stepMs: number;
}

/** `1h`, `24h`, `7d`, `30d`, ... or `all`. Throws a Problem `invalid_window`. */
export function parseWindow(name: string): Window {
  if (name === "all") return { name, lengthMs: null, stepMs: 0 };
  const parts = /^([1-9][0-9]{0,9})(ms|s|m|h|d|w)$/.exec(name);
  const lengthMs = Number(parts?.[1]) * (UNITS_MS.get(parts?.[2] ?? "") ?? Number.NaN);
  if (!Number.isSafeInteger(lengthMs)) {
    throw new Problem(
      "invalid_window",
      `a window is "all" or a length like 1h, 24h, 7d; not ${JSON.stringify(name)}`,
    );
  }
  const stepMs = STEPS_MS.find((step) => lengthMs / step <= PANES) ?? Math.ceil(lengthMs / PANES);
  return { name, lengthMs, stepMs };
}
