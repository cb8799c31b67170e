// Rows that were forgotten after a checkpoint: it counts them, and they are not on disk any more. Kept until the next one.

import { crc32 } from "node:zlib";

import { type Archive, ArchiveError, archiveFlag, ArchiveReader, ArchiveWriter } from "../kernel/archive.ts";
import type { Truth } from "../facts/pair.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import type { Revision } from "./codec.ts";
import { truthOf } from "./join.ts";
import type { WalkedRow } from "./walk.ts";
import { parseRecord } from "./words.ts";
import type { Work } from "./work.ts";

const BYTES_MAX = 256 * 1024 * 1024;

/** `prediction` null: the checkpoint does not count the row. `truth`: as the checkpoint has it. */
export interface Forgotten {
  readonly row: number;
  readonly prediction: Prediction | null;
  readonly truth: Truth | null;
}

/** The revision that held when the next one to come was `nextSeq`. In a chain what held stands before what it superseded. */
export function heldThen(
  newest: Revision | null,
  nextSeq: number,
  at: (seq: number) => Revision | null,
): Revision | null {
  let step = newest;
  while (step !== null && step.seq >= nextSeq) {
    const older: Revision | null = step.prev > 0 ? at(step.prev) : null;
    step = older?.row === step.row ? older : null;
  }
  return step;
}

/** What must be kept of a row that is about to be forgotten. */
export function noteForgotten(work: Work, { stored, prediction }: WalkedRow, holds: Revision | null): void {
  const { checkpoint } = work.memory;
  if (checkpoint === null) return;
  const { row } = stored;
  const isCounted = row < checkpoint.nextRow;
  const held = isCounted ? heldThen(holds, checkpoint.nextSeq, (seq) => work.labels.get(seq)) : null;
  work.forgotten.push({ row, prediction: isCounted ? prediction : null, truth: truthOf(held) });
}

/** Before the commit. */
export function writeForgotten({ sql, memory, forgotten }: Work): void {
  if (forgotten.length === 0) return;
  const writer = new ArchiveWriter(BYTES_MAX);
  archiveForgotten(writer, forgotten);
  const rows = writer.finish();
  const whole = new ArchiveWriter(BYTES_MAX, rows.length);
  whole.number(crc32(rows));
  whole.bytes(rows);
  sql.addForgotten.run(memory.commits + 1, whole.finish());
}

/** Throws an ArchiveError when they are damaged. */
export function readForgotten(stored: unknown): Forgotten[] {
  if (!(stored instanceof Uint8Array)) throw new ArchiveError("notes of forgotten rows are damaged");
  const whole = new ArchiveReader(stored);
  const crc = whole.number();
  const rows = whole.bytes();
  if (crc32(rows) !== crc) throw new ArchiveError("notes of forgotten rows are damaged");
  return archiveForgotten(new ArchiveReader(rows), []);
}

function archiveForgotten(io: Archive, rows: readonly Forgotten[]): Forgotten[] {
  const size = io.number(rows.length);
  return Array.from({ length: size }, (_, i) => {
    const known = rows[i];
    const row = io.number(known?.row ?? 0);
    const prediction = archiveFlag(io, known?.prediction != null)
      ? archivePrediction(io, known?.prediction ?? NOTHING)
      : null;
    const truth = archiveFlag(io, known?.truth != null) ? archiveTruth(io, known?.truth ?? UNTOLD) : null;
    return { row, prediction, truth };
  });
}

const NOTHING: Prediction = {
  model: "",
  version: "",
  id: "",
  ts: 0,
  value: null,
  score: null,
  scores: null,
  slice: null,
};
const UNTOLD: Truth = { value: 0, ts: 0, firstReceivedAt: 0 };

function archivePrediction(io: Archive, of: Prediction): Prediction {
  return {
    model: io.text(of.model),
    version: io.text(of.version),
    id: io.text(of.id),
    ts: io.number(of.ts),
    value: archiveFlag(io, of.value !== null) ? archiveValue(io, of.value ?? 0) : null,
    score: archiveFlag(io, of.score !== null) ? io.number(of.score ?? 0) : null,
    scores: archiveRecord(io, of.scores, isNumber),
    slice: archiveRecord(io, of.slice, isText),
  };
}

function archiveTruth(io: Archive, of: Truth): Truth {
  return {
    value: archiveValue(io, of.value),
    ts: io.number(of.ts),
    firstReceivedAt: io.number(of.firstReceivedAt),
  };
}

function archiveValue(io: Archive, value: Value): Value {
  return archiveFlag(io, typeof value === "string")
    ? io.text(typeof value === "string" ? value : "")
    : io.number(typeof value === "number" ? value : 0);
}

const isNumber = (value: unknown): value is number => typeof value === "number";
const isText = (value: unknown): value is string => typeof value === "string";

function archiveRecord<T>(
  io: Archive,
  record: Readonly<Record<string, T>> | null,
  is: (value: unknown) => value is T,
): Readonly<Record<string, T>> | null {
  if (!archiveFlag(io, record !== null)) return null;
  const entries = parseRecord(io.text(JSON.stringify(record))) ?? [];
  const own: [string, T][] = [];
  for (const [name, value] of entries) if (is(value)) own.push([name, value]);
  return Object.fromEntries(own);
}
