// What all rows and labels up to a moment add up to, written beside them in small steps, so that a start reads only what came
// after. It is taken at once, between two transactions; until its last step the one before holds, and no row is forgotten.

import { crc32 } from "node:zlib";

import { ArchiveError, ArchiveReader, ArchiveWriter } from "../kernel/archive.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Disk } from "./disk.ts";
import type { Shelf } from "./lookup.ts";
import { num, one } from "./sql.ts";
import { storeNames, storeSegment } from "./stored-segments.ts";
import type { Trouble } from "./trouble.ts";
import type { Checkpointed } from "./types.ts";
import type { Memory, Work } from "./work.ts";

const CHANGES = 131_072;
/** At a close it is worth it much earlier, since nothing waits. */
const CLOSING_SHARE = 64;
/** Whoever changes more than this behind a checkpoint that is due pays for its steps. */
const OVERDUE = 1.5;
const PIECE_BYTES = 512 * 1024;
const PIECES_MAX = 1 << 20;
/** More is not written: a start then reads the rows. */
const BYTES_MAX = 256 * 1024 * 1024;
/** Notes of one transaction of retention each, at most 4,096 rows. */
const NOTES_TOGETHER = 2;
/** After a failure nothing is tried for so long. */
const AGAIN_MS = 60_000;

export interface CheckpointNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly checkpointed: Checkpointed | undefined;
  readonly changes: number | undefined;
}

interface Writing {
  readonly bytes: Uint8Array;
  readonly commits: number;
  readonly nextRow: number;
  readonly nextSeq: number;
  readonly generation: number;
  readonly changes: number;
  pieces: number;
  /** It is the one that is read. */
  holds: boolean;
}

/*
 * States: idle -> (due) -> writing pieces -> writing segments that have changed -> (it holds) -> deleting old notes -> idle.
 * A step that fails, or a process that dies, leaves the checkpoint before and pieces that nobody refers to, or old notes,
 * which are known by their transaction.
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
    this.#changes = needs.changes ?? CHANGES;
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
    const { changesSince } = this.#memory;
    return changesSince > 0 && changesSince >= this.#changes / share;
  }

  /** One step of a few milliseconds; the first takes the state, which takes as long as there is of it. */
  step(): Trouble | null {
    this.#writing ??= this.#begin();
    const writing = this.#writing;
    if (writing === null) return null;
    const step = this.#disk.transact((work) => writeStep(work, writing));
    if (step.kind === "failed") {
      this.#giveUp();
      return step.trouble;
    }
    if (step.value) this.#writing = null;
    return null;
  }

  /** At a clean stop: all steps at once, if there is enough to be told. */
  close(): void {
    if (this.#writing === null && !this.#isDue(CLOSING_SHARE)) return;
    // What came since the one that is being written is to be in it.
    this.#writing = null;
    for (let trouble = this.step(); trouble === null && this.#writing !== null;) trouble = this.step();
  }

  #giveUp(): void {
    this.#writing = null;
    this.#notBeforeMs = this.#needs.clock.monotonicMs() + AGAIN_MS;
  }

  /** null: not now. */
  #begin(): Writing | null {
    const { checkpointed, log } = this.#needs;
    const { commits, nextRow, nextSeq, checkpoint, changesSince: changes } = this.#memory;
    if (checkpointed === undefined || this.#disk.telling || this.#disk.shelf === null) return null;
    const writer = new ArchiveWriter(BYTES_MAX, this.#lastBytes);
    try {
      writer.text(checkpointed.name);
      this.#memory.archive(writer);
      checkpointed.archive(writer);
    } catch (thrown) {
      log.warn({ error: messageOf(thrown) }, "ledger: no checkpoint could be taken; a start reads all rows");
      this.#giveUp();
      if (checkpoint !== null) this.#disk.transact(dropCheckpoint);
      return null;
    }
    this.#lastBytes = writer.finish().length;
    const generation = checkpoint?.generation === 0 ? 1 : 0;
    return {
      bytes: writer.finish(),
      commits,
      nextRow,
      nextSeq,
      generation,
      changes,
      pieces: 0,
      holds: false,
    };
  }
}

/** True: it was the last one. */
function writeStep(work: Work, writing: Writing): boolean {
  if (writing.holds) return forgetNotes(work, writing);
  const { bytes, generation, pieces, commits, nextRow, nextSeq } = writing;
  const first = generation * PIECES_MAX;
  const at = pieces * PIECE_BYTES;
  if (at < bytes.length) {
    // In the place of a piece of the checkpoint before the last: to delete many at once takes long.
    work.sql.setPiece.run(first + pieces, bytes.subarray(at, at + PIECE_BYTES));
    work.after.push(() => writing.pieces++);
    return false;
  }
  for (const segment of work.memory.rows.sealed()) {
    if (!storeSegment(work.sql, segment)) continue;
    work.after.push(() => Object.assign(segment.stored, { filter: true, live: true }));
    return false;
  }
  for (const segment of work.memory.rows.resident()) {
    const end = Math.min(work.memory.rows.segmentRows, nextRow - segment.base);
    const stored = storeNames(work.sql, segment, end);
    if (stored === null) continue;
    work.after.push(stored);
    return false;
  }
  work.sql.setCheckpoint.run(commits, nextRow, nextSeq, generation, pieces, crc32(bytes));
  work.sql.dropPieces.run(first + pieces, first + PIECES_MAX - 1);
  work.after.push(() => {
    work.memory.checkpoint = { commits, nextRow, nextSeq, generation };
    work.memory.changesSince -= writing.changes;
    writing.holds = true;
  });
  return false;
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

/** Fills counts and listeners from the checkpoint; else says why not, and they are as they were. */
export function readCheckpoint(
  { sql, memory }: Shelf,
  checkpointed: Checkpointed | undefined,
): string | null {
  const cells = one(sql.checkpoint.get());
  if (cells === null) return "there is none";
  const [commits, nextRow, nextSeq, generation, pieces, crc] = cells.map((cell) => num(cell));
  if (nextRow === undefined || nextSeq === undefined || generation === undefined) return "it is damaged";
  // Also when it is not read here: another start may read it, and must know what was forgotten.
  memory.checkpoint = { commits: commits ?? 0, nextRow, nextSeq, generation };
  if (checkpointed === undefined) return "it is not asked for";
  if (!((commits ?? 0) <= memory.commits)) return "it is younger than the store";
  const bytes = readPieces(sql, generation, pieces ?? 0);
  if (bytes === null || crc32(bytes) !== crc) return "it is damaged";
  try {
    const reader = new ArchiveReader(bytes);
    if (reader.text() !== checkpointed.name) return "it was written by another version, or by other rules";
    memory.archive(reader);
    checkpointed.archive(reader);
    reader.end();
    return null;
  } catch (thrown) {
    memory.clearCounts();
    checkpointed.clear();
    if (thrown instanceof ArchiveError) return thrown.message;
    return `it could not be read (${messageOf(thrown)})`;
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
