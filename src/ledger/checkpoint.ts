// What all rows and labels up to a moment add up to, written beside them in small steps, so that a start reads only what came
// after. It is taken at once, between two transactions; until its last step the one before holds, and no row is forgotten.

import { crc32 } from "node:zlib";

import { ArchiveError } from "../kernel/archive.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { CheckpointTally, Refusal } from "./checkpoint-tally.ts";
import type { Disk } from "./disk.ts";
import type { Shelf } from "./lookup.ts";
import { StateReader, StateWriter } from "./parts.ts";
import { num, one } from "./sql.ts";
import { NameRun, storeSegment } from "./stored-segments.ts";
import type { Trouble } from "./trouble.ts";
import type { Checkpointed } from "./types.ts";
import type { Memory, Work } from "./work.ts";

const CHANGES = 131_072;
/** What is forgotten is noted until the next one, in about as many bytes: in a small store that comes earlier. */
const CHANGES_LEAST = 4096;
const CHANGES_BYTES = 1024;
/** At a close it is worth it much earlier, since nothing waits. */
const CLOSING_SHARE = 64;
/** Whoever changes more than this behind a checkpoint that is due pays for its steps. */
const OVERDUE = 1.5;
const PIECE_BYTES = 256 * 1024;
const PIECES_MAX = 1 << 20;
/** Notes of one transaction of retention each, at most 4,096 rows. */
const NOTES_TOGETHER = 2;
/** After a failure nothing is tried for so long. */
const AGAIN_MS = 60_000;

/** After so many changes a checkpoint is due in a store that may have so many bytes. */
export function changesFor(sizeMaxBytes: number): number {
  return Math.max(CHANGES_LEAST, Math.min(CHANGES, Math.floor(sizeMaxBytes / CHANGES_BYTES)));
}

export interface CheckpointNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly checkpointed: Checkpointed | undefined;
  readonly changes: number;
  readonly pieceBytes: number | undefined;
  readonly tally: CheckpointTally;
}

interface Writing {
  readonly state: StateWriter;
  readonly commits: number;
  readonly nextRow: number;
  readonly nextSeq: number;
  readonly generation: number;
  readonly changes: number;
  readonly pieceBytes: number;
  /** What is to be written when all parts are. */
  whole: Uint8Array | null;
  pieces: number;
  names: NameRun | null;
  /** It is the one that is read. */
  holds: boolean;
}

/*
 * States: idle -> (due) -> writing parts that have changed -> writing pieces that say which parts there are -> writing segments
 * that have changed -> (it holds) -> deleting old notes and parts -> idle.
 * A step that fails, or a process that dies, leaves the checkpoint before, and parts and pieces that nobody refers to, or old
 * notes, which are known by their transaction.
 */
