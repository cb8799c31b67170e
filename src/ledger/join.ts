// Truth to rows: one revision is put to one row, and a label event to all it names. Early ones wait.

import type { LabelEvent, LabelOutcome, LabelResult, Told } from "../facts/label.ts";
import type { Truth } from "../facts/pair.ts";
import type { Value } from "../facts/prediction.ts";
import { ABSENT_STATE, ROWS_PER_EXCHANGE_MAX, isList, isValue } from "./codec.ts";
import type { FittedLabel, RawLabel, Revision } from "./codec.ts";
import { judge, strongest } from "./judge.ts";
import type { Verdict } from "./judge.ts";
import { headOf, resolve, targetAt } from "./lookup.ts";
import type { Hit, Sighting, Target } from "./lookup.ts";
import { keepWaiting } from "./wait.ts";
import { nextSeq } from "./work.ts";
import type { Work } from "./work.ts";

export const NAME_LENGTH_MAX = 512;
const TEXT_LENGTH_MAX = 4096;
const TIME_MS_MAX = 8.64e15;
/** So far back a stale revision is compared, and so many stale ones a row keeps at most. */
const CHAIN_STEPS_MAX = 64;

/** One value for one row. */
export interface RowLabel {
  readonly value: Value | null;
  readonly ts: number;
  readonly received: number;
  /** When the first label of this row was received, if that was before. */
  readonly firstReceived: number;
  /** Silence stands for the value. */
  readonly absent?: true;
}

/** The revision that holds for a row, with its value; null when none ever came. */
export function holding(work: Work, row: number): Revision | null {
  const head = headOf(work, row);
  if (head <= 0) return null;
  const revision = work.labels.get(head);
  return revision === null || revision.row !== row ? null : revision;
}

export function truthOf(revision: Revision | null): Truth | null {
  if (revision === null || revision.invalid || revision.value === null) return null;
  return { value: revision.value, ts: revision.ts, firstReceivedAt: revision.firstReceived };
}

/** Puts one revision to one row. */
export function labelRow(work: Work, target: Target, label: RowLabel): LabelResult {
  const newest = holding(work, target.row);
  const holds = newest === null || newest.invalid ? null : newest;
  // Silence says nothing against a word, not even against a retraction; and any word holds against it.
  if (label.absent === true && holds !== null) return "duplicate";
  const verdict = holds?.absent === true ? overSilence(holds, label) : judge(holds, label);
  if (!verdict.takes) {
    if (verdict.shown && holds !== null) addBehind(work, holds, label);
    return verdict.result;
  }
  const firstReceived = holds === null ? label.firstReceived : holds.firstReceived;
  const seq = nextSeq(work);
  const { ts, received, value } = label;
  const first = received - firstReceived;
  const prev = newest === null ? 0 : newest.seq;
  const state = label.absent === true ? ABSENT_STATE : 0;
  work.labels.add({ seq, row: target.row, prev, ts, received, first, state, value });
  moveHead(work, target.row, seq);
  const before = truthOf(holds);
  if (before === null ? label.value !== null : before.value !== label.value) {
    const after =
      label.value === null ? null : { value: label.value, ts: label.ts, firstReceivedAt: firstReceived };
    work.changes.push({ kind: "truth", row: target.row, prediction: target.prediction, before, after });
  }
  return verdict.result;
}

function overSilence(holds: Revision, label: RowLabel): Verdict {
  const result = label.value === holds.value ? "duplicate" : label.value === null ? "retracted" : "corrected";
  return { result, takes: true, shown: true };
}

function moveHead(work: Work, row: number, seq: number): void {
  const { rows } = work.memory;
  if (rows.keepsOnDisk(row)) work.sql.setHead.run(row, seq);
  if (rows.isSealed(row)) return;
  work.moved.push(row, rows.head(row));
  rows.setHead(row, seq);
}

