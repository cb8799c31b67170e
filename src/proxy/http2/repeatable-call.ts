// A call that can be sent again when the model says that it has not processed it (RFC 9113 §8.7): what has left of a streamed body is
// kept until the answer begins, where it is short.

import { Call, type CallOwner } from "../call.ts";
import { HeldBytes } from "../held-bytes.ts";
import type { UpstreamHandler, UpstreamRequest } from "../upstream.ts";

/** Of one body. Whoever has many calls bounds them together (`Keeper`). */
const KEPT_BYTES_MAX = 64 * 1024;
/** Of one call: connections that went away one after the other. */
const RESENDS_MAX = 8;
/** Before a call that was refused is sent again: refusing is what a busy model does, and a stubborn call makes it busier. */
const REFUSED_PAUSES_MS: readonly number[] = Object.freeze([0, 20, 100]);
const NO_BYTES = Buffer.alloc(0);

export class RepeatableCall extends Call {
  #kept: HeldBytes | null;
  #resends = 0;
  #refusals = 0;

  constructor(owner: CallOwner, request: UpstreamRequest, handler: UpstreamHandler) {
    super(owner, request, handler);
    this.#kept = request.body === "streamed" ? new HeldBytes() : null;
  }

  override get keptBytes(): number {
    return this.#kept?.length ?? 0;
  }

  override write(chunk: Buffer): boolean {
    this.#keep(chunk);
    return super.write(chunk);
  }

  #keep(chunk: Buffer): void {
    const kept = this.#kept;
    if (kept === null || this.over) return;
    const { keeper } = this.request;
    const room = kept.length + chunk.length <= KEPT_BYTES_MAX;
    // Copied: what it was read into is used again, or larger.
    if (room && keeper?.keep(chunk.length) !== false) kept.append(chunk, chunk.length);
    else this.#forget();
  }

  #forget(): void {
    if (this.#kept === null) return;
    this.request.keeper?.release(this.#kept.length);
    this.#kept = null;
  }

  override answered(): void {
    this.#forget();
    super.answered();
  }

  override close(): void {
    this.#forget();
    super.close();
  }

  /**
   * Takes it back from a connection that has not processed it. `refused`: the stream alone, and not its connection.
   * Gives the milliseconds after which it is to be sent again; null: not again.
   */
  override takeBack(refused: boolean): number | null {
    const kept = this.#kept;
    if (kept === null && this.request.body === "streamed") return null;
    const pause = refused ? REFUSED_PAUSES_MS[this.#refusals++] : 0;
    if (pause === undefined || ++this.#resends > RESENDS_MAX) return null;
    this.detach(kept === null ? null : kept.append(NO_BYTES, 0));
    return pause;
  }
}
