// What outlives a restart beside the rows: small texts under keys, written only when they have changed.

/** One text; another `token` says that it has changed. */
export interface State {
  readonly key: string;
  readonly token: number;
  readonly text: () => string;
}

export interface Unsaved {
  /** null: the key is dropped. */
  readonly states: readonly (readonly [key: string, value: string | null])[];
  /** Call it once they are on disk. */
  readonly saved: () => void;
}

export class StateBook {
  /** Key -> the token of the text on disk. */
  readonly #onDisk = new Map<string, number>();

  /** A text that was found on disk. */
  found(key: string, token: number): void {
    this.#onDisk.set(key, token);
  }

  /** What must be written so that exactly `states` are on disk. */
  unsaved(states: Iterable<State>): Unsaved {
    const current = new Map<string, number>();
    const changed: [string, string | null][] = [];
    for (const { key, token, text } of states) {
      current.set(key, token);
      if (this.#onDisk.get(key) !== token) changed.push([key, text()]);
    }
    for (const key of this.#onDisk.keys()) if (!current.has(key)) changed.push([key, null]);
    return {
      states: changed,
      saved: () => {
        this.#onDisk.clear();
        for (const [key, token] of current) this.#onDisk.set(key, token);
      },
    };
  }
}
