// Certificates are renewed while the sidecar runs: the listener's files are looked at again, and a new pair is shown from then on.

import { readFile, stat } from "node:fs/promises";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** Throws when the two do not belong together: the old pair stays. */
  readonly apply: (pair: { readonly cert: string; readonly key: string }) => void;
}

const LOOK_EVERY_MS = 10_000;

export class CertificateWatch {
  readonly #files: CertificateFiles;
  readonly #needs: CertificateNeeds;
  #timer: Timer | null = null;
  #looking = false;
  #seen: string | null = null;

  constructor(files: CertificateFiles, needs: CertificateNeeds) {
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

  /** One look. Files that are being replaced, or cannot be read, are looked at again; never throws. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { certFile, keyFile } = this.#files;
      const now = `${await printOf(certFile)} ${await printOf(keyFile)}`;
      const before = this.#seen;
      this.#seen = now;
      if (before === null || before === now) return;
      const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
      this.#needs.apply({ cert, key });
      this.#needs.log.info({ certFile }, "a new certificate is shown to clients");
    } catch (thrown) {
      this.#needs.log.warn(
        { error: messageOf(thrown) },
        "the changed certificate is not usable: the one before is still shown to clients",
      );
    } finally {
      this.#looking = false;
    }
  }
}

/** Changes when the file, or the one a link points to, does. */
async function printOf(file: string): Promise<string> {
  const { mtimeMs, ino, size } = await stat(file);
  return `${mtimeMs}/${ino}/${size}`;
}
