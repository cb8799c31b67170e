// Captured inputs since the hours of drift were last saved. They are written in the transaction of their predictions, so that
// a kill loses neither and doubles neither; like the hours, they are counts of values, by the minute and the commit.

import type { Prediction } from "../facts/prediction.ts";
import type { Beside } from "../ledger/types.ts";
import type { Drift } from "../measure/drift/drift.ts";
import type { Unsaved } from "../measure/saved-states.ts";
import type { ReadInput } from "./inputs.ts";
import { parseTail, type TailEntry } from "./parse-tail.ts";

/** Keys of the store. */
export const TAIL_STATES = "inputs:";

const MINUTE_MS = 60_000;
/** Values after which a state is full, of at most 64 characters each: far below the longest value of the store. */
const VALUES_MAX = 4000;
/** States between two savings; beyond, what comes is on disk with the hours only. */
const STATES_MAX = 20_000;
const KEY_DIGITS = 12;

export interface InputRow {
  readonly prediction: Pick<Prediction, "model" | "version" | "ts">;
  readonly inputs: readonly ReadInput[];
}

interface Group {
  readonly model: string;
  readonly version: string;
  readonly ts: number;
  readonly streams: Map<string, Map<number | string, number>>;
}

/** Counts by version, minute and input, in the order in which they came. */
function grouped(rows: Iterable<InputRow>): Iterable<Group> {
  const groups = new Map<string, Group>();
  for (const { prediction, inputs } of rows) {
    const { model, version } = prediction;
    const ts = Math.ceil(prediction.ts / MINUTE_MS) * MINUTE_MS;
    const key = `${model}\0${version}\0${ts}`;
    const group = groups.get(key) ?? { model, version, ts, streams: new Map() };
    groups.set(key, group);
    for (const { name, value } of inputs) {
      const counts = group.streams.get(name) ?? new Map<number | string, number>();
      group.streams.set(name, counts);
      counts.set(value, (counts.get(value) ?? 0) + 1);
    }
  }
  return groups.values();
}

/** One entry for each input, cut where it has more values than `max`. */
function* entriesOf(rows: Iterable<InputRow>, max: number): Generator<TailEntry> {
  for (const { model, version, ts, streams } of grouped(rows)) {
    for (const [stream, counts] of streams) {
      const values = [...counts];
      for (let from = 0; from < values.length; from += max)
        yield [model, version, ts, stream, values.slice(from, from + max)];
    }
  }
}

/** Texts of at most 2 * VALUES_MAX values each. */
function* textsOf(rows: Iterable<InputRow>): Generator<string> {
  let entries: TailEntry[] = [];
  let size = 0;
  for (const entry of entriesOf(rows, VALUES_MAX)) {
    entries.push(entry);
    size += entry[4].length;
    if (size < VALUES_MAX) continue;
    yield JSON.stringify(entries);
    entries = [];
    size = 0;
  }
  if (entries.length > 0) yield JSON.stringify(entries);
}

export class InputTail {
  /** On disk, and counted in memory. */
  readonly #kept = new Set<string>();
  #next = 0;
  #found: TailEntry[] = [];

  /** What was found on disk; `withInputs` false: it is dropped with the next saving. */
  load(states: Iterable<readonly [key: string, value: string]>, withInputs: boolean): void {
    this.#kept.clear();
    this.#found = [];
    for (const [key, text] of states) {
      this.#kept.add(key);
      this.#next = Math.max(this.#next, Number(key.slice(TAIL_STATES.length)) + 1 || 0);
      if (withInputs) this.#found.push(...parseTail(text));
    }
  }

  /** Tells drift what was found, once it knows the rows: as they came, after the hours that were saved before them. */
  replay(drift: Pick<Drift, "input">): void {
    for (const [model, version, ts, stream, values] of this.#found) {
      for (const [value, count] of values)
        for (let i = 0; i < count; i++) drift.input({ model, version, ts }, stream, value);
    }
    this.#found = [];
  }

  /** What must be on disk together with these rows; null: nothing. */
  write(rows: readonly InputRow[]): Beside | null {
    if (rows.length === 0 || this.#kept.size >= STATES_MAX) return null;
    const states: (readonly [string, string])[] = [];
    for (const text of textsOf(rows)) {
      states.push([`${TAIL_STATES}${String(this.#next).padStart(KEY_DIGITS, "0")}`, text]);
      this.#next++;
    }
    return {
      states,
      kept: () => {
        for (const [key] of states) this.#kept.add(key);
      },
    };
  }

  /** To be written in one transaction with the hours that hold it all. */
  unsaved(): Unsaved {
    const keys = [...this.#kept];
    return {
      states: keys.map((key) => [key, null]),
      saved: () => {
        for (const key of keys) this.#kept.delete(key);
      },
    };
  }
}
