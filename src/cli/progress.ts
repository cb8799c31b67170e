// A progress bar on a terminal: one line, redrawn a few times a second, gone when the work is done.

import type { Clock } from "../kernel/clock.ts";

const REDRAW_MS = 100;
const BAR_CHARS = 24;

export interface Progress {
  /** Bytes done and labels told about so far. `bytesTotal` null: not known (standard input). */
  show(state: { readonly bytes: number; readonly bytesTotal: number | null; readonly labels: number }): void;
  /** Says something in place of the bar until the next `show`. */
  note(text: string): void;
  /** Wipes the line. */
  end(): void;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, share) * BAR_CHARS);
  return `[${"#".repeat(filled)}${".".repeat(BAR_CHARS - filled)}] ${Math.floor(Math.min(1, share) * 100)} %`;
}

class Bar implements Progress {
  readonly #stream: NodeJS.WritableStream;
  readonly #clock: Clock;
  readonly #startedAt: number;
  #drawnAt = -Infinity;

  constructor(stream: NodeJS.WritableStream, clock: Clock) {
    this.#stream = stream;
    this.#clock = clock;
    this.#startedAt = clock.monotonicMs();
  }

  show({ bytes, bytesTotal, labels }: Parameters<Progress["show"]>[0]): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    const seconds = Math.max(0.001, (now - this.#startedAt) / 1000);
    const rate = Math.round(labels / seconds).toLocaleString("en");
    const sent =
      bytesTotal === null
        ? mebibytes(bytes)
        : `${bar(bytesTotal === 0 ? 1 : bytes / bytesTotal)}  ${mebibytes(bytes)} of ${mebibytes(bytesTotal)}`;
    this.#line(`${sent}  ${labels.toLocaleString("en")} labels  ${rate}/s`);
  }

  note(text: string): void {
    this.#drawnAt = -Infinity;
    this.#line(text);
  }

  end(): void {
    this.#line("");
  }

  #line(text: string): void {
    // Back to the first column, the text, then wipe what an earlier, longer line left.
    this.#stream.write(`\r${text}\u001B[K`);
  }
}

const SILENT: Progress = Object.freeze({ show() {}, note() {}, end() {} });

/** `stream` null (not a terminal): says nothing. */
export function createProgress(stream: NodeJS.WritableStream | null, clock: Clock): Progress {
  return stream === null ? SILENT : new Bar(stream, clock);
}
