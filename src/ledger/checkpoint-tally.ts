// What became of checkpoints since the process started, and why a start could not use the one there was.

/** Why none was used: there was none, it is damaged, of another layout or other rules, younger than the store, or could not be read. */
export type Unused = "none" | "damaged" | "another" | "younger" | "unreadable";

export interface Refusal {
  readonly reason: Unused;
  /** For a person. */
  readonly message: string;
}

/** `reason`: of `not_used` as above, of `not_written` "state" (it could not be taken) or "disk"; else empty. */
export interface CheckpointCount {
  readonly result: "used" | "not_used" | "written" | "not_written";
  readonly reason: Unused | "state" | "disk" | "";
  readonly count: number;
}

export class CheckpointTally {
  readonly #counts = new Map<string, CheckpointCount>();

  add(result: CheckpointCount["result"], reason: CheckpointCount["reason"] = ""): void {
    const key = `${result} ${reason}`;
    this.#counts.set(key, { result, reason, count: (this.#counts.get(key)?.count ?? 0) + 1 });
  }

  all(): CheckpointCount[] {
    return [...this.#counts.values()];
  }
}
