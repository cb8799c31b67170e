// What one stream of a client may take of time, by the same limits as a connection of HTTP/1.1.

import { PROGRESS_BYTES, type ConnectionLimits, type Late } from "../connection-limits.ts";

/** What a stream runs out of; the rest is its connection's. */
export type LateStream = Extract<Late, "send" | "body" | "upload" | "total">;

export interface StreamNow {
  readonly nowMs: number;
  /** Of the answer, held because the client takes no more. */
  readonly unsentBytes: number;
  /** Of the request, held because the model takes no more. */
  readonly waitingBytes: number;
  /** More of the request is to come, we read it, and nothing has been answered. */
  readonly awaitsBody: boolean;
  /** The answer is not out yet, and not one of ours. */
  readonly underway: boolean;
}

export class StreamTimes {
  readonly #startedMs: number;
  #movedMs: number;
  #bodyBytes = 0;
  #unsentBytes = 0;
  #waitingBytes = 0;
  /** Since the last look. */
  #cameBytes = 0;
  #takenMs = 0;

  constructor(nowMs: number) {
    this.#startedMs = nowMs;
    this.#movedMs = nowMs;
  }

  /** A trickle is no progress: bytes count once there are enough of them. */
  bodyCame(bytes: number, nowMs: number): void {
    this.#cameBytes += bytes;
    this.#bodyBytes += bytes;
    if (this.#bodyBytes >= PROGRESS_BYTES) this.moved(nowMs);
  }

  moved(nowMs: number): void {
    this.#bodyBytes = 0;
    this.#movedMs = nowMs;
  }

  /** The model has taken what waited. */
  taken(nowMs: number): void {
    this.moved(nowMs);
    this.#waitingBytes = 0;
  }

  /** What has run out, or null. Looked at about once a second. */
  late(
    { nowMs, unsentBytes, waitingBytes, awaitsBody, underway }: StreamNow,
    limits: ConnectionLimits,
  ): LateStream | null {
    if (unsentBytes !== this.#unsentBytes) {
      this.#unsentBytes = unsentBytes;
      this.#movedMs = nowMs;
    }
    if (this.#waitingBytes === 0 || waitingBytes < this.#waitingBytes + this.#cameBytes)
      this.#takenMs = nowMs;
    this.#waitingBytes = waitingBytes;
    this.#cameBytes = 0;
    const over = (sinceMs: number, limitMs: number): boolean => limitMs > 0 && nowMs - sinceMs > limitMs;
    if (unsentBytes > 0 && over(this.#movedMs, limits.sendMs)) return "send";
    if (unsentBytes === 0 && awaitsBody && over(this.#movedMs, limits.bodyMs)) return "body";
    if (waitingBytes > 0 && over(this.#takenMs, limits.uploadMs)) return "upload";
    return underway && over(this.#startedMs, limits.totalMs) ? "total" : null;
  }
}
