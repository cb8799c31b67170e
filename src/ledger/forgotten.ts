// Rows that were forgotten after a checkpoint: it counts them, and they are not on disk any more. Kept until the next one.

import { crc32 } from "node:zlib";

import { type Archive, ArchiveError, ArchiveReader, ArchiveWriter } from "../kernel/archive.ts";
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

/** What a note has, as the bits of one number: there are thousands of notes, and each is written twice. */
const COUNTED = 1;
const LABELLED = 2;
const TEXT_TRUTH = 4;
const VALUE = 8;
const TEXT_VALUE = 16;
const SCORE = 32;
const SCORES = 64;
const SLICE = 128;

function bitsOf({ prediction, truth }: Forgotten): number {
  const ofTruth = truth === null ? 0 : LABELLED + (typeof truth.value === "string" ? TEXT_TRUTH : 0);
  if (prediction === null) return ofTruth;
  const { value, score, scores, slice } = prediction;
  const ofValue = value === null ? 0 : VALUE + (typeof value === "string" ? TEXT_VALUE : 0);
  const others = (score === null ? 0 : SCORE) + (scores === null ? 0 : SCORES) + (slice === null ? 0 : SLICE);
  return COUNTED + ofTruth + ofValue + others;
}

/** Texts that come again and again (models, versions, classes, slices), once each; then by their number. */
class Repeats {
  readonly #io: Archive;
  readonly #texts: string[] = [];
  readonly #numbers = new Map<string, number>();
  /** Slices are shared objects. */
  readonly #json = new Map<object | null, string>();

  constructor(io: Archive) {
    this.#io = io;
  }

  text(text: string): string {
    const at = this.#io.number(this.#numbers.get(text) ?? this.#texts.length);
    if (at === this.#texts.length) {
      const added = this.#io.text(text);
      this.#texts.push(added);
      this.#numbers.set(added, at);
    }
    const known = this.#texts[at];
    if (known === undefined) throw new ArchiveError("notes of forgotten rows are damaged");
    return known;
  }

  value(isText: boolean, value: Value): Value {
    return isText
      ? this.text(typeof value === "string" ? value : "")
      : this.#io.number(typeof value === "number" ? value : 0);
  }

  record<T>(
    record: Readonly<Record<string, T>> | null,
    is: (value: unknown) => value is T,
  ): Readonly<Record<string, T>> {
    const json = this.#json.get(record) ?? JSON.stringify(record);
    this.#json.set(record, json);
    const text = this.text(json);
    if (!this.#io.reading) return record ?? {};
    const own: [string, T][] = [];
    for (const [name, value] of parseRecord(text) ?? []) if (is(value)) own.push([name, value]);
    return Object.fromEntries(own);
  }
}

function archiveForgotten(io: Archive, rows: readonly Forgotten[]): Forgotten[] {
  const size = io.number(rows.length);
  const repeats = new Repeats(io);
  return Array.from({ length: size }, (_, i) => {
    const known = rows[i] ?? NOTHING;
    const bits = io.number(bitsOf(known));
    const row = io.number(known.row);
    const prediction =
      (bits & COUNTED) === 0
        ? null
        : archivePrediction({ io, repeats, bits }, known.prediction ?? NO_PREDICTION);
    const truth = (bits & LABELLED) === 0 ? null : archiveTruth({ io, repeats, bits }, known.truth ?? UNTOLD);
    return { row, prediction, truth };
  });
}

const NOTHING: Forgotten = { row: 0, prediction: null, truth: null };
const NO_PREDICTION: Prediction = {
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

interface Note {
  readonly io: Archive;
  readonly repeats: Repeats;
  readonly bits: number;
}

function archivePrediction({ io, repeats, bits }: Note, of: Prediction): Prediction {
  return {
    model: repeats.text(of.model),
    version: repeats.text(of.version),
    id: io.text(of.id),
    ts: io.number(of.ts),
    value: (bits & VALUE) === 0 ? null : repeats.value((bits & TEXT_VALUE) !== 0, of.value ?? 0),
    score: (bits & SCORE) === 0 ? null : io.number(of.score ?? 0),
    scores: (bits & SCORES) === 0 ? null : repeats.record(of.scores, isNumber),
    slice: (bits & SLICE) === 0 ? null : repeats.record(of.slice, isText),
  };
}

function archiveTruth({ io, repeats, bits }: Note, of: Truth): Truth {
  return {
    value: repeats.value((bits & TEXT_TRUTH) !== 0, of.value),
    ts: io.number(of.ts),
    firstReceivedAt: io.number(of.firstReceivedAt),
  };
}

const isNumber = (value: unknown): value is number => typeof value === "number";
const isText = (value: unknown): value is string => typeof value === "string";
