// How long a model server may be trusted to keep an idle connection: learnt from what it does with ours, where it does not say it.

/** Below what common model servers allow an idle connection (uvicorn and Node: 5 s), so that they rarely close first. */
const IDLE_MS = 4000;
/** At most, where the server says how long it keeps them. */
const ANNOUNCED_MS_MAX = 60_000;
/** At most, where it has shown it, and a new one costs a handshake. */
const LONG_MS = 20_000;
/** Beyond its last answer a server may have stood still for so long, and have closed nothing meanwhile. */
const STILL_MS = 500;
/** Taken off a server's own `Keep-Alive: timeout`. */
const MARGIN_MS = 2000;
/** Used again below this as long as the server has not closed one so soon: a request that follows the one before at once takes its connection. */
const UNPROVEN_MS = 10;
/** What is closed below this tells a server that may close at any moment. */
const YOUNG_MS = 2 * UNPROVEN_MS;
/** Else for this share of the longest time that an idle connection has been seen to survive: what the server has not shown is not relied on. */
const PROVEN_SHARE = 0.7;
/** And at least so much below it: clocks and turns of the loop are no finer, in the server and here. */
const PROVEN_MARGIN_MS = 5;
/** For so long a server that has closed one of a certain age is not trusted beyond it. */
const CLOSED_MS = 600_000;
/** While it is not known to answer on one connection beside idle ones, a call on a new one waits for so long at least before they go. */
const BESIDE_MS_MIN = 25;
/** And for this share of the youngest's age, after which that age is shown well enough to be relied on. */
const BESIDE_SHARE = 0.5;
/** And connections are kept for this share of that age. */
const KEPT_SHARE = 0.8;
/** Connections kept for longer than `IDLE_MS`: a model server may have room for few. */
export const LONG_MAX = 64;

/** An idle connection; `keepAliveMs`: the server's own word, or null. */
export interface Idle {
  readonly keepAliveMs: number | null;
  readonly idleSinceMs: number;
}

export class IdleTimes {
  readonly #kept: "long" | "short";
  #survivedMs = 0;
  /** The youngest that was closed lately, and when that was. */
  #closedMs = Number.POSITIVE_INFINITY;
  #closedAtMs = 0;
  /** When all idle connections were last known to be alive. */
  #aliveMs = 0;
  #servesOthers = false;
  #closesYoung = false;
  /** The end of the last answer. */
  #answeredMs = Number.NEGATIVE_INFINITY;

  /** "short": never longer than `IDLE_MS`, because a new connection costs little. */
  constructor(kept: "long" | "short") {
    this.#kept = kept;
  }

  /**
   * It is alive, and all that had come from it by now has been read. That a server which answers nothing keeps its connections does not
   * show that it would: one that stands still cannot close them, and closes those that are too old when it goes on, unread requests or not.
   */
  alive({ idleSinceMs }: Idle, now: number): void {
    const shown = Math.max(Math.min(now - idleSinceMs, IDLE_MS) - STILL_MS, this.#answeredMs - idleSinceMs);
    this.#survivedMs = Math.max(this.#survivedMs, shown);
  }

  /** It made way, alive: a server that serves one connection at a time answers nothing beside it, and shows it in no other way. */
  madeWay({ idleSinceMs }: Idle, now: number): void {
    this.#survivedMs = Math.max(this.#survivedMs, Math.min(now - idleSinceMs, IDLE_MS));
  }

  /** All have been looked at. */
  looked(now: number): void {
    this.#aliveMs = now;
  }

  /**
   * The server closed it while it was idle, or had just been. If it has begun anew, what it showed before is worth little: what is alive
   * shows it again. `met`: a request was sent on it meanwhile. Nothing that was shown is worth such a loss again: one of several servers
   * behind one address that stands still seems to keep what it cannot close.
   */
  closed({ idleSinceMs }: Idle, now: number, met = false): void {
    this.#survivedMs = Math.min(this.#survivedMs, IDLE_MS, now - idleSinceMs);
    if (now - idleSinceMs < YOUNG_MS) this.#closesYoung = true;
    // When it was closed is known to lie behind the last look alone.
    const age = Math.max(0, this.#aliveMs - idleSinceMs);
    this.#closedMs = met ? 0 : Math.min(this.#trustedMs(now), age);
    this.#closedAtMs = now;
  }

  /** It has answered. `another`: on one connection while another was idle, so that an idle one keeps nobody waiting. */
  answered(atMs: number, another: boolean): void {
    this.#answeredMs = atMs;
    if (another) this.#servesOthers = true;
  }

  /** No open connection is left: what answers the next one may be another server. */
  gone(): void {
    this.#survivedMs = Math.min(this.#survivedMs, IDLE_MS);
  }

  #trustedMs(now: number): number {
    return now - this.#closedAtMs < CLOSED_MS ? this.#closedMs : Number.POSITIVE_INFINITY;
  }

  /**
   * How long a call on a new connection may go unheard before those that are idle, the youngest since `idleSinceMs`, make way: the server
   * may serve one connection at a time. Null: it does not.
   */
  makeWayMs(idleSinceMs: number, now: number): number | null {
    return this.#servesOthers ? null : Math.max(BESIDE_MS_MIN, (now - idleSinceMs) * BESIDE_SHARE);
  }

  /** An idle connection is used for a request until it is so old. */
  reuseMs(connection: Idle, now: number): number {
    if (connection.keepAliveMs !== null) return this.keptMs(connection, now, false);
    const survived = this.#survivedMs;
    const long = Math.min(survived, this.#trustedMs(now), LONG_MS);
    const proven = Math.max(Math.min(IDLE_MS, survived * PROVEN_SHARE), long * PROVEN_SHARE);
    return Math.max(this.#closesYoung ? 0 : UNPROVEN_MS, Math.min(proven, survived - PROVEN_MARGIN_MS));
  }

  /** It is kept until it is so old. `long`: it is one of those that may be kept for long. */
  keptMs({ keepAliveMs }: Idle, now: number, long: boolean): number {
    if (keepAliveMs !== null) return Math.min(keepAliveMs - MARGIN_MS, ANNOUNCED_MS_MAX);
    if (!long || this.#kept === "short" || !this.#servesOthers) return IDLE_MS;
    return Math.max(IDLE_MS, Math.min(LONG_MS, this.#trustedMs(now) * KEPT_SHARE));
  }
}
