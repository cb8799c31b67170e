// One track per model version, at most so many: shared by what estimates and what watches for drift.

import {
  type Archive,
  archiveFlag,
  archiveMap,
  ArchiveError,
  archiveTexts,
  textKey,
} from "../../kernel/archive.ts";

export interface VersionBookShape<T> {
  readonly versionsMax: number;
  readonly begin: (model: string, version: string) => T | null;
  readonly end: (track: T) => void;
}

interface Entry<T> {
  readonly model: string;
  readonly version: string;
  readonly track: T | null;
  /** Rows that are counted; without any the entry is given up. */
  rows: number;
}

/** Refused versions that are remembered; beyond, no further version is begun. */
const REFUSED_MAX = 1000;

export class VersionBook<T> {
  readonly #shape: VersionBookShape<T>;
  readonly #entries = new Map<string, Entry<T>>();
  /** The entry met last: rows come in runs of one version. */
  #last: Entry<T> | null = null;
  /** A version that found no room stays out: begun later, its earlier rows would be missing and taken back all the same. */
  readonly #refused = new Set<string>();

  constructor(shape: VersionBookShape<T>) {
    this.#shape = shape;
  }

  /** Versions that found no room. */
  get refused(): number {
    return this.#refused.size;
  }

  /** The track of a version, begun when `rows` is 1 and it is new; `rows` says whether a row is added, kept or given up. */
  take(of: { readonly model: string; readonly version: string }, rows: 1 | 0 | -1): T | null {
    const last = this.#last;
    if (last?.version === of.version && last.model === of.model) {
      last.rows += rows;
      return last.track;
    }
    const key = `${of.model}\u0001${of.version}`;
    const entry = this.#entries.get(key) ?? (rows === 1 ? this.#begin(key, of) : undefined);
    if (entry === undefined) return null;
    entry.rows += rows;
    this.#last = entry;
    return entry.track;
  }

  /** Gives up the version if no row of it is left. */
  settle(of: { readonly model: string; readonly version: string }): void {
    this.#last = null;
    const key = `${of.model}\u0001${of.version}`;
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.rows > 0) return;
    if (entry.track !== null) this.#shape.end(entry.track);
    this.#entries.delete(key);
  }

  /** Versions of a model that were met, also those that found no room; they are forgotten. */
  forget(model: string): string[] {
    this.#last = null;
    const versions: string[] = [];
    for (const [key, entry] of this.#entries) {
      if (entry.model !== model) continue;
      if (entry.track !== null) this.#shape.end(entry.track);
      versions.push(entry.version);
      this.#entries.delete(key);
    }
    for (const key of this.#refused) {
      const [name, version] = key.split("\u0001");
      if (name !== model || version === undefined) continue;
      versions.push(version);
      this.#refused.delete(key);
    }
    return versions;
  }

  /** Sorted by model and version. */
  tracks(): { readonly model: string; readonly version: string; readonly track: T }[] {
    const found = [...this.#entries.values()].flatMap(({ model, version, track }) =>
      track === null ? [] : [{ model, version, track }],
    );
    return found.toSorted((a, b) => compare(a.model, b.model) || compare(a.version, b.version));
  }

  archive(io: Archive, each: (track: T) => void): void {
    archiveTexts(io, this.#refused);
    const entryOf = (known: Entry<T> | undefined, key: string): Entry<T> => {
      const [model = "", version = ""] = key.split("\u0001");
      const entry = known ?? { model, version, track: this.#shape.begin(model, version), rows: 0 };
      entry.rows = io.number(entry.rows);
      if (archiveFlag(io, entry.track !== null) !== (entry.track !== null))
        throw new ArchiveError(`how ${model} is followed is another now`);
      if (entry.track !== null) each(entry.track);
      return entry;
    };
    archiveMap(io, this.#entries, { key: textKey(io), value: entryOf });
    this.#last = null;
  }

  clear(): void {
    for (const { track } of this.#entries.values()) if (track !== null) this.#shape.end(track);
    this.#entries.clear();
    this.#refused.clear();
    this.#last = null;
  }

  #begin(key: string, of: { readonly model: string; readonly version: string }): Entry<T> | undefined {
    if (this.#refused.has(key) || this.#refused.size >= REFUSED_MAX) return undefined;
    if (this.#entries.size >= this.#shape.versionsMax) {
      this.#refused.add(key);
      return undefined;
    }
    const entry = { ...of, track: this.#shape.begin(of.model, of.version), rows: 0 };
    this.#entries.set(key, entry);
    return entry;
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
