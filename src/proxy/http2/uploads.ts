// Request bodies of one client connection that the model does not take: all of them together have a bound.
//
// Streams that stand still for a while: every stream gets a smaller window (windows.ts), so that those that go on still do.
// Too much held, whoever holds it: the connection gets no window (closed) until some of it has been taken, or until the client has
// acknowledged small windows: what all its streams may still send then has a place of its own.
//
//   held:  0 ......... 640 KiB │ 64 KiB: the connection's window, under way │ 192 KiB: small windows of all │ 128 KiB: kept ── 1 MiB
//                closed unless small                                                               closed, small or not

import type { ServerHttp2Session } from "node:http2";
import type { Clock, Timer } from "../../kernel/clock.ts";
import type { Ahead, Keeper } from "../upstream.ts";
import type { FrameShare } from "./frame-share.ts";
import type { StreamReading } from "./reading.ts";
import { WIDE, WINDOW, nextStep, type WindowStep } from "./windows.ts";

const KIB = 1024;
/** Of streams that stand still: two. */
const TIGHT_FROM = 160 * KIB;
const FREE_AGAIN_BELOW = 32 * KIB;
const TIGHT_MS_MIN = 2000;
/** Below the bound, by so much. */
const OPEN_AGAIN_BY = 32 * KIB;
/** Bytes that come between two looks, however little is held. */
const LOOK_AFTER = 96 * KIB;
const LOOK_MS = 20;
/** Looks without a stream that is stopped, until the next bytes come. */
const CALM_LOOKS = 50;
/** Looks between which nothing came and nothing went, until they are rarer. */
const QUIET_LOOKS = 50;
const QUIET_LOOK_MS = 500;
/** Of bodies kept until they are answered, so that a refused request can be sent again. */
const KEPT_MAX = 128 * KIB;
/** node:http2 offers windows again as they are used, not as they are granted: only a larger one than before is told to the client at once. */
const GROWTH = 8;
/** So often the window is twice its size: the client is told to go to a connection of its first size. */
const WAITS_MAX = Math.floor(WINDOW / GROWTH);

export interface Upload {
  /** Bytes of the request's body that are held and not taken by the model. */
  readonly heldBytes: number;
  readonly reading: StreamReading;
  /** All may go on at their own pace. */
  released(): void;
}

export interface UploadsNeeds {
  readonly clock: Clock;
  readonly session: ServerHttp2Session;
  readonly streamsMax: number;
  /** Default: some 8000. */
  readonly waitsMax?: number | undefined;
  readonly frames: FrameShare;
  /** How many there are now. */
  readonly streams: () => number;
  readonly onClosed: () => void;
  /** The client should go to a new connection. */
  readonly onWornOut: () => void;
}

export class Uploads implements Ahead, Keeper {
  readonly #needs: UploadsNeeds;
  /** With how often each had been stopped at the last look. */
  readonly #all = new Map<Upload, number>();
  #step: WindowStep = WIDE;
  /** The one that the client keeps to. */
  #keptStep: WindowStep = WIDE;
  #closed = false;
  /** Came since `#held` was last counted. */
  #came = 0;
  #held = 0;
  #kept = 0;
  #waits = 0;
  /** What a stream may still send, as far as its client knows. */
  #streamWindow = WINDOW;
  /** How often the client has been told of a stream's window. */
  #said = 0;
  #stepSinceMs = 0;
  #calmLooks = 0;
  #quietLooks = 0;
  #looking: Timer | null = null;

  constructor(needs: UploadsNeeds) {
    this.#needs = needs;
  }

  /** False: a body that stands still may do so because of us. */
  get free(): boolean {
    return this.#step === WIDE && !this.#closed;
  }

  /** For each stream. */
  get aheadBytes(): number {
    return this.#step.aheadBytes;
  }

  add(one: Upload): void {
    this.#all.set(one, 0);
  }

  remove(one: Upload): void {
    this.#all.delete(one);
  }

