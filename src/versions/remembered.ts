// What was written last under each key, so that the same is not written again. Bounded: what is forgotten is written once more.

const KEYS_MAX = 5000;

export class Remembered {
  readonly #values = new Map<string, string>();

  has(key: string, value: string): boolean {
    return this.#values.get(key) === value;
  }

  /** The longest untouched key is forgotten beyond 5,000. */
  set(key: string, value: string): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= KEYS_MAX) return;
    const [oldest] = this.#values.keys();
    if (oldest !== undefined) this.#values.delete(oldest);
  }
}
