// WebSocket frames counted as they pass (RFC 6455, section 5): headers are read, payloads skipped, no byte is changed or kept.
//
//   header ──complete──▶ payload ──all of it──▶ header ...
//   Whatever is not RFC 6455 moves a side to `lost`, for good: it passes on unmeasured.

import type { WebSocketFacts } from "../facts/exchange.ts";

/** 2 bytes, 8 of a long length, 4 of a mask. */
const HEADER_BYTES_MAX = 14;
const CONTROL_BYTES_MAX = 125;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PONG = 10;

type Side = "client" | "upstream";

export interface FrameNeeds {
  /** A message is whole. */
  onMessage(): void;
  /** A closing frame has passed. `code` null: it held none. */
  onClose(code: number | null): void;
}

/** One direction of a tunnel. */
export class FrameReader {
  readonly #masked: boolean;
  readonly #needs: FrameNeeds;
  readonly #header = new Uint8Array(HEADER_BYTES_MAX);
  #have = 0;
  /** Payload bytes still to pass. */
  #left = 0;
  #within = false;
  /** A message has begun and not ended. */
  #fragmented = false;
  #code = 0;
  #codeBytes = 0;
  lost = false;

  constructor(side: Side, needs: FrameNeeds) {
    // Clients mask what they send, servers do not.
    this.#masked = side === "client";
    this.#needs = needs;
  }

  read(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.lost) {
      if (this.#within) {
        at += this.#pass(chunk, at);
        continue;
      }
      this.#header[this.#have++] = chunk[at++] ?? 0;
      if (this.#have >= 2 && this.#have === this.#headerBytes()) this.#begin();
    }
  }

  #headerBytes(): number {
    const length = (this.#header[1] ?? 0) & 0x7f;
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + (this.#masked ? 4 : 0);
  }

  #payloadBytes(): number {
    const header = this.#header;
    const short = (header[1] ?? 0) & 0x7f;
    if (short < 126) return short;
    let length = 0;
    for (let at = 2; at < (short === 126 ? 4 : 10); at++) length = length * 256 + (header[at] ?? 0);
    return length;
  }

  #begin(): void {
    this.#have = 0;
    const first = this.#header[0] ?? 0;
    const masked = ((this.#header[1] ?? 0) & 0x80) !== 0;
    const opcode = first & 0x0f;
    const last = (first & 0x80) !== 0;
    const bytes = this.#payloadBytes();
    if (masked !== this.#masked || !this.#fits(opcode, last, bytes)) {
      this.lost = true;
      return;
    }
    if (opcode < CLOSE) this.#fragmented = !last;
    this.#code = 0;
    this.#codeBytes = 0;
    this.#left = bytes;
    this.#within = true;
    if (bytes === 0) this.#end();
  }

  /** Whether such a frame may come now. Reserved bits are left to the extensions that the two sides agreed on. */
  #fits(opcode: number, last: boolean, bytes: number): boolean {
    if (opcode === 0) return this.#fragmented && Number.isSafeInteger(bytes);
    if (opcode === TEXT || opcode === BINARY) return !this.#fragmented && Number.isSafeInteger(bytes);
    return opcode >= CLOSE && opcode <= PONG && last && bytes <= CONTROL_BYTES_MAX;
  }

  /** Passes over payload; gives how many bytes. */
  #pass(chunk: Uint8Array, from: number): number {
    const bytes = Math.min(this.#left, chunk.length - from);
    if (((this.#header[0] ?? 0) & 0x0f) === CLOSE) this.#readCode(chunk, from);
    this.#left -= bytes;
    if (this.#left === 0) this.#end();
    return bytes;
  }

  /** The first two bytes of a closing frame's payload. */
  #readCode(chunk: Uint8Array, from: number): void {
    const maskAt = this.#headerBytes() - 4;
    for (let at = from; this.#codeBytes < 2 && at < chunk.length; at++, this.#codeBytes++) {
      const mask = this.#masked ? (this.#header[maskAt + this.#codeBytes] ?? 0) : 0;
      this.#code = this.#code * 256 + ((chunk[at] ?? 0) ^ mask);
    }
  }

  #end(): void {
    this.#within = false;
    const opcode = (this.#header[0] ?? 0) & 0x0f;
    if (opcode === CLOSE) this.#needs.onClose(this.#codeBytes === 2 ? this.#code : null);
    else if (opcode < CLOSE && !this.#fragmented) this.#needs.onMessage();
  }
}

/** Both directions of one WebSocket. */
export class FrameMeter {
  readonly #client: FrameReader;
  readonly #upstream: FrameReader;
  #requestMessages = 0;
  #responseMessages = 0;
  #nowMs = 0;
  #askedMs: number | null = null;
  #firstMessageMs: number | null = null;
  #closedBy: Side | null = null;
  #closeCode: number | null = null;

  /** `openedMs`: when the 101 came. */
  constructor(openedMs: number) {
    this.#client = new FrameReader("client", {
      onMessage: () => {
        this.#requestMessages++;
        this.#askedMs ??= this.#nowMs;
      },
      onClose: (code) => this.#closed("client", code),
    });
    this.#upstream = new FrameReader("upstream", {
      onMessage: () => {
        this.#responseMessages++;
        this.#firstMessageMs ??= this.#nowMs - (this.#askedMs ?? openedMs);
      },
      onClose: (code) => this.#closed("upstream", code),
    });
  }

  fromClient(chunk: Uint8Array, atMs: number): void {
    this.#nowMs = atMs;
    this.#client.read(chunk);
  }

  fromUpstream(chunk: Uint8Array, atMs: number): void {
    this.#nowMs = atMs;
    this.#upstream.read(chunk);
  }

  /** The first closing frame is the one that closes; the other side's only answers it. */
  #closed(side: Side, code: number | null): void {
    if (this.#closedBy !== null) return;
    this.#closedBy = side;
    this.#closeCode = code;
  }

  facts(): WebSocketFacts {
    return Object.freeze({
      requestMessages: this.#requestMessages,
      responseMessages: this.#responseMessages,
      firstMessageMs: this.#firstMessageMs,
      closedBy: this.#closedBy,
      closeCode: this.#closeCode,
      measured: !this.#client.lost && !this.#upstream.lost,
    });
  }
}