/** Keeps a revision that came too late, behind the one that holds; the same one again is not kept twice. */
function addBehind(work: Work, holds: Revision, label: RowLabel): void {
  let step: Revision | null = holds;
  for (let steps = 0; step !== null && step.prev > 0; steps++) {
    if (steps >= CHAIN_STEPS_MAX) return;
    step = work.labels.get(step.prev);
    if (step !== null && step.ts === label.ts && step.value === label.value) return;
  }
  const seq = nextSeq(work);
  const { ts, received, value } = label;
  const first = received - holds.firstReceived;
  work.labels.add({ seq, row: holds.row, prev: holds.prev, ts, received, first, state: 0, value });
  work.labels.relink(seq, holds.seq);
}

/** Keeps, for display, an early label that did not fit when its prediction came. */
export function keepInvalid(
  work: Work,
  row: number,
  label: Omit<RowLabel, "value"> & { readonly json: string },
): void {
  const newest = holding(work, row);
  const seq = nextSeq(work);
  const prev = newest === null ? 0 : newest.prev;
  const { ts, received, json } = label;
  work.labels.add({ seq, row, prev, ts, received, first: 0, state: 1, value: json });
  if (newest === null) moveHead(work, row, seq);
  else work.labels.relink(seq, newest.seq);
}

/** The rows of an exchange that a label fits, with the value for each; null: another number of values than rows. */
export function spread(hit: Pick<Hit, "head" | "pos">, label: FittedLabel): [number, Value | null][] | null {
  const { n } = hit.head;
  const list = Array.isArray(label) ? label : null;
  if (hit.pos !== null || n === 1) {
    const value = list === null ? label : list.length === 1 ? list[0] : undefined;
    return isValue(value) ? [[hit.pos ?? 0, value]] : null;
  }
  if (list !== null) return list.length === n ? list.map((value, pos) => [pos, value]) : null;
  return label === null ? Array.from({ length: n }, (_, pos) => [pos, null]) : null;
}

let lastOutcome: LabelOutcome = { result: "joined", code: null, message: null, model: null, version: null };

/** What is said of many labels in a row is one object. */
function outcome(result: LabelResult, of: { model: string | null; version: string | null }): LabelOutcome {
  const { model, version } = of;
  const last = lastOutcome;
  if (last.result === result && last.model === model && last.version === version) return last;
  lastOutcome = Object.freeze({ result, code: null, message: null, model, version });
  return lastOutcome;
}

export function rejected(code: string, message: string, model: string | null): LabelOutcome {
  return { result: "rejected", code, message, model, version: null };
}

/** Why an event cannot be taken at all; the event with well-formed texts otherwise. */
function admit(event: LabelEvent): LabelEvent | { readonly code: string; readonly message: string } {
  const { id, model, label } = event;
  if (id.length < 1 || id.length > NAME_LENGTH_MAX) {
    return { code: "invalid_id", message: `an id has 1 to ${NAME_LENGTH_MAX} characters` };
  }
  if (model !== null && (model.length < 1 || model.length > NAME_LENGTH_MAX)) {
    return { code: "invalid_model", message: `a model's name has 1 to ${NAME_LENGTH_MAX} characters` };
  }
  if (!isTime(event.ts) || !isTime(event.receivedAt)) {
    return { code: "invalid_ts", message: "ts is not a time in milliseconds" };
  }
  if (isPlain(event)) return event;
  const values: readonly unknown[] = Array.isArray(label) ? label : [label];
  if (values.length < 1 || values.length > ROWS_PER_EXCHANGE_MAX) {
    return { code: "invalid_label", message: `an array of labels has 1 to ${ROWS_PER_EXCHANGE_MAX} items` };
  }
  if (!values.every(isLabelValue)) {
    return { code: "invalid_label", message: "a label is a finite number, a text, or null" };
  }
  return { ...event, id: id.toWellFormed(), model: model === null ? null : model.toWellFormed() };
}

/** What nearly all events are: there is nothing to mend or to refuse. */
function isPlain({ id, model, label }: LabelEvent): boolean {
  return (
    !Array.isArray(label) &&
    isLabelValue(label) &&
    id.isWellFormed() &&
    (model === null || model.isWellFormed())
  );
}

function isTime(ms: number): boolean {
  return Number.isFinite(ms) && Math.abs(ms) <= TIME_MS_MAX;
}

