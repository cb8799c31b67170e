// What nowcasts said when a whole hour was over, kept until the labels of their window are in: how far they were off.

import { HOUR_MS, type MetricEstimate } from "./track.ts";

/** A nowcast of a window that ended with a whole hour. */
export interface Note {
  readonly window: string;
  /** Unix ms. */
  readonly end: number;
  /** Metric -> what the nowcast said. */
  readonly said: Readonly<Record<string, number>>;
}

/** A nowcast of later than this after the hour would have known labels that came since. */
export const LATE_MS = 5 * 60_000;
/** Notes of one window that wait for labels; beyond, every other one is given up: far back they stand further apart. */
const NOTES_MAX = 64;

export class PastNowcasts {
  /** Window -> notes by their end, ascending. */
  readonly #notes = new Map<string, Note[]>();
  #changes = 0;
  #notedUntil = Number.NEGATIVE_INFINITY;

  /** Only grows, with each change. */
  get changes(): number {
    return this.#changes;
  }

  /** The whole hour whose nowcast is to be noted at `at` (Unix ms); null: it was noted, or it is too late for it. */
  due(at: number): number | null {
    const end = Math.floor(at / HOUR_MS) * HOUR_MS;
    return end > this.#notedUntil && at - end <= LATE_MS ? end : null;
  }

  note(window: string, end: number, metrics: readonly Pick<MetricEstimate, "metric" | "value">[]): void {
    this.#notedUntil = Math.max(this.#notedUntil, end);
    if (metrics.length === 0) return;
    const said = Object.fromEntries(metrics.map(({ metric, value }) => [metric, value]));
    this.#put({ window, end, said });
  }

  #put(note: Note): void {
    const notes = this.#notes.get(note.window) ?? [];
    notes.push(note);
    this.#notes.set(note.window, notes.length > NOTES_MAX ? notes.filter((_, i) => i % 2 === 0) : notes);
    this.#changes++;
  }

  /** The newest note of a window that ended by `complete` (Unix ms); older ones are given up. */
  settled(window: string, complete: number): Note | null {
    const notes = this.#notes.get(window) ?? [];
    const at = notes.findLastIndex(({ end }) => end <= complete);
    if (at > 0) {
      this.#notes.set(window, notes.slice(at));
      this.#changes++;
    }
    return notes[at] ?? null;
  }

  all(): Note[] {
    return [...this.#notes.values()].flat();
  }

  /** Goes on with notes that were kept, oldest first. */
  load(notes: readonly Note[]): void {
    for (const note of notes.toSorted((a, b) => a.end - b.end)) {
      if (!this.#notes.has(note.window) && this.#notes.size >= WINDOWS_MAX) continue;
      this.#notedUntil = Math.max(this.#notedUntil, note.end);
      this.#put(note);
    }
  }
}

/** A model has no more windows. */
const WINDOWS_MAX = 8;
