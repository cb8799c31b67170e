// Facts on their way to the observer: encoded at once into the batch that is being filled, kept until acknowledged, bounded in bytes.

import { headerFilter } from "../facts/header-filter.ts";
import { encodeExchange, heldOf, type KeepsHeader } from "../facts/exchange-wire.ts";
import type { EndedFact } from "../facts/exchange.ts";
import { FRAME } from "../facts/road.ts";
import { ByteWriter, frame, FRAME_HEAD_BYTES } from "../kernel/wire.ts";
import { drop, type LossBook } from "./loss.ts";

export const BATCH_FACTS_MAX = 256;
export const BATCH_BYTES_MAX = 512 * 1024;
/** Above half of this the copies of bodies stay behind; above all of it whole facts do. */
export const QUEUE_BYTES_MAX = 32 * 1024 * 1024;
/** A batch that two observers did not survive may be what killed them: it is dropped, not sent a third time. */
const SENDS_MAX = 2;
/** Fixed parts of an encoded exchange, for the estimate that decides before encoding. */
const FACT_BYTES_ESTIMATE = 1024;

export interface Batch {
  readonly number: number;
  readonly facts: number;
  readonly bytes: Buffer;
  /** Its memory is our writer's, and no one else's. */
  readonly ours: boolean;
  sends: number;
}

/**
 * States of a batch: filling -> waiting (sealed, not sent) -> sent -> gone (acknowledged, or dropped).
 * `requeueSent` moves sent ones back to waiting after an observer died.
 */
export class Batches {
  readonly #loss: LossBook;
  readonly #keeps: KeepsHeader;
  readonly #queueBytesMax: number;
  readonly #writer = new ByteWriter(256 * 1024);
  readonly #waiting: Batch[] = [];
  readonly #sent: Batch[] = [];
  #filling = 0;
  /** Of the batch that is being filled, the last. */
  #before: EndedFact | null = null;
  #sealedBytes = 0;
  #sealedFacts = 0;
  #next = 1;
  /** Our share of what waits behind us, in the process that takes our batches: it counts as if it waited here. */
  heldBehindBytes = 0;

  constructor(loss: LossBook, options: { extraHeaders: readonly string[]; queueBytesMax: number }) {
    this.#loss = loss;
    const filter = headerFilter(options.extraHeaders);
    this.#keeps = (name) => filter.keeps(name);
    this.#queueBytesMax = options.queueBytesMax;
  }

  get queuedFacts(): number {
    return this.#sealedFacts + this.#filling;
  }

  get queuedBytes(): number {
    return this.#sealedBytes + this.#writer.length;
  }

  get full(): boolean {
    return this.#filling >= BATCH_FACTS_MAX || this.#writer.length >= BATCH_BYTES_MAX;
  }

  get hasUnacknowledged(): boolean {
    return this.#sent.length > 0;
  }

  /** Takes one fact, sheds its bodies, or drops it, by how full the queue is. Throws when it cannot be encoded: it is dropped then, alone. */
  add(exchange: EndedFact): void {
    this.#loss.seen += 1;
    const began = this.#writer.length;
    try {
      this.#add(exchange);
    } catch (thrown) {
      // What was written of it would be read as the beginning of the next one.
      this.#writer.rewind(began);
      this.#dropFact();
      throw thrown;
    }
  }

