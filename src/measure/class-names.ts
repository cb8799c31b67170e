// Class names as small numbers, so that a confusion matrix is a map of numbers. Bounded: labels are foreign text.

import { type Archive, archiveTexts } from "../kernel/archive.ts";
import { OTHER_CLASS } from "./totals.ts";

/** Names beyond the configured ones; further ones share `_OTHER`. */
const FOREIGN_MAX = 256;

export class ClassNames {
  readonly #ids = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #max: number;

  constructor(configured: readonly string[]) {
    this.#max = configured.length + FOREIGN_MAX;
    for (const name of configured) this.idOf(name);
  }

  /** The same number for the same name as long as this object lives. */
  idOf(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#names.length;
    if (id >= this.#max) return this.#max;
    this.#ids.set(name, id);
    this.#names.push(name);
    return id;
  }

  archive(io: Archive): void {
    const names = new Set(this.#names);
    archiveTexts(io, names);
    if (!io.reading) return;
    this.#ids.clear();
    this.#names.length = 0;
    for (const name of names) this.idOf(name);
  }

  nameOf(id: number): string {
    return this.#names[id] ?? OTHER_CLASS;
  }
}
