// The body of a request in small slices, with an end for senders that fall silent and a polite end for bodies that nobody reads on.

import type { IncomingMessage, ServerResponse } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../kernel/clock.ts";
import { ApiProblem, sendProblem } from "./problems.ts";

/** Small, so that even a slice of nothing but broken lines holds the loop for milliseconds only. */
const SLICE_BYTES = 16 * 1024;
const LINGER_MS = 3_000;
/** A body that is there already is read without the loop turning; after so long others get their turn. */
const TURN_MS = 10;

export interface BodyWatch {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly idleMs: number;
}

/** Answers 408 and hangs up when the body makes no progress for `idleMs` while we wait for it. */
class IdleWatch {
  #waitingSince: number | null = null;
  readonly #watch: BodyWatch;
  readonly #timer: { cancel(): void };

  constructor(watch: BodyWatch) {
    this.#watch = watch;
    this.#timer = watch.clock.every(Math.max(10, watch.idleMs / 4), () => this.#look());
  }

  waiting(): void {
    this.#waitingSince = this.#watch.clock.monotonicMs();
  }

  busy(): void {
    this.#waitingSince = null;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const { request, response, clock, idleMs } = this.#watch;
    if (this.#waitingSince === null || clock.monotonicMs() - this.#waitingSince < idleMs) return;
    this.stop();
    response.once("finish", () => request.destroy());
    sendProblem(response, new ApiProblem("request_timeout", `the body paused for more than ${idleMs} ms`));
  }
}

/** Tells a client that waits for it (`Expect: 100-continue`) to send the body. */
function invite({ request, response }: BodyWatch): void {
  const expects = request.headers.expect?.toLowerCase() === "100-continue";
  if (expects && !response.headersSent) response.writeContinue();
}

/** Lets others have the loop when it was ours for `TURN_MS`. */
class Turns {
  readonly #clock: Clock;
  #turnedAt: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#turnedAt = clock.monotonicMs();
  }

  async take(): Promise<void> {
    if (this.#clock.monotonicMs() - this.#turnedAt < TURN_MS) return;
    await turn();
    this.#turnedAt = this.#clock.monotonicMs();
  }
}

function* slicesOf(chunk: Buffer): Generator<Buffer> {
  for (let at = 0; at < chunk.length; at += SLICE_BYTES) yield chunk.subarray(at, at + SLICE_BYTES);
}

/** Slices of the body as they come. Throws when the client leaves before the end. Leaving the loop early keeps the connection. */
export async function* bodySlices(watch: BodyWatch): AsyncGenerator<Buffer> {
  invite(watch);
  const idle = new IdleWatch(watch);
  const turns = new Turns(watch.clock);
  idle.waiting();
  try {
    for await (const chunk of watch.request.iterator({ destroyOnReturn: false })) {
      idle.busy();
      for (const slice of slicesOf(Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk)))) {
        yield slice;
        await turns.take();
      }
      idle.waiting();
    }
  } finally {
    idle.stop();
  }
}

/** After an answer that did not wait for the whole body: reads on for a moment so that the client gets to see it, then hangs up. */
export function lingerOver(request: IncomingMessage, clock: Clock): void {
  if (request.complete || request.destroyed) return;
  request.resume();
  const timer = clock.after(LINGER_MS, () => request.destroy());
  request.once("close", () => timer.cancel());
}

/** A shared allowance of bytes that requests hold in memory. */
export class ByteBudget {
  readonly #bytesMax: number;
  #held = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  take(bytes: number): void {
    if (this.#held + bytes > this.#bytesMax) {
      throw new ApiProblem(
        "busy",
        "too many large bodies at one time: send again later; labels may come as NDJSON",
        {
          headers: { "retry-after": "1" },
        },
      );
    }
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** The whole body, at most `bytesMax`, as long as the budget has room. The caller gives `held` back. */
export async function wholeBody(
  watch: BodyWatch,
  cap: {
    readonly bytesMax: number;
    readonly budget: ByteBudget;
    readonly held: { bytes: number };
    readonly hint?: string;
  },
): Promise<Buffer> {
  const tooLarge = (): ApiProblem =>
    new ApiProblem("body_too_large", `this body holds at most ${cap.bytesMax} bytes${cap.hint ?? ""}`);
  if (Number(watch.request.headers["content-length"] ?? 0) > cap.bytesMax) throw tooLarge();
  const parts: Buffer[] = [];
  for await (const slice of bodySlices(watch)) {
    if (cap.held.bytes + slice.length > cap.bytesMax) throw tooLarge();
    cap.budget.take(slice.length);
    cap.held.bytes += slice.length;
    parts.push(slice);
  }
  return Buffer.concat(parts, cap.held.bytes);
}
