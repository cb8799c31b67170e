// How clients' connections are read: into one buffer for all of them, so that a short request costs no memory of its own. A connection
// that uploads much gets a block instead, from which it goes on without a copy, and another one as often as somebody keeps that.
//
// Node gives an accepted socket no such buffer, only one that it opens itself. So the accepted socket is left as a shell, which its
// server still counts, and another takes over its handle (decision 0038). Where that cannot be (TLS, or a Node that has changed) the
// accepted socket is read by its `data` events, with the same result.

import { Socket, type SocketConstructorOpts } from "node:net";
import type { ReadingClock } from "../kernel/clock.ts";
import { READ_BYTES } from "./read-blocks.ts";

/** A read of so much goes on in the memory it was read into, a shorter one is copied out of it. */
const LONG_BYTES = READ_BYTES / 2;
/** Kept for the next upload; what comes back beyond it is left to the collector. */
const FREE_BLOCKS_MAX = 32;

/**
 * The first `length` of `bytes` were read. `lent`: they are valid until it returns; others too, unless it gives true: somebody still
 * reads them.
 */
export type OnRead = (bytes: Buffer, length: number, lent: boolean) => boolean;

export interface ClientReading {
  /** Stands for the connection. Whoever knew the accepted socket still ends it, and hears of its end, by that one. */
  readonly socket: Socket;
  /** What is read from now on is told by the socket's `data` events, to whoever listens. */
  handOver(): void;
}

export class ClientReads {
  readonly #clock: ReadingClock;
  /** A read into it is worked off before the next one begins, on whatever connection. */
  readonly #shared = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #free: Buffer[] = [];

  constructor(clock: ReadingClock) {
    this.#clock = clock;
  }

  read(accepted: Socket, onRead: OnRead): ClientReading {
    const handle = handleOf(accepted);
    return (handle === null ? null : this.#takeOver(accepted, handle, onRead)) ?? byEvents(accepted, onRead);
  }

  /** Null: it cannot be taken over, and is as it was. */
  #takeOver(accepted: Socket, handle: object, onRead: OnRead): ClientReading | null {
    const clock = this.#clock;
    const shared = this.#shared;
    let into: Buffer = shared;
    let last = 0;
    let kept = false;
    let tell = onRead;
    const callback = (length: number): boolean => {
      last = length;
      const lent = into === shared || length < LONG_BYTES;
      clock.hold();
      try {
        kept = tell(into, length, lent) && !lent;
      } finally {
        clock.release();
      }
      return true;
    };
    // Asked for once at first, and after each read.
    const buffer = (): Buffer => {
      into = this.#next(into, { long: last >= LONG_BYTES, kept });
      return into;
    };
    const options: SocketConstructorOpts = {
      allowHalfOpen: accepted.allowHalfOpen,
      onread: { buffer, callback },
    };
    Reflect.set(options, "handle", handle);
    Reflect.set(accepted, HANDLE, null);
    const socket = new Socket(options);
    if (Reflect.get(socket, HANDLE) !== handle) {
      Reflect.set(accepted, HANDLE, handle);
      return null;
    }
    socket.once("close", () => accepted.destroy());
    accepted.once("close", () => socket.destroy());
    const handOver = (): void => {
      tell = (bytes, length, lent) => {
        const read = bytes.subarray(0, length);
        socket.emit("data", lent ? Buffer.from(read) : read);
        return true;
      };
    };
    return { socket, handOver };
  }

  /** Where a connection reads next that has read into `into`. */
  #next(into: Buffer, last: { readonly long: boolean; readonly kept: boolean }): Buffer {
    const block = into === this.#shared || last.kept ? null : into;
    if (last.long) return block ?? this.#free.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
    if (block !== null && this.#free.length < FREE_BLOCKS_MAX) this.#free.push(block);
    return this.#shared;
  }
}

function byEvents(socket: Socket, onRead: OnRead): ClientReading {
  const onData = (bytes: Buffer): void => void onRead(bytes, bytes.length, false);
  socket.on("data", onData);
  return { socket, handOver: () => socket.off("data", onData) };
}

const HANDLE = "_handle";

/** What the system's connection is to Node; null: nothing that can be handed over. */
function handleOf(socket: Socket): object | null {
  const handle: unknown = Reflect.get(socket, HANDLE);
  const known = typeof handle === "object" && handle !== null && "useUserBuffer" in handle;
  return known && !("encrypted" in socket) ? handle : null;
}
