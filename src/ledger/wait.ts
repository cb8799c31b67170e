// Labels that came before their prediction: kept on disk by (model or none, name), by the same rule of revisions.

import type { LabelEvent, LabelOutcome, LabelResult } from "../facts/label.ts";
import { decodeWaiting } from "./codec.ts";
import type { RawLabel, WaitingRevision } from "./codec.ts";
import { judge } from "./judge.ts";
import { one } from "./sql.ts";
import { nextSeq } from "./work.ts";
import type { Work } from "./work.ts";

/** Revisions that one early label keeps; beyond it the history gives way, never the value that holds. */
const DEPTH_MAX = 64;

export interface Place {
  readonly slot: number;
  readonly hash: number;
  readonly holds: WaitingRevision;
}

function revisionAt(work: Pick<Work, "sql">, seq: number): WaitingRevision | null {
  return seq <= 0 ? null : decodeWaiting(one(work.sql.waiting.get(seq)));
}

/** The names that wait under `name`, whatever their model. */
export function placesOf(work: Pick<Work, "sql" | "memory">, name: string): Place[] {
  const { waiting } = work.memory;
  if (waiting.size === 0) return [];
  const hash = work.memory.hash(name);
  const places: Place[] = [];
  for (const slot of waiting.candidates(hash)) {
    const holds = revisionAt(work, waiting.head(slot));
    if (holds !== null && holds.name === name) places.push({ slot, hash, holds });
  }
  return places;
}

/** All revisions of a place, newest first. */
export function chainOf(work: Pick<Work, "sql">, place: Place): WaitingRevision[] {
  const chain: WaitingRevision[] = [];
  for (let step: WaitingRevision | null = place.holds; step !== null; step = revisionAt(work, step.prev)) {
    chain.push(step);
    if (chain.length > DEPTH_MAX) break;
  }
  return chain;
}

/** Keeps a label whose prediction is not known. `label` is canonical when the model is known. */
export function keepWaiting(work: Work, event: LabelEvent, label: RawLabel): LabelOutcome {
  const json = JSON.stringify(label);
  const place = placesOf(work, event.id).find((one) => one.holds.model === event.model);
  const result = place === undefined ? addFirst(work, event, json) : addNext(work, place, { event, json });
  if (result === "full") {
    const message = "too many labels wait for predictions that are not known";
    return { result: "rejected", code: "waiting_full", message, model: event.model, version: null };
  }
  return { result, code: null, message: null, model: event.model, version: null };
}

function addFirst(work: Work, event: LabelEvent, json: string): LabelResult | "full" {
  const { waiting } = work.memory;
  if (waiting.revisions >= work.waitingMax) return "full";
  const seq = nextSeq(work);
  work.sql.addWaiting.run(seq, 0, event.model, event.id, event.ts, event.receivedAt, 0, json);
  const hash = work.memory.hash(event.id);
  const slot = waiting.add(hash, seq, 1);
  work.undo.push(() => waiting.remove(hash, slot));
  return "waiting";
}

function addNext(work: Work, place: Place, next: { event: LabelEvent; json: string }): LabelResult {
  const { waiting } = work.memory;
  const { event, json } = next;
  const { holds } = place;
  const retracts = json === "null";
  const verdict = judge({ value: holds.label, ts: holds.ts }, { value: json, ts: event.ts });
  const result = verdict.result === "corrected" && retracts ? "retracted" : verdict.result;
  const full = waiting.revisions >= work.waitingMax || waiting.depth(place.slot) >= DEPTH_MAX;
  const delta = event.receivedAt - holds.firstReceived;
  if (!verdict.takes) {
    if (!verdict.shown || full || isKnown(work, holds, next)) return result;
    const seq = nextSeq(work);
    work.sql.addWaiting.run(seq, holds.prev, event.model, event.id, event.ts, event.receivedAt, delta, json);
    work.sql.relinkWaiting.run(seq, holds.seq);
    deepen(work, place.slot, 1);
    return result;
  }
  const seq = nextSeq(work);
  const prev = full ? holds.prev : holds.seq;
  work.sql.addWaiting.run(seq, prev, event.model, event.id, event.ts, event.receivedAt, delta, json);
  if (full) work.sql.dropWaiting.run(holds.seq);
  else deepen(work, place.slot, 1);
  waiting.setHead(place.slot, seq);
  work.undo.push(() => waiting.setHead(place.slot, holds.seq));
  return result;
}

function isKnown(work: Work, holds: WaitingRevision, next: { event: LabelEvent; json: string }): boolean {
  let step: WaitingRevision | null = holds;
  for (let steps = 0; step !== null && steps < DEPTH_MAX; steps++) {
    if (step.ts === next.event.ts && step.label === next.json) return true;
    step = revisionAt(work, step.prev);
  }
  return step !== null;
}

function deepen(work: Work, slot: number, by: number): void {
  const { waiting } = work.memory;
  waiting.deepen(slot, by);
  work.undo.push(() => waiting.deepen(slot, -by));
}

/** Takes a place and all its revisions out: it was joined, or given up. */
export function removePlace(work: Work, place: Place, chain: readonly WaitingRevision[]): void {
  const { waiting } = work.memory;
  for (const revision of chain) work.sql.dropWaiting.run(revision.seq);
  const depth = waiting.depth(place.slot);
  waiting.remove(place.hash, place.slot);
  // Undone in reverse, so the slot on top of the free ones is the same again: earlier undo steps still fit.
  work.undo.push(() => {
    waiting.add(place.hash, place.holds.seq, depth);
  });
}

/** Leaves of a place only the revision that holds. */
export function forgetHistory(work: Work, place: Place): void {
  const [, ...older] = chainOf(work, place);
  if (older.length === 0) return;
  for (const revision of older) work.sql.dropWaiting.run(revision.seq);
  work.sql.relinkWaiting.run(0, place.holds.seq);
  deepen(work, place.slot, -older.length);
}
