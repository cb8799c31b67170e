// Small values kept beside the rows, under keys.

import { many, one, type Sql, text } from "./sql.ts";
import type { SavedStates } from "./types.ts";

/** Longest value. */
export const STATE_LENGTH_MAX = 1024 * 1024;
/** Read in pieces: they may be many. */
const AT_ONCE = 100;

function* statesUnder(sql: Sql, prefix: string): Generator<readonly [key: string, value: string]> {
  let last = prefix;
  for (;;) {
    const rows = many(sql.statesAfter.all(last, AT_ONCE));
    for (const [name, value] of rows) {
      last = text(name);
      if (!last.startsWith(prefix)) return;
      yield [last, text(value)];
    }
    if (rows.length < AT_ONCE) return;
  }
}

export function savedStates(sql: Sql): SavedStates {
  return {
    get: (key) => {
      const value = one(sql.state.get(key))?.[0];
      return typeof value === "string" ? value : null;
    },
    under: (prefix) => statesUnder(sql, prefix),
  };
}

export function setStates(sql: Sql, states: Iterable<readonly [key: string, value: string | null]>): void {
  for (const [key, value] of states) {
    if (value === null) sql.dropState.run(key);
    else sql.setState.run(key, value);
  }
}
