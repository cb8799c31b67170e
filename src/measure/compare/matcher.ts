// Rows remembered for a while: requests that two versions answered under the same id (a shadow version) meet here.

import { type Archive, archiveMap, numberKey, textKey } from "../../kernel/archive.ts";
import { archiveAnswered } from "./archive-arms.ts";
import type { Costs } from "./losses.ts";

/** Keeps at least the last `max` keys, at most twice as many. Dropping half at a time costs nothing per key. */
class Recent<K extends string | number, V> {
  readonly #max: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  constructor(max: number) {
    this.#max = max;
  }

  archive(io: Archive, of: Parameters<typeof archiveMap<K, V>>[2]): void {
    archiveMap(io, this.#young, of);
    archiveMap(io, this.#old, of);
  }

  get(key: K): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: K, value: V): void {
    if (this.#young.size >= this.#max) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

export interface Answered {
  readonly version: string;
  readonly ts: number;
  readonly costs: Costs;
}

/**
 * Labelled rows remembered for a partner. A label joins the rows of all versions at once, so few are enough; a row whose partner
 * comes later than that is compared unpaired.
 */
export const IDS_MAX = 10_000;
/** Versions that may answer one request. */
const VERSIONS_MAX = 8;

export class Matcher {
  readonly #known = new Recent<string, Answered[]>(IDS_MAX);

  archive(io: Archive): void {
    this.#known.archive(io, { key: textKey(io), value: (answers) => archiveAnswered(io, answers) });
  }

  /** The other versions that answered this id and have their label. */
  meet(id: string, answer: Answered): readonly Answered[] {
    const known = this.#known.get(id);
    if (known === undefined) {
      this.#known.set(id, [answer]);
      return [];
    }
    if (known.some(({ version }) => version === answer.version)) return [];
    const others = [...known];
    if (known.length < VERSIONS_MAX) known.push(answer);
    return others;
  }
}

/** Rows whose label was taken back: another label would be their second. */
const RETRACTED_MAX = 10_000;

export class RecentRows {
  readonly #rows = new Recent<number, true>(RETRACTED_MAX);

  archive(io: Archive): void {
    this.#rows.archive(io, { key: numberKey(io), value: () => true });
  }

  add(row: number): void {
    this.#rows.set(row, true);
  }

  has(row: number): boolean {
    return this.#rows.get(row) === true;
  }
}
