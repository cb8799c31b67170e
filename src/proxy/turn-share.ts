// How much one connection is read for in one turn of the event loop. The system hands out a long body in up to 32 reads in a row;
// with a large one each way every small request would wait for 4 MiB to pass, and again for its answer.

/** At some 40 µs for each 64 KiB: 0.2 ms. */
const SHARE_BYTES = 256 * 1024;
/** Reads of this or a multiple had more behind them: a socket's are of 64 KiB, those of TLS of 16 KiB. */
const FULL_READ_BYTES = 16 * 1024;

export class TurnShare {
  #bytes = 0;
  readonly #goOn: () => void;

  /** `goOn`: called in the next turn; the connection is to be read on if nothing else holds it. */
  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  /** After each read. True: the share is used up, stop reading until `goOn`. */
  usedUp(length: number): boolean {
    if (length % FULL_READ_BYTES !== 0) {
      this.#bytes = 0;
      return false;
    }
    this.#bytes += length;
    if (this.#bytes < SHARE_BYTES) return false;
    this.#bytes = 0;
    setImmediate(this.#goOn);
    return true;
  }
}
