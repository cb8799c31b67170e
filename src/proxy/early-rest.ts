// The rest of a request that was answered before it was whole: read and dropped, so that its connection may be kept; not too much of it,
// and not for too long.

import { REST } from "./connection-limits.ts";

export class EarlyRest {
  #bytes = 0;
  /** Since when it is read; null: there is none. */
  sinceMs: number | null = null;

  begin(nowMs: number): void {
    this.sinceMs ??= nowMs;
  }

  /** True: too much of it has come. */
  took(bytes: number): boolean {
    if (this.sinceMs === null) return false;
    this.#bytes += bytes;
    return this.#bytes > REST.bytesMax;
  }

  end(): void {
    this.#bytes = 0;
    this.sinceMs = null;
  }
}
