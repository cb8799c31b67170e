// Parts of a checkpoint that are kept by themselves: written again only when they have changed, and as they were when it was
// taken. What is to change before it is written is copied first; so to take a checkpoint is to note which parts there are.

import { crc32 } from "node:zlib";

import { type Archive, ArchiveError, ArchiveReader, ArchiveWriter } from "../kernel/archive.ts";
import type { Kept, Place } from "../kernel/archive.ts";
import { many, num, one } from "./sql.ts";
import type { Sql } from "./sql.ts";

/** The first place of a part; before it are the pieces that say which parts there are. */
const PARTS_FROM = 1 << 21;
/** Parts that are not used any more and are deleted in one step. */
const DROPPED_TOGETHER = 12;
const STATE_BYTES_MAX = 256 * 1024 * 1024;

type Pieces = Pick<Sql, "piece" | "setPiece" | "piecesFrom" | "dropPieces">;

/** Which places of the file hold parts, and which are free. */
export class Places {
  #next = PARTS_FROM;
  #free: number[] = [];

  /** Whatever a file has stays until a new checkpoint holds. */
  begin(sql: Pieces): void {
    this.#next = 1 + num(one(sql.piecesFrom.get(PARTS_FROM, 1))?.[0] ?? PARTS_FROM - 1);
    this.#free = [];
  }

  take(): number {
    return this.#free.pop() ?? this.#next++;
  }

  /** No others are used from now on. */
  use(places: readonly Place[]): void {
    const used = new Set(places.map(({ key }) => key));
    this.#next = 1 + places.reduce((last, { key }) => Math.max(last, key), PARTS_FROM - 1);
    this.#free = [];
    // Taken from the end: low places first, so that what is behind the last used one can go.
    for (let key = this.#next - 1; key >= PARTS_FROM; key--) if (!used.has(key)) this.#free.push(key);
  }

  /** Deletes some of what is behind the last place in use; true: there was nothing. */
  trim(sql: Pieces): boolean {
    const keys = many(sql.piecesFrom.all(this.#next, DROPPED_TOGETHER)).map(([key]) => num(key));
    if (keys.length > 0) sql.dropPieces.run(Math.min(...keys), Math.max(...keys));
    return keys.length === 0;
  }
}

/** A part that has changed since it was written last. */
interface Changed {
  readonly kept: Kept;
  readonly place: Place;
  readonly body: (io: Archive) => void;
  bytes: Uint8Array | null;
}

/** The state as it is now, without what its parts hold. */
export class StateWriter extends ArchiveWriter {
  readonly #places: Places;
  readonly #scratch = new ArchiveWriter(STATE_BYTES_MAX);
  /** Of all parts, in their order. */
  readonly places: Place[] = [];
  readonly #changed: Changed[] = [];
  #written = 0;

  constructor(places: Places, expected: number) {
    super(STATE_BYTES_MAX, expected);
    this.#places = places;
  }

  override part(kept: Kept, body: (io: Archive) => void): void {
    if (kept.place === null) {
      const changed = { kept, place: { key: this.#places.take(), crc: 0 }, body, bytes: null };
      kept.place = changed.place;
      kept.copy = () => this.#copy(changed);
      this.#changed.push(changed);
    }
    this.places.push(kept.place);
    this.number(kept.place.key);
  }

  #copy(changed: Changed): void {
    changed.kept.copy = null;
    this.#scratch.reset();
    changed.body(this.#scratch);
    changed.bytes = this.#scratch.finish().slice();
  }

  /** Writes parts until they are so many bytes; gives what is to be done when they are on disk, null when none were left. */
  writeParts(sql: Pieces, bytes: number): (() => void) | null {
    let at = this.#written;
    for (let sum = 0; at < this.#changed.length && sum < bytes; at++) {
      const changed = this.#changed[at];
      if (changed === undefined) break;
      if (changed.bytes === null) this.#copy(changed);
      const copied = changed.bytes ?? new Uint8Array();
      changed.place.crc = crc32(copied);
      sql.setPiece.run(changed.place.key, copied);
      sum += copied.length;
    }
    if (at === this.#written) return null;
    return () => {
      for (const changed of this.#changed.slice(this.#written, at)) changed.bytes = null;
      this.#written = at;
    };
  }

  /** All of it, when all parts are written. */
  whole(): Uint8Array {
    const state = this.finish();
    const writer = new ArchiveWriter(2 * STATE_BYTES_MAX, state.length + this.places.length * 16);
    writer.float64s(Float64Array.from(this.places, ({ key }) => key));
    writer.float64s(Float64Array.from(this.places, ({ crc }) => crc));
    writer.bytes(state);
    return writer.finish();
  }

  /** It will not be written to its end: what was not written is as changed as it was. */
  abandon(): void {
    for (const { kept, place } of this.#changed.slice(this.#written)) {
      if (kept.place !== place) continue;
      kept.place = null;
      kept.copy = null;
    }
  }
}

/** Reads what `whole` gave, and the parts. */
export class StateReader extends ArchiveReader {
  readonly #sql: Pieces;
  readonly #crcs: ReadonlyMap<number, number>;

  static of(sql: Pieces, whole: Uint8Array): StateReader {
    const reader = new ArchiveReader(whole);
    const keys = reader.float64s();
    const crcs = reader.float64s();
    const state = reader.bytes();
    reader.end();
    return new StateReader(sql, state, new Map([...keys].map((key, at) => [key, crcs[at] ?? -1])));
  }

  private constructor(sql: Pieces, state: Uint8Array, crcs: ReadonlyMap<number, number>) {
    super(state);
    this.#sql = sql;
    this.#crcs = crcs;
  }

  override part(kept: Kept, body: (io: Archive) => void): void {
    const key = this.number();
    const crc = this.#crcs.get(key);
    const bytes = one(this.#sql.piece.get(key))?.[0];
    if (crc === undefined || !(bytes instanceof Uint8Array) || crc32(bytes) !== crc)
      throw new ArchiveError("a part of it is damaged");
    const part = new ArchiveReader(bytes);
    body(part);
    part.end();
    kept.place = { key, crc };
  }
}
