// The observer's end of the socket pair: frames in, acknowledgements, answers and state out.

import type { Socket } from "node:net";
import { decodeExchange } from "../facts/exchange-wire.ts";
import type { Exchange } from "../facts/exchange.ts";
import { parseStats } from "../facts/parse-stats.ts";
import { FRAME, type ObserverState, type TrafficStats } from "../facts/road.ts";
import { ByteReader, ByteWriter, frame, FrameReader } from "../kernel/wire.ts";
import { parseOpening, parseQuestion, parseStop, type ParsedOpening } from "./parse-road.ts";

export interface Rendered {
  readonly contentType: string;
  readonly contentEncoding: string;
  readonly body: Uint8Array;
}

export interface RoadHandlers {
  opening(opening: ParsedOpening): void;
  facts(batch: number, exchanges: readonly Exchange[]): void;
  stats(stats: TrafficStats): void;
  /** Must not reject. */
  metrics(accept: string, acceptEncoding: string): Promise<Rendered>;
  stop(deadlineMs: number): void;
}

export interface Road {
  ready(lastBatch: number | null): void;
  acknowledge(batch: number, notStored: number): void;
  state(state: ObserverState): void;
  /** Resolves when everything written has left. */
  close(): Promise<void>;
}

class SocketRoad implements Road {
  readonly #socket: Socket;
  readonly #handlers: RoadHandlers;

  constructor(socket: Socket, handlers: RoadHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    const frames = new FrameReader((kind, payload) => this.#onFrame(kind, payload));
    socket.on("data", (chunk: Buffer) => frames.push(chunk));
    // The traffic process is gone: what it sent has been taken, so end as if it had asked.
    socket.on("end", () => handlers.stop(5000));
    socket.on("error", () => handlers.stop(5000));
  }

  #onFrame(kind: number, payload: Buffer): void {
    if (kind === FRAME.facts) this.#onFacts(new ByteReader(payload));
    else if (kind === FRAME.question) this.#onQuestion(payload);
    else if (kind === FRAME.stats) this.#handlers.stats(parseStats(JSON.parse(payload.toString())));
    else if (kind === FRAME.opening) this.#handlers.opening(parseOpening(JSON.parse(payload.toString())));
    else if (kind === FRAME.stop) this.#handlers.stop(parseStop(JSON.parse(payload.toString())));
  }

  #onFacts(from: ByteReader): void {
    const batch = from.u32();
    const count = from.u32();
    const exchanges: Exchange[] = [];
    let before: Exchange | null = null;
    for (let i = 0; i < count; i++) {
      before = decodeExchange(from, before);
      exchanges.push(before);
    }
    this.#handlers.facts(batch, exchanges);
  }

  #onQuestion(payload: Buffer): void {
    const question = parseQuestion(JSON.parse(payload.toString()));
    this.#handlers.stats(question.stats);
    void this.#handlers
      .metrics(question.accept, question.acceptEncoding)
      .then((rendered) => this.#answer(question.id, rendered));
  }

  #answer(id: number, rendered: Rendered): void {
    const out = new ByteWriter(rendered.body.length + 256);
    out.u32(id);
    out.u32(200);
    out.text(rendered.contentType);
    out.text(rendered.contentEncoding);
    out.bytes(rendered.body);
    this.#write(FRAME.answer, out.take());
  }

  #write(kind: number, payload: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(frame(kind, payload));
  }

  ready(lastBatch: number | null): void {
    this.#write(FRAME.ready, Buffer.from(JSON.stringify({ lastBatch })));
  }

  acknowledge(batch: number, notStored: number): void {
    const payload = Buffer.allocUnsafe(8);
    payload.writeUInt32LE(batch, 0);
    payload.writeUInt32LE(notStored, 4);
    this.#write(FRAME.ack, payload);
  }

  state(state: ObserverState): void {
    this.#write(FRAME.state, Buffer.from(JSON.stringify(state)));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#socket.writable) resolve();
      else this.#socket.end(() => resolve());
    });
  }
}

export function createRoad(socket: Socket, handlers: RoadHandlers): Road {
  return new SocketRoad(socket, handlers);
}