  #add(exchange: EndedFact): void {
    const bodies = heldOf(exchange.request) + heldOf(exchange.response);
    const queued = this.queuedBytes + this.heldBehindBytes;
    if (queued + FACT_BYTES_ESTIMATE > this.#queueBytesMax) {
      this.#dropFact();
      return;
    }
    const shed = bodies > 0 && queued + bodies > this.#queueBytesMax / 2;
    if (shed) drop(this.#loss, { queue: "observer", what: "body" }, 1);
    if (this.#filling === 0) this.#begin();
    encodeExchange(this.#writer, exchange, { shedBodies: shed, keeps: this.#keeps, before: this.#before });
    this.#before = exchange;
    this.#filling += 1;
  }

  #dropFact(): void {
    drop(this.#loss, { queue: "observer", what: "fact" }, 1);
  }

  /** An exchange of which no fact could be made: seen, and lost. */
  miss(): void {
    this.#loss.seen += 1;
    this.#dropFact();
  }

  /** The frame's head and the batch's head; lengths are patched when it is sealed. */
  #begin(): void {
    this.#writer.u32(0);
    this.#writer.u8(FRAME.facts);
    this.#writer.u32(this.#next);
    this.#writer.u32(0);
  }

  /** Ends the batch being filled, if there is one. */
  seal(): void {
    if (this.#filling === 0) return;
    this.#writer.setU32(0, this.#writer.length - 4);
    this.#writer.setU32(9, this.#filling);
    this.#queue(this.#writer.take(), { facts: this.#filling, ours: true });
    this.#filling = 0;
    this.#before = null;
  }

  #queue(bytes: Buffer, { facts, ours }: { facts: number; ours: boolean }): void {
    this.#waiting.push({ number: this.#next, facts, bytes, ours, sends: 0 });
    this.#sealedBytes += bytes.length;
    this.#sealedFacts += facts;
    this.#next += 1;
  }

  /** Takes a batch that another process has filled, the payload of its frame, under a number of ours: all of it, or nothing. */
  adopt(payload: Buffer): void {
    const facts = payload.readUInt32LE(4);
    this.#loss.seen += facts;
    if (this.queuedBytes + payload.length > this.#queueBytesMax) {
      drop(this.#loss, { queue: "observer", what: "fact" }, facts);
      return;
    }
    this.seal();
    const bytes = frame(FRAME.facts, payload);
    bytes.writeUInt32LE(this.#next, FRAME_HEAD_BYTES);
    this.#queue(bytes, { facts, ours: false });
  }

  /** The next batch to put on the wire; it counts as sent from now on. */
  take(): Batch | null {
    const batch = this.#waiting.shift();
    if (batch === undefined) return null;
    batch.sends += 1;
    this.#sent.push(batch);
    return batch;
  }

  /** The observer has it: `notStored` of its facts were counted there but refused by the store. */
  acknowledge(number: number, notStored: number): void {
    const at = this.#sent.findIndex((batch) => batch.number === number);
    if (at < 0) return;
    const [batch] = this.#sent.splice(at, 1);
    if (batch === undefined) return;
    this.#release(batch);
    // It has been read to its end: its memory takes another one.
    if (batch.ours) this.#writer.recycle(batch.bytes);
    this.#loss.recorded += batch.facts - notStored;
    drop(this.#loss, { queue: "store", what: "fact" }, notStored);
  }

  /** After an observer died: what it had stored is done, the rest goes again, once; then it is lost. */
  requeueSent(lastStored: number | null): void {
    const again: Batch[] = [];
    for (const batch of this.#sent.splice(0)) {
      if (lastStored !== null && batch.number <= lastStored) {
        this.#release(batch);
        this.#loss.recorded += batch.facts;
      } else if (batch.sends >= SENDS_MAX) {
        this.#release(batch);
        drop(this.#loss, { queue: "observer", what: "fact" }, batch.facts);
      } else again.push(batch);
    }
    this.#waiting.unshift(...again);
  }

  /** At the very end: whatever is still here is lost, and said. */
  dropRest(): void {
    this.seal();
    for (const batch of [...this.#sent.splice(0), ...this.#waiting.splice(0)]) {
      this.#release(batch);
      drop(this.#loss, { queue: "observer", what: "fact" }, batch.facts);
    }
  }

  #release(batch: Batch): void {
    this.#sealedBytes -= batch.bytes.length;
    this.#sealedFacts -= batch.facts;
  }
}