  keep(bytes: number): boolean {
    if (this.#kept + bytes > KEPT_MAX) return false;
    this.#kept += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#kept -= bytes;
  }

  /** Bytes of a body came. */
  came(bytes: number): void {
    this.#came += bytes;
    this.#needs.frames.came(bytes);
    if (this.#came <= LOOK_AFTER && this.#held + this.#came <= this.#keptStep.closedFrom) return;
    this.#weigh();
    this.#calmLooks = 0;
    this.#lookAgain();
  }

  /** The model has taken some. */
  went(): void {
    if (this.#closed) this.#weigh();
    if (this.#looking !== null) this.#lookAgain();
  }

  /** Something happens: looks are frequent. */
  #lookAgain(): void {
    if (this.#quietLooks > QUIET_LOOKS) this.stop();
    this.#quietLooks = 0;
    if (!this.#needs.session.destroyed)
      this.#looking ??= this.#needs.clock.every(LOOK_MS, () => this.#look());
  }

  /** What one holds, with what may come unasked while it is stopped. */
  #heldBy(one: Upload): number {
    const { stopped, unreadBytes } = one.reading;
    return one.heldBytes + (stopped ? Math.max(0, this.#streamWindow - unreadBytes) : 0);
  }

  /** Closes and opens by what all hold. */
  #weigh(): void {
    this.#held = 0;
    this.#came = 0;
    for (const one of this.#all.keys()) this.#held += this.#heldBy(one);
    if (!this.#closed && this.#held > this.#keptStep.closedFrom) this.#close();
    else if (this.#closed && this.#held < this.#keptStep.closedFrom - OPEN_AGAIN_BY) this.#open();
  }

  /** From time to time while bytes come: which stand still since the last look? */
  #look(): void {
    if (this.#needs.session.destroyed) return;
    let still = 0;
    let stopped = false;
    for (const [one, stops] of this.#all) {
      if (!one.reading.stopped) continue;
      stopped = true;
      if (one.reading.stops === stops) still += this.#heldBy(one);
      this.#all.set(one, one.reading.stops);
    }
    this.#tighten(still);
    this.#weigh();
    this.#calmLooks = stopped || !this.free ? 0 : this.#calmLooks + 1;
    if (this.#calmLooks > CALM_LOOKS) this.stop();
    else if (++this.#quietLooks === QUIET_LOOKS + 1) {
      this.stop();
      this.#looking = this.#needs.clock.every(QUIET_LOOK_MS, () => this.#look());
    }
  }

  #tighten(still: number): void {
    const nowMs = this.#needs.clock.monotonicMs();
    if (still > TIGHT_FROM) {
      // What makes room for further streams is not left before it has been seen to do.
      const seen = this.#step.aheadBytes > 0 || this.#step === this.#keptStep;
      const now = { open: this.#needs.streams(), max: this.#needs.streamsMax, closed: this.#closed };
      if (seen) this.#take(nextStep(this.#step, now), nowMs);
    } else if (still < FREE_AGAIN_BELOW && nowMs - this.#stepSinceMs > TIGHT_MS_MIN) {
      this.#take(WIDE, nowMs);
    }
  }

  #take(step: WindowStep, nowMs: number): void {
    if (step === this.#step) return;
    this.#step = step;
    this.#stepSinceMs = nowMs;
    if (step === WIDE) this.#keptStep = WIDE;
    this.#say(step);
    if (step === WIDE) for (const one of this.#all.keys()) one.released();
  }

  #say(step: WindowStep): void {
    const { session } = this.#needs;
    if (session.destroyed) return;
    // A larger one counts from now, a smaller one once the client has heard of it.
    this.#streamWindow = Math.max(this.#streamWindow, step.window);
    const saying = ++this.#said;
    session.settings({ initialWindowSize: step.window }, (error) => {
      if (error !== null || saying !== this.#said) return;
      this.#streamWindow = step.window;
      this.#keptStep = step;
      this.#weigh();
    });
  }

  #close(): void {
    const { session, onClosed } = this.#needs;
    if (session.destroyed) return;
    this.#closed = true;
    session.setLocalWindowSize(0);
    onClosed();
  }

  #open(): void {
    const { session } = this.#needs;
    if (session.destroyed) return;
    this.#closed = false;
    this.#waits++;
    session.setLocalWindowSize(WINDOW + this.#waits * GROWTH);
    // Nothing else would send it.
    session.ping(() => {});
    if (this.#waits === (this.#needs.waitsMax ?? WAITS_MAX)) this.#needs.onWornOut();
  }

  stop(): void {
    this.#looking?.cancel();
    this.#looking = null;
  }
}
