// Certificates are renewed while the sidecar runs: their files are looked at again, and what changed is used from then on.

import { readFile, stat } from "node:fs/promises";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";

/** Files, or what is in them, by what they are: `ca`, `cert`, `key`. */
export type Texts = Readonly<Record<string, string>>;

export interface CertificateNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** What they are for, in log lines. */
  readonly purpose: string;
  /** The texts of the files. Throws when they do not belong together: the ones before stay. */
  readonly apply: (texts: Texts) => void;
}

const LOOK_EVERY_MS = 10_000;

export class CertificateWatch {
  readonly #files: Texts;
  readonly #needs: CertificateNeeds;
  #timer: Timer | null = null;
  #looking = false;
  #seen: string | null = null;

  constructor(files: Texts, needs: CertificateNeeds) {
    this.#files = files;
    this.#needs = needs;
  }

  start(): void {
    void this.look();
    this.#timer = this.#needs.clock.every(LOOK_EVERY_MS, () => void this.look());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Reads the files also when they look as they did. */
  async reload(): Promise<void> {
    this.#seen = "";
    await this.look();
  }

  /** One look. Files that are being replaced, or cannot be read, are looked at again; never throws. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const { log, purpose, apply } = this.#needs;
    try {
      const files = Object.values(this.#files);
      const now = (await Promise.all(files.map((file) => printOf(file)))).join(" ");
      const before = this.#seen;
      this.#seen = now;
      if (before === null || before === now) return;
      apply(await this.#read());
      log.info({ files }, `certificates were read again: ${purpose}`);
    } catch (thrown) {
      log.warn(
        { error: messageOf(thrown) },
        `changed certificates are not usable, those before stay: ${purpose}`,
      );
    } finally {
      this.#looking = false;
    }
  }

  async #read(): Promise<Texts> {
    const texts: Record<string, string> = {};
    for (const [name, file] of Object.entries(this.#files)) texts[name] = await readFile(file, "utf8");
    return texts;
  }
}

/** Changes when the file, or the one a link points to, does. */
async function printOf(file: string): Promise<string> {
  const { mtimeMs, ino, size } = await stat(file);
  return `${mtimeMs}/${ino}/${size}`;
}
