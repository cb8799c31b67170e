// The request's half of a client's stream: its body, gathered while it may still come whole within a turn, then kept whole or sent on as
// it comes; how long it takes; and a client that waits for a 100 before it.
//
//   gathered ──whole──▶ asked with it        gathered ──turn over, long, or with trailers──▶ asked "streamed", small frames together

import type { ServerHttp2Stream } from "node:http2";
import type { RawHeaders } from "../../facts/exchange.ts";
import type { ConnectionLimits } from "../connection-limits.ts";
import { CollectedBody } from "../collected.ts";
import type { Draft } from "../draft.ts";
import { ownBytes } from "../own-bytes.ts";
import { Expectation } from "../expectation.ts";
import { plainLines } from "../response-head.ts";
import type { Road } from "../road.ts";
import type { UpstreamCall } from "../upstream.ts";
import { bareLines } from "./fields.ts";
import { endOnceReset, StreamReading } from "./reading.ts";
import { StreamTimes, type LateStream } from "./times.ts";
import type { Upload, Uploads } from "./uploads.ts";

const NO_LINES: RawHeaders = Object.freeze([]);

/** Of each of a connection's streams. */
const COLLECT_BYTES_MAX = 64 * 1024;
/** A frame with less of a body waits for the others of its turn: written one by one, thousands of one read would take a second. */
const SMALL_BYTES = 1024;

/** The exchange that it is of. */
export interface BodyOwner {
  readonly over: boolean;
  /** To the model, while there is one. */
  readonly asked: UpstreamCall | null;
  /** The head goes to the model: with all of the body, or with what `asked` is given from now on. */
  ask(body: Buffer | "streamed"): void;
  failed(thrown: unknown): void;
}

export interface BodyNeeds {
  readonly road: Road;
  readonly draft: Draft;
  readonly uploads: Uploads;
}

export class RequestBody implements Upload {
  readonly #stream: ServerHttp2Stream;
  readonly #owner: BodyOwner;
  readonly #needs: BodyNeeds;
  readonly reading: StreamReading;
  readonly #collected = new CollectedBody(COLLECT_BYTES_MAX);
  readonly #times: StreamTimes;
  #expectation: Expectation | null = null;
  #trailers: RawHeaders = NO_LINES;
  #ended = false;
  /** The model has been asked, or never will be. */
  #begun = false;
  /** Of a whole body, until its stream is over. */
  #keptBytes = 0;

  constructor(stream: ServerHttp2Stream, owner: BodyOwner, needs: BodyNeeds) {
    this.#stream = stream;
    this.#owner = owner;
    this.#needs = needs;
    this.reading = new StreamReading(stream);
    this.#times = new StreamTimes(needs.road.clock.monotonicMs());
  }

  listen(): void {
    const stream = this.#stream;
    stream.on("trailers", (_fields, _flags, raw: RawHeaders) => {
      this.#trailers = plainLines(bareLines(raw)).flat();
    });
    stream.on("data", (chunk: Buffer) => {
      this.#onData(chunk);
      this.reading.taken();
    });
    stream.on("end", () => this.#onEnd());
    endOnceReset(stream);
  }

  /** None follows. */
  isNone(): void {
    this.#ended = true;
    this.#begun = true;
    this.#needs.draft.requestWasHead();
  }

  /** `sayContinue`: of a client that waits until it is told to go on. */
  begin(sayContinue: (() => void) | null): void {
    const { road, uploads } = this.#needs;
    if (sayContinue !== null) this.#expectation = new Expectation(road.clock, sayContinue);
    uploads.add(this);
    road.afterTurn.streamUnlessWhole(this);
  }

  /** It has come to its end. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The client waits to be told to go on. */
  get expects(): boolean {
    return this.#expectation?.open === true;
  }

  awaitContinue(): void {
    this.#expectation?.wait();
  }

  meetExpectation(): void {
    this.#expectation?.meet();
  }

  endExpectation(): void {
    this.#expectation?.close();
  }

  get heldBytes(): number {
    return this.#collected.bytes + (this.#owner.asked?.unsentBytes ?? 0) + this.#stream.readableLength;
  }

  released(): void {
    this.#times.moved(this.#needs.road.clock.monotonicMs());
  }

  #onData(chunk: Buffer): void {
    try {
      if (this.#owner.over) return;
      const { draft, road, uploads } = this.#needs;
      draft.requestBytes(chunk);
      this.endExpectation();
      this.#times.bodyCame(chunk.length, road.clock.monotonicMs());
      const gathering = !this.#begun || this.#collected.bytes > 0;
      if (!gathering && chunk.length >= SMALL_BYTES) this.#pass(chunk);
      else if (this.#collected.add(chunk)) this.stream();
      else if (!gathering) road.afterTurn.streamUnlessWhole(this);
      uploads.came(chunk.length);
    } catch (thrown) {
      this.#owner.failed(thrown);
    }
  }

  #onEnd(): void {
    try {
      // A reset ends the reading too.
      const reset = this.#stream.aborted || !this.reading.whole;
      if (this.#owner.over || this.#ended || reset) return;
      this.#ended = true;
      this.#needs.draft.requestEnded();
      this.endExpectation();
      // Trailers need a streamed body, and what is not kept cannot be sent twice.
      const { bytes } = this.#collected;
      const plain = !this.#begun && this.#trailers.length === 0;
      if (plain && this.#needs.uploads.keep(bytes)) this.#keptBytes = bytes;
      else this.stream();
      if (this.#begun) this.#owner.asked?.end(this.#trailers);
      else this.#ask(ownBytes(this.#collected.whole()));
    } catch (thrown) {
      this.#owner.failed(thrown);
    }
  }

  /** The turn is over and the body is not whole: it is forwarded as it comes, small frames of one turn together. */
  stream(): void {
    if (this.#owner.over) return;
    try {
      const gathered = this.#collected.whole();
      this.drop();
      if (!this.#begun) this.#ask("streamed");
      if (gathered.length > 0) this.#pass(gathered);
    } catch (thrown) {
      this.#owner.failed(thrown);
    }
  }

  #ask(body: Buffer | "streamed"): void {
    this.#begun = true;
    this.drop();
    this.#owner.ask(body);
  }

  #pass(chunk: Buffer): void {
    if (this.#owner.asked?.write(chunk) === false) this.reading.stop();
  }

  /** What was gathered is not needed any more. */
  drop(): void {
    this.#collected.take();
  }

  /** The model takes more of it. */
  goOn(): void {
    this.#times.taken(this.#needs.road.clock.monotonicMs());
    this.reading.goOn();
    this.#needs.uploads.went();
  }

  /** What has run out of time by `limits`. `underway`: the answer is not out yet. */
  late(nowMs: number, underway: boolean, limits: ConnectionLimits): LateStream | null {
    const stream = this.#stream;
    const awaitsBody = !this.#ended && !this.reading.stopped && this.#needs.uploads.free;
    const now = {
      nowMs,
      unsentBytes: stream.writableLength,
      waitingBytes: this.#owner.asked?.unsentBytes ?? 0,
      awaitsBody: underway && awaitsBody && !stream.headersSent,
      underway,
    };
    return this.#times.late(now, limits);
  }

  /** Its stream is over. */
  closed(): void {
    const { uploads } = this.#needs;
    uploads.remove(this);
    uploads.release(this.#keptBytes);
    this.#keptBytes = 0;
  }
}
