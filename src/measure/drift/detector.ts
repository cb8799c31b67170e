// What a detector of change in a stream of losses does: one value in, perhaps an alarm out.

import type { Archive } from "../../kernel/archive.ts";

/** up: the values have become larger; for a loss that means worse. */
export type Alarm = "up" | "down";

export interface Detector {
  /** Takes the next value; says so when with it a change was found. After an alarm it starts anew. */
  update(value: number): Alarm | null;
  /** All it has learnt, to go on as the one it was. */
  archive(io: Archive): void;
}
