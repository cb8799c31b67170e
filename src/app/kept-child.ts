// A process of ours that is kept running: started, spoken with in frames, ended when it hangs, started again with back-off.

import { spawn, type ChildProcess } from "node:child_process";
import { Duplex } from "node:stream";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import { frame, FrameReader } from "../kernel/wire.ts";

/** Silence of a ready child after which it counts as hung and is killed. */
const HANG_MS = 30_000;
const BACKOFF_FIRST_MS = 100;
/** A child that lived this long starts the back-off afresh. */
const HEALTHY_MS = 60_000;

export interface ChildOptions {
  /** As log lines call it. */
  readonly name: string;
  /** What goes on without it, for the log. */
  readonly meanwhile: string;
  /** Executable and arguments. */
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Added to it, unless the one before ended before it was ready: what was to help it may be what it died of. */
  readonly help?: Readonly<Record<string, string>>;
  /** What it inherits, as descriptors 4, 5 and so on. */
  readonly descriptors: readonly number[];
  /** How long it may take until it is ready. */
  readonly openingMs: number;
  readonly backoffMaxMs: number;
}

export interface ChildNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** It has been started: what is sent now is the first that it reads. */
  readonly onBorn: () => void;
  /** What throws here ends the child. */
  readonly onFrame: (kind: number, payload: Buffer) => void;
  /** It has read what was held back. */
  readonly onDrain: () => void;
  /** It has ended, and all that it said has been read. */
  readonly onGone: () => void;
}

export interface StopOrder {
  readonly deadlineMs: number;
  /** Of that: for its own end; the rest is for ending it ourselves. */
  readonly ownMs: number;
  /** Of the frame that tells it so. */
  readonly kind: number;
}

/** States: stopped -> opening (runs) -> ready (said so) -> waiting (gone, back-off runs) -> opening ... */
export class KeptChild {
  readonly #options: ChildOptions;
  readonly #needs: ChildNeeds;
  #state: "stopped" | "opening" | "ready" | "waiting" = "stopped";
  #stopping = false;
  #child: ChildProcess | null = null;
  #pipe: Duplex | null = null;
  #restart: Timer | null = null;
  #backoffMs = BACKOFF_FIRST_MS;
  #bornAtMs = 0;
  #wasReady = true;
  #heardAtMs = 0;
  #downSinceMs: number | null = 0;
  #exited: (() => void) | null = null;
  /** Times it was started again. */
  restarts = 0;

