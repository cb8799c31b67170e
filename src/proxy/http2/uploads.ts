// Request bodies of one client connection that the model does not take: all of them together hold at most about half a MiB.
//
//   free ──two streams stand still──▶ tight (streams get small windows) ──too much held──▶ closed (the connection gets none)
//     ◀──────────all taken────────────┘                      ◀────────────taken─────────────┘

import type { ServerHttp2Session } from "node:http2";
import type { Clock, Timer } from "../../kernel/clock.ts";

const KIB = 1024;
/** What HTTP/2 itself begins with, for a stream and for a connection (RFC 9113 §6.9.2). */
const WINDOW = 65_535;
/** For each stream, once some stand still: those that go on still do, and none of them adds much when it stops too. */
const TIGHT_WINDOW = 2 * KIB;
const TIGHT_FROM = 160 * KIB;
const CLOSED_FROM = 448 * KIB;
const FREE_AGAIN_BELOW = 32 * KIB;
const OPEN_AGAIN_BELOW = 320 * KIB;
/** While it is not free it is looked at this often: what a model takes is not told. */
const LOOK_MS = 20;
const TIGHT_MS_MIN = 2000;
/** Of whole bodies kept until they are answered, so that a refused request can be sent again. */
const KEPT_MAX = 256 * KIB;
/** node:http2 offers windows again as they are used, not as they are granted: only a larger one than before is told to the client at once. */
const GROWTH = 8;

export interface Upload {
  /** Bytes of the request's body that are held and not taken by the model. */
  readonly heldBytes: number;
  /** What the client may still send of it unasked counts too. */
  readonly stopped: boolean;
  /** All may go on at their own pace. */
  released(): void;
}

export interface UploadsNeeds {
  readonly clock: Clock;
  readonly session: ServerHttp2Session;
  readonly onClosed: () => void;
}

export class Uploads {
  readonly #needs: UploadsNeeds;
  readonly #all = new Set<Upload>();
  #state: "free" | "tight" | "closed" = "free";
  /** Came since `#held` was last counted. */
  #came = 0;
  #held = 0;
  #kept = 0;
  #window = WINDOW;
  /** What the client knows that a stream may send. */
  #streamWindow = WINDOW;
  #tightSinceMs = 0;
  #looking: Timer | null = null;

  constructor(needs: UploadsNeeds) {
    this.#needs = needs;
  }

  /** False: a body that stands still may do so because of us. */
  get free(): boolean {
    return this.#state === "free";
  }

  add(one: Upload): void {
    this.#all.add(one);
  }

  remove(one: Upload): void {
    this.#all.delete(one);
  }

  /** True: a whole body of `bytes` may be kept until it is answered; `release` it then. */
  keep(bytes: number): boolean {
    if (this.#kept + bytes > KEPT_MAX) return false;
    this.#kept += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#kept -= bytes;
  }

  /** Bytes of a body came. What is held is counted only when it may have become much. */
  came(bytes: number): void {
    this.#came += bytes;
    if (this.#state !== "closed" && this.#held + this.#came > TIGHT_FROM) this.#look();
  }

  #count(): number {
    let held = 0;
    for (const one of this.#all) {
      held += one.heldBytes;
      if (one.stopped) held += this.#streamWindow;
    }
    this.#held = held;
    this.#came = 0;
    return held;
  }

  #look(): void {
    if (this.#needs.session.destroyed) return;
    const held = this.#count();
    const nowMs = this.#needs.clock.monotonicMs();
    if (this.#state === "free" && held > TIGHT_FROM) {
      this.#state = "tight";
      this.#tightSinceMs = nowMs;
      this.#setStreamWindow(TIGHT_WINDOW);
      this.#looking ??= this.#needs.clock.every(LOOK_MS, () => this.#look());
    }
    if (this.#state === "tight" && held > CLOSED_FROM) this.#close();
    else if (this.#state === "closed" && held < OPEN_AGAIN_BELOW) this.#open();
    else if (
      this.#state === "tight" &&
      held < FREE_AGAIN_BELOW &&
      nowMs - this.#tightSinceMs > TIGHT_MS_MIN
    ) {
      this.#state = "free";
      this.#setStreamWindow(WINDOW);
      for (const one of this.#all) one.released();
      this.stop();
    }
  }

  #setStreamWindow(bytes: number): void {
    const { session } = this.#needs;
    if (session.destroyed || session.closed) return;
    // A larger one counts from now, a smaller one once the client has heard of it.
    this.#streamWindow = Math.max(this.#streamWindow, bytes);
    session.settings({ initialWindowSize: bytes }, (error) => {
      if (error === null) this.#streamWindow = bytes;
    });
  }

  #close(): void {
    const { session, onClosed } = this.#needs;
    if (session.destroyed) return;
    this.#state = "closed";
    session.setLocalWindowSize(0);
    onClosed();
  }

  #open(): void {
    const { session } = this.#needs;
    if (session.destroyed) return;
    this.#state = "tight";
    this.#window += GROWTH;
    session.setLocalWindowSize(this.#window);
    // Nothing else would send it.
    session.ping(() => {});
  }

  stop(): void {
    this.#looking?.cancel();
    this.#looking = null;
  }
}