export class Checkpointer {
  readonly #needs: CheckpointNeeds;
  readonly #memory: Memory;
  readonly #disk: Disk;
  readonly #changes: number;
  #writing: Writing | null = null;
  /** Of the state when it was last taken: about as many are needed again. */
  #lastBytes = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(needs: CheckpointNeeds, memory: Memory, disk: Disk) {
    this.#needs = needs;
    this.#memory = memory;
    this.#disk = disk;
    this.#changes = needs.changes;
  }

  /** There is a step to do. Then nothing may be forgotten. */
  get due(): boolean {
    return this.#writing !== null || this.#isDue(1);
  }

  get overdue(): boolean {
    return this.#memory.changesSince >= this.#changes * OVERDUE && this.due;
  }

  #isDue(share: number): boolean {
    const { checkpointed, clock } = this.#needs;
    if (checkpointed === undefined || clock.monotonicMs() < this.#notBeforeMs) return false;
    if (checkpointed.ready?.() === false) return false;
    const { changesSince } = this.#memory;
    return changesSince > 0 && changesSince >= this.#changes / share;
  }

  /** One step of a few milliseconds; the first takes the state. */
  step(): Trouble | null {
    if (this.#writing === null) {
      this.#writing = this.#begin();
      return null;
    }
    const writing = this.#writing;
    const held = writing.holds;
    const body = (work: Work): boolean => writeStep(work, writing);
    // What is not read any more is deleted by the next one if it is still there.
    const step = held ? this.#disk.tidy(body) : this.#disk.transact(body);
    if (step.kind === "failed") {
      if (!writing.holds) this.#needs.tally.add("not_written", "disk");
      this.#giveUp();
      return step.trouble;
    }
    if (!held && writing.holds) this.#needs.tally.add("written");
    if (step.value) this.#writing = null;
    return null;
  }

  /** At a clean stop: all steps at once, if there is enough to be told. */
  close(): void {
    if (this.#writing === null && !this.#isDue(CLOSING_SHARE)) return;
    // What came since the one that is being written is to be in it, unless that is not what the rows say.
    if (this.#needs.checkpointed?.ready?.() !== false) this.#abandon();
    for (let trouble = this.step(); trouble === null && this.#writing !== null;) trouble = this.step();
  }

  #abandon(): void {
    if (this.#writing?.holds === false) this.#writing.state.abandon();
    this.#writing = null;
  }

  #giveUp(): void {
    this.#abandon();
    this.#notBeforeMs = this.#needs.clock.monotonicMs() + AGAIN_MS;
  }

  /** null: not now. */
  #begin(): Writing | null {
    const { checkpointed, log } = this.#needs;
    const { commits, nextRow, nextSeq, checkpoint, changesSince: changes, places } = this.#memory;
    if (checkpointed === undefined || this.#disk.telling || this.#disk.shelf === null) return null;
    const state = new StateWriter(places, this.#lastBytes);
    try {
      state.text(checkpointed.name);
      this.#memory.archive(state);
      checkpointed.archive(state);
    } catch (thrown) {
      log.warn({ error: messageOf(thrown) }, "ledger: no checkpoint could be taken; a start reads all rows");
      state.abandon();
      this.#needs.tally.add("not_written", "state");
      this.#giveUp();
      if (checkpoint !== null) this.#disk.transact(dropCheckpoint);
      return null;
    }
    this.#lastBytes = state.finish().length;
    const generation = checkpoint?.generation === 0 ? 1 : 0;
    const pieceBytes = this.#needs.pieceBytes ?? PIECE_BYTES;
    const nothing = { whole: null, pieces: 0, names: null, holds: false };
    return { state, commits, nextRow, nextSeq, generation, changes, pieceBytes, ...nothing };
  }
}

/** True: it was the last one. */
function writeStep(work: Work, writing: Writing): boolean {
  if (writing.holds) return forgetNotes(work, writing) && work.memory.places.trim(work.sql);
  const done =
    writing.state.writeParts(work.sql, writing.pieceBytes) ??
    writePiece(work, writing) ??
    storeSealed(work) ??
    storeNames(work, writing) ??
    hold(work, writing);
  work.after.push(done);
  return false;
}

/** Each gives what is to be done when it is on disk; null: there was nothing to write. */
type Written = (() => void) | null;

function writePiece({ sql }: Work, writing: Writing): Written {
  const { generation, pieces, pieceBytes } = writing;
  writing.whole ??= writing.state.whole();
  const at = pieces * pieceBytes;
  if (at >= writing.whole.length) return null;
  // In the place of a piece of the checkpoint before the last: to delete many at once takes long.
  sql.setPiece.run(generation * PIECES_MAX + pieces, writing.whole.subarray(at, at + pieceBytes));
  return () => writing.pieces++;
}

function storeSealed(work: Work): Written {
  for (const segment of work.memory.rows.sealed()) {
    if (!storeSegment(work.sql, segment)) continue;
    return () => Object.assign(segment.stored, { filter: true, live: true });
  }
  return null;
}

function storeNames(work: Work, writing: Writing): Written {
  const { rows } = work.memory;
  // One that was sealed in the meantime has its names on disk.
  if (writing.names?.segment.sealed === true) writing.names = null;
  for (const segment of writing.names === null ? rows.resident() : []) {
    writing.names ??= NameRun.of(segment, Math.min(rows.segmentRows, writing.nextRow - segment.base));
  }
  if (writing.names === null) return null;
  const stored = writing.names.step(work.sql);
  return () => {
    if (stored === null) return;
    stored();
    writing.names = null;
  };
}

function hold({ sql, memory }: Work, writing: Writing): () => void {
  const { commits, nextRow, nextSeq, generation, pieces, state } = writing;
  const first = generation * PIECES_MAX;
  sql.setCheckpoint.run(
    commits,
    nextRow,
    nextSeq,
    generation,
    pieces,
    crc32(writing.whole ?? new Uint8Array()),
  );
  sql.dropPieces.run(first + pieces, first + PIECES_MAX - 1);
  return () => {
    memory.checkpoint = { commits, nextRow, nextSeq, generation };
    memory.changesSince -= writing.changes;
    memory.places.use(state.places);
    writing.holds = true;
    writing.whole = null;
  };
}

/** Deletes notes of rows that it does not count any more; true: there was none left. */
function forgetNotes({ sql }: Work, { commits }: Writing): boolean {
  for (let notes = 0; notes < NOTES_TOGETHER; notes++) {
    const cells = one(sql.forgottenUpTo.get(commits));
    if (cells === null) return true;
    sql.dropForgottenAt.run(num(cells[0]));
  }
  return false;
}

/** Without one, nothing need be noted of what is forgotten: notes would only add up. */
function dropCheckpoint(work: Work): void {
  work.sql.dropCheckpoint.run();
  work.sql.dropForgotten.run();
  work.after.push(() => {
    work.memory.checkpoint = null;
  });
}

const NONE: Refusal = { reason: "none", message: "there is none" };
const DAMAGED: Refusal = { reason: "damaged", message: "it is damaged" };
const ANOTHER: Refusal = {
  reason: "another",
  message: "it was written by another version, or by other rules",
};

/** Fills counts and listeners from the checkpoint; else says why not, and they are as they were. */
export function readCheckpoint(
  { sql, memory }: Shelf,
  checkpointed: Checkpointed | undefined,
): Refusal | null {
  const cells = one(sql.checkpoint.get());
  if (cells === null) return NONE;
  const [commits, nextRow, nextSeq, generation, pieces, crc] = cells.map((cell) => num(cell));
  if (nextRow === undefined || nextSeq === undefined || generation === undefined) return DAMAGED;
  // Also when it is not read here: another start may read it, and must know what was forgotten.
  memory.checkpoint = { commits: commits ?? 0, nextRow, nextSeq, generation };
  if (checkpointed === undefined) return { reason: "none", message: "it is not asked for" };
  if (!((commits ?? 0) <= memory.commits))
    return { reason: "younger", message: "it is younger than the store" };
  const bytes = readPieces(sql, generation, pieces ?? 0);
  if (bytes === null || crc32(bytes) !== crc) return DAMAGED;
  try {
    const reader = StateReader.of(sql, bytes);
    if (reader.text() !== checkpointed.name) return ANOTHER;
    memory.archive(reader);
    checkpointed.archive(reader);
    reader.end();
    return null;
  } catch (thrown) {
    memory.clearCounts();
    checkpointed.clear();
    const isKnown = thrown instanceof ArchiveError;
    const message = isKnown ? thrown.message : `it could not be read (${messageOf(thrown)})`;
    return { reason: "unreadable", message };
  }
}

function readPieces(sql: Shelf["sql"], generation: number, pieces: number): Uint8Array | null {
  const found: Uint8Array[] = [];
  for (let i = 0; i < pieces; i++) {
    const bytes = one(sql.piece.get(generation * PIECES_MAX + i))?.[0];
    if (!(bytes instanceof Uint8Array)) return null;
    found.push(bytes);
  }
  return Buffer.concat(found);
}