  constructor(options: ChildOptions, needs: ChildNeeds) {
    this.#options = options;
    this.#needs = needs;
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  get stopped(): boolean {
    return this.#stopping || this.#state === "stopped";
  }

  /** Wall time since when it has not been ready, or null. */
  get downSinceMs(): number | null {
    return this.#downSinceMs;
  }

  /** Since it was last heard; since its start when it has said nothing. */
  get silentMs(): number {
    return this.#needs.clock.monotonicMs() - this.#heardAtMs;
  }

  /** Bytes that it has not read yet. */
  get unreadBytes(): number {
    return this.#pipe?.writableLength ?? 0;
  }

  start(): void {
    this.#stopping = false;
    this.#downSinceMs = this.#needs.clock.wallMs();
    this.#spawn();
  }

  /** It has said that it does its work. */
  becomeReady(): void {
    this.#state = "ready";
    this.#wasReady = true;
    this.#downSinceMs = null;
  }

  #spawn(): void {
    const { command, descriptors, env, help = {}, name } = this.#options;
    const { clock, log } = this.#needs;
    const [executable, ...args] = command;
    this.#state = "opening";
    this.#bornAtMs = clock.monotonicMs();
    this.#heardAtMs = this.#bornAtMs;
    const child = spawn(executable, args, {
      stdio: ["ignore", "inherit", "inherit", "pipe", ...descriptors],
      env: { ...env, ...(this.#wasReady ? help : {}) },
    });
    this.#wasReady = false;
    this.#child = child;
    child.on("error", (error) => log.error({ error: error.message }, `${name} could not be started`));
    // "close", not "exit": what it said before it ended is read first.
    child.on("close", (code, signal) => this.#onExit(child, { code, signal }));
    const pipe = child.stdio[3];
    if (pipe instanceof Duplex) this.#listen(pipe);
  }

  #listen(pipe: Duplex): void {
    this.#pipe = pipe;
    const frames = new FrameReader((kind, payload) => {
      this.#heardAtMs = this.#needs.clock.monotonicMs();
      this.#needs.onFrame(kind, payload);
    });
    pipe.on("data", (chunk: Buffer) => {
      try {
        frames.push(chunk);
      } catch (thrown) {
        const { name } = this.#options;
        this.#needs.log.error(
          { error: messageOf(thrown) },
          `${name} sent what cannot be read; starting it again`,
        );
        this.#child?.kill("SIGKILL");
      }
    });
    pipe.on("drain", () => this.#needs.onDrain());
    // A dead child's socket fails on write: its exit is what counts.
    pipe.on("error", () => {});
    this.#needs.onBorn();
  }

  /** `message` as JSON; dropped when no child runs. */
  send(kind: number, message: unknown): void {
    this.write(frame(kind, Buffer.from(JSON.stringify(message))));
  }

  write(bytes: Uint8Array): void {
    if (this.#pipe?.writable === true) this.#pipe.write(bytes);
  }

  /** Looked at about once a second: a child that has been silent for too long is ended. */
  check(): void {
    if (this.#child === null) return;
    const { silentMs } = this;
    if (silentMs <= (this.#state === "opening" ? this.#options.openingMs : HANG_MS)) return;
    this.#needs.log.error(
      { silentMs: Math.round(silentMs) },
      `${this.#options.name} does not answer; starting it again`,
    );
    this.#heardAtMs = this.#needs.clock.monotonicMs();
    this.#child.kill("SIGKILL");
  }

  #onExit(child: ChildProcess, how: { code: number | null; signal: string | null }): void {
    if (child !== this.#child) return;
    const { clock, log } = this.#needs;
    const { name, meanwhile, backoffMaxMs } = this.#options;
    this.#child = null;
    this.#pipe?.destroy();
    this.#pipe = null;
    this.#state = "waiting";
    this.#downSinceMs = clock.wallMs();
    this.#needs.onGone();
    this.#exited?.();
    if (this.#stopping) return;
    if (clock.monotonicMs() - this.#bornAtMs > HEALTHY_MS) this.#backoffMs = BACKOFF_FIRST_MS;
    log.error({ ...how, againInMs: this.#backoffMs }, `${name} ended; ${meanwhile}, starting it again`);
    this.restarts += 1;
    this.#restart = clock.after(this.#backoffMs, () => this.#spawn());
    this.#backoffMs = Math.min(this.#backoffMs * 2, backoffMaxMs);
  }

  /** Asks it to end, and ends it when it does not. Resolves when it is gone, or at the deadline. */
  async stop(how: StopOrder): Promise<void> {
    this.#stopping = true;
    this.#restart?.cancel();
    const child = this.#child;
    if (child !== null) await this.#stopChild(child, how);
    this.#state = "stopped";
  }

  async #stopChild(child: ChildProcess, { deadlineMs, ownMs, kind }: StopOrder): Promise<void> {
    const { clock } = this.#needs;
    const gone = new Promise<void>((resolve) => {
      this.#exited = resolve;
    });
    this.send(kind, { deadlineMs: ownMs });
    const kill = clock.after((deadlineMs + ownMs) / 2, () => child.kill("SIGKILL"));
    const late = new Promise<void>((resolve) => clock.after(deadlineMs, resolve));
    await Promise.race([gone, late]);
    kill.cancel();
  }
}
