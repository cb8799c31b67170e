// What waits in the queue: a batch of exchanges with its mark, a batch of labels.

import type { LabelEvent, LabelOutcome } from "../facts/label.ts";
import type { ExchangeRecord } from "../facts/prediction.ts";
import { applyLabel } from "./join.ts";
import { Finder, readAhead } from "./lookup.ts";
import type { Sighting } from "./lookup.ts";
import type { Job } from "./queue.ts";
import { applyExchange } from "./record.ts";
import type { BatchMark, LabelBatchResult, RecordResult, Refused } from "./types.ts";
import type { Work } from "./work.ts";

/** Sessions whose last batch is remembered: one is the present, the others are for a restart that comes at a bad moment. */
const MARKS_MAX = 16;

/** A whole batch is one step: its mark says that all of it is on disk. */
export class RecordJob implements Job {
  readonly items: number;
  readonly bytes: number;
  readonly urgent = false;
  readonly #exchanges: readonly ExchangeRecord[];
  readonly #mark: BatchMark | null;
  readonly #resolve: (result: RecordResult) => void;
  readonly #tally = { accepted: 0, duplicates: 0, conflicts: 0, invalid: 0 };
  #done = false;

  constructor(
    exchanges: readonly ExchangeRecord[],
    mark: BatchMark | null,
    resolve: (result: RecordResult) => void,
  ) {
    this.#exchanges = exchanges;
    this.#mark = mark;
    this.#resolve = resolve;
    let items = 1;
    let bytes = 64;
    for (const exchange of exchanges) {
      items += exchange.predictions.length;
      bytes += 256 + exchange.predictions.length * 128;
    }
    this.items = items;
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.#done;
  }

  step(work: Work): number {
    for (const exchange of this.#exchanges) applyExchange(work, exchange, this.#tally);
    if (this.#mark !== null) setMark(work, this.#mark);
    this.#done = true;
    return this.items;
  }

  settle(): void {
    this.#resolve({ kind: "kept", ...this.#tally });
  }

  refuse(refused: Refused): void {
    this.#resolve(refused);
  }
}

function setMark(work: Work, { session, batch }: BatchMark): void {
  const { marks, commits } = work.memory;
  work.sql.setMark.run(session, batch, commits);
  const oldest = marks.size >= MARKS_MAX && !marks.has(session) ? marks.keys().next().value : undefined;
  if (oldest !== undefined) work.sql.dropMark.run(oldest);
  work.after.push(() => {
    if (oldest !== undefined) marks.delete(oldest);
    marks.delete(session);
    marks.set(session, batch);
  });
}

/** May be cut: a part on disk that is not acknowledged changes nothing when it is sent again. */
export class LabelJob implements Job {
  readonly items: number;
  readonly bytes: number;
  readonly urgent = true;
  readonly #events: readonly LabelEvent[];
  readonly #resolve: (result: LabelBatchResult) => void;
  readonly #outcomes: LabelOutcome[] = [];

  constructor(events: readonly LabelEvent[], resolve: (result: LabelBatchResult) => void) {
    this.#events = events;
    this.#resolve = resolve;
    let items = 1;
    let bytes = 64;
    for (const { id, label } of events) {
      const values = Array.isArray(label) ? label.length : 1;
      items += values;
      bytes += 96 + id.length * 2 + values * 16 + (typeof label === "string" ? label.length * 2 : 0);
    }
    this.items = items;
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.#outcomes.length === this.#events.length;
  }

  step(work: Work, room: number): number {
    let used = 1;
    const from = this.#outcomes.length;
    const finder = new Finder(work);
    const sightings: Sighting[] = [];
    for (let at = from; at < this.#events.length && at < from + room; at++) {
      const id = this.#events[at]?.id ?? "";
      sightings.push(finder.find(id.isWellFormed() ? id : id.toWellFormed()));
    }
    readAhead(work, sightings);
    for (let at = from; at < this.#events.length && used <= room; at++) {
      const event = this.#events[at];
      const sighting = sightings[at - from];
      if (event === undefined || sighting === undefined) break;
      this.#outcomes.push(applyLabel(work, event, sighting));
      used += Array.isArray(event.label) ? event.label.length : 1;
    }
    return used;
  }

  settle(): void {
    this.#resolve({ kind: "kept", outcomes: this.#outcomes });
  }

  refuse(refused: Refused): void {
    this.#resolve(refused);
  }
}