function isLabelValue(value: unknown): boolean {
  if (typeof value === "object" && value !== null && "className" in value)
    return isLabelValue(value.className);
  if (typeof value === "string") return value.length <= TEXT_LENGTH_MAX;
  return value === null || (typeof value === "number" && Number.isFinite(value));
}

export type Canonical =
  | { readonly ok: true; readonly label: FittedLabel }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** Every value of a label in the model's canonical form. */
export function canonical(work: Work, model: string, label: RawLabel): Canonical {
  const normalise = (value: Told | null): Value | null | Canonical => {
    if (value === null) return null;
    const said = work.normalise(model, typeof value === "string" ? value.toWellFormed() : value);
    return said.ok ? said.value : { ok: false, code: said.code ?? "invalid_label", message: said.message };
  };
  if (!isList(label)) {
    const value = normalise(label);
    return isValue(value) ? { ok: true, label: value } : value;
  }
  const values: (Value | null)[] = [];
  for (const item of label) {
    const value = normalise(item);
    if (!isValue(value)) return value;
    values.push(value);
  }
  return { ok: true, label: values };
}

/** One label event, from submission to its outcome. */
export function applyLabel(work: Work, submitted: LabelEvent, sighting: Sighting): LabelOutcome {
  const event = admit(submitted);
  if ("code" in event) return rejected(event.code, event.message, submitted.model);
  const early = event.model === null ? null : canonical(work, event.model, event.label);
  if (early !== null && !early.ok) return rejected(early.code, early.message, event.model);
  const resolution = resolve(work, sighting, event.model);
  if (resolution.kind === "ambiguous") return rejected(resolution.code, resolution.message, event.model);
  if (resolution.kind === "none" && event.absent !== undefined) {
    return rejected(
      "no_prediction",
      "there is no prediction to which silence could be an answer",
      event.model,
    );
  }
  if (resolution.kind === "none") return keepWaiting(work, event, early === null ? event.label : early.label);
  const fitted = early ?? canonical(work, resolution.model, event.label);
  if (!fitted.ok) return rejected(fitted.code, fitted.message, resolution.model);
  return labelHits(work, { event, label: fitted.label, model: resolution.model }, resolution.hits);
}

/** null: silence that has not lasted long enough for this row. */
function rowLabel(event: LabelEvent, target: Target, value: Value | null): RowLabel | null {
  const { ts, receivedAt, absent } = event;
  if (absent === undefined) return { value, ts, received: receivedAt, firstReceived: receivedAt };
  const due = target.prediction.ts + absent.afterMs;
  return due > receivedAt ? null : { value, ts: due, received: due, firstReceived: due, absent: true };
}

const NO_PREDICTION = "there is no prediction in this row";

interface Fitted {
  readonly event: LabelEvent;
  readonly label: FittedLabel;
  readonly model: string;
}

function labelHits(work: Work, fitted: Fitted, hits: readonly Hit[]): LabelOutcome {
  const { event, model } = fitted;
  const [only] = hits;
  const isOneRow = only !== undefined && (only.pos !== null || only.head.n === 1);
  if (hits.length === 1 && isOneRow && isValue(fitted.label)) {
    const target = targetAt(work, only, only.pos ?? 0);
    const label = target === null ? null : rowLabel(event, target, fitted.label);
    if (target === null || label === null) return rejected("no_prediction", NO_PREDICTION, model);
    return outcome(labelRow(work, target, label), { model, version: target.prediction.version });
  }
  const results: LabelResult[] = [];
  let version: string | null = null;
  let fits = false;
  for (const hit of hits) {
    const values = spread(hit, fitted.label);
    if (values === null) continue;
    fits = true;
    for (const [pos, value] of values) {
      const target = targetAt(work, hit, pos);
      if (target === null) continue;
      const label = rowLabel(event, target, value);
      if (label === null) continue;
      version ??= target.prediction.version;
      results.push(labelRow(work, target, label));
    }
  }
  if (!fits) {
    const rows = hits[0]?.head.n ?? 1;
    return rejected("label_count_mismatch", `the prediction has ${rows} rows: send as many labels`, model);
  }
  if (results.length === 0) return rejected("no_prediction", NO_PREDICTION, model);
  return outcome(strongest(results), { model, version });
}
