// Texts that repeat on many rows (slices, routes) are stored once and named by a number.

/** When the table is full, columns hold the text itself. */
export const WORDS_MAX = 8192;
const OBJECTS_MAX = 16_384;

export type Slice = Readonly<Record<string, string>>;

export class Words {
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();
  readonly #slices = new Map<number | string, Slice | null>();

  get full(): boolean {
    return this.#ids.size >= WORDS_MAX;
  }

  get nextId(): number {
    return this.#ids.size + 1;
  }

  idOf(text: string): number | undefined {
    return this.#ids.get(text);
  }

  add(id: number, text: string): void {
    this.#ids.set(text, id);
    this.#texts.set(id, text);
  }

  remove(id: number): void {
    const text = this.#texts.get(id);
    if (text === undefined) return;
    this.#ids.delete(text);
    this.#texts.delete(id);
    this.#slices.delete(id);
  }

  /** The text of a column, or null. */
  textOf(cell: unknown): string | null {
    if (typeof cell === "number") return this.#texts.get(cell) ?? null;
    return typeof cell === "string" ? cell : null;
  }

  /** The slice of a column; one frozen object for all rows that share it. */
  sliceOf(cell: unknown): Slice | null {
    if (typeof cell !== "number" && typeof cell !== "string") return null;
    const known = this.#slices.get(cell);
    if (known !== undefined) return known;
    const slice = parseSlice(this.textOf(cell));
    if (this.#slices.size >= OBJECTS_MAX) this.#slices.clear();
    this.#slices.set(cell, slice);
    return slice;
  }
}

function parseSlice(text: string | null): Slice | null {
  const entries = text === null ? null : parseRecord(text);
  if (entries === null) return null;
  const strings: [string, string][] = [];
  for (const [name, value] of entries) if (typeof value === "string") strings.push([name, value]);
  return Object.freeze(Object.fromEntries(strings));
}

/** The entries of a JSON object, or null when it is none. */
export function parseRecord(text: string): [string, unknown][] | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value)
      : null;
  } catch {
    return null;
  }
}
