// One HTTP/2 connection to the upstream, shared by many calls.
//
//   opening ──SETTINGS in──▶ open ──GOAWAY──▶ leaving ──last stream over──▶ dead
//   Every state goes to `dead` on an error, an end, or `destroy`.

import { connect, type ClientHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import { endWithSocket } from "./lasting.ts";

/** However many a model allows. */
const STREAMS_MAX = 1000;
/** In all: ids of streams end at 2^31 - 1, and are odd (RFC 9113 §5.1.1). Beyond it every call would fail. */
const BEGUN_MAX = 2 ** 30 - 1000;
/** Of all streams together: what they hold is bounded one by one. */
const CONNECTION_WINDOW = 4 * 1024 * 1024;

const SESSION_OPTIONS = Object.freeze({
  maxHeaderListPairs: 2000,
  /** MiB: all streams with what may wait of their requests. Beyond it node:http2 resets streams when their answers begin. */
  maxSessionMemory: 128,
  /** Equal names pass as they are, also where one would do. */
  strictSingleValueFields: false,
  /** A field whose value has spaces around it would be left out, and nobody told: `bareLines`. */
  strictFieldWhitespaceValidation: false,
});

export interface ChannelOwner {
  /** The connection stands and speaks HTTP/2: calls may begin. */
  onOpen(channel: Channel): void;
  /** A stream has ended, or the model allows more of them. */
  onRoom(channel: Channel): void;
  /** Called once. `error`: what ended it, or null when it just closed. */
  onDead(channel: Channel, error: Error | null): void;
}

export interface ChannelTo {
  readonly authority: string;
  readonly openSocket: () => Socket;
  /** What an answer may run ahead of its reader: the most that a stalled client makes this connection hold of one stream. */
  readonly streamWindow: number;
  /** Streams that it carries in all before another connection takes over. Default: nearly as many as there are ids. */
  readonly begunMax?: number;
}

export class Channel {
  readonly session: ClientHttp2Session;
  readonly #owner: ChannelOwner;
  open = false;
  dead = false;
  /** It takes no new calls. */
  leaving = false;
  /** Streams above this were not processed (RFC 9113 §6.8); null: no GOAWAY has come. */
  lastStreamId: number | null = null;
  streams = 0;
  dialledMs = 0;
  idleSinceMs = 0;
  #limit = STREAMS_MAX;
  #begun = 0;
  readonly #begunMax: number;
  #error: Error | null = null;

  constructor(owner: ChannelOwner, to: ChannelTo) {
    this.#owner = owner;
    this.#begunMax = to.begunMax ?? BEGUN_MAX;
    const sockets: Socket[] = [];
    const session = connect(to.authority, {
      ...SESSION_OPTIONS,
      settings: { enablePush: false, initialWindowSize: to.streamWindow },
      createConnection: () => {
        const socket = to.openSocket();
        sockets.push(socket);
        return socket;
      },
    });
    sockets.forEach(endWithSocket);
    this.session = session;
    // They are the first that an HTTP/2 server sends: until then it may be something else, and its limit is not known.
    session.on("remoteSettings", ({ maxConcurrentStreams }) => {
      this.#limit = Math.min(maxConcurrentStreams ?? STREAMS_MAX, STREAMS_MAX);
      if (this.open) owner.onRoom(this);
      else this.#onOpen();
    });
    session.on("goaway", (_code, lastStreamId) => {
      this.leaving = true;
      this.lastStreamId = Math.min(lastStreamId, this.lastStreamId ?? lastStreamId);
    });
    session.on("error", (error: Error) => {
      this.#error ??= error;
    });
    session.once("close", () => this.#onDead());
  }

  get hasRoom(): boolean {
    const { closed, destroyed } = this.session;
    return this.open && !this.leaving && !closed && !destroyed && this.streams < this.#limit;
  }

  /** It allows no stream at all for now: others to the same model would not, either. */
  get allowsNone(): boolean {
    return this.open && !this.leaving && this.#limit === 0 && this.streams === 0;
  }

  #onOpen(): void {
    if (this.dead) return;
    this.session.setLocalWindowSize(CONNECTION_WINDOW);
    this.open = true;
    this.#owner.onOpen(this);
  }

  #onDead(): void {
    if (this.dead) return;
    this.dead = true;
    this.#owner.onDead(this, this.#error);
  }

  streamBegun(): void {
    this.streams++;
    if (++this.#begun >= this.#begunMax) this.leaving = true;
  }

  /** A stream of this connection is over. */
  streamOver(nowMs: number): void {
    this.streams--;
    this.idleSinceMs = nowMs;
    if (this.streams === 0 && this.#begun >= this.#begunMax) this.session.close();
    this.#owner.onRoom(this);
  }

  /** Takes no more calls; closes when those it has are over. */
  retire(): void {
    this.leaving = true;
    this.session.close();
  }

  destroy(): void {
    this.leaving = true;
    this.session.destroy();
  }
}
