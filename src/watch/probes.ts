// Uptime probes: is the service there? node-cron ticks every second; due times are kept on the monotonic clock.
// Per probe: waiting -> running (due) -> waiting (verdict or timeout). Due while running: skipped and told as an overlap.

import { afterReading, type Clock, type Timer } from "../kernel/clock.ts";
import { chance } from "../kernel/ids.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { attemptProbe, type ProbeReason } from "./attempt.ts";
import type { UpstreamTls } from "./way.ts";
import { createTicker, type Ticker } from "./ticker.ts";

export type { ProbeReason } from "./attempt.ts";

export interface ProbeOptions {
  readonly name: string;
  /** http(s)://…, tcp://host:port, unix:/path (a connection) or unix:/path:/request/path. */
  readonly url: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** null: any 2xx or 3xx. */
  readonly expectStatus: number | null;
  /** For https: a private authority, a client certificate. */
  readonly tls?: UpstreamTls | null;
}

export interface ProbeResult {
  readonly name: string;
  readonly up: boolean;
  readonly reason: ProbeReason;
  readonly durationMs: number;
  /** HTTP status; null when there was none. */
  readonly status: number | null;
  /** Unix ms at which the server's certificate ends; null: no TLS, or it did not pass. */
  readonly certExpiresAtMs: number | null;
  /** Unix ms when the probe ended. */
  readonly at: number;
}

export type JobResult = "ok" | "failed" | "overlap" | "missed";

export interface ProbeNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly onResult: (result: ProbeResult) => void;
  /** `name` is `probe:<name>`. "ok": a verdict was reached, whichever; "missed": the event loop was blocked at that time. */
  readonly onJob: (name: string, result: JobResult, seconds: number) => void;
}

/** A tick starts what is due within the second that follows. */
const TICK_MS = 1000;
/** First probes begin within it, spread so that many probes (and many sidecars) do not fire together. */
const SPREAD_MS = 1400;
/** Skipped times of one probe that are told after one long block. */
const MISSED_MAX = 100;

interface Scheduled {
  readonly probe: ProbeOptions;
  dueMs: number;
  timer: Timer | null;
  running: { readonly done: Promise<void>; cancel(): void } | null;
}

class Probes implements Part {
  readonly #needs: ProbeNeeds;
  readonly #ticker: Ticker;
  readonly #probes: readonly Scheduled[];
  #state: "new" | "started" | "stopped" = "new";

  constructor(probes: readonly ProbeOptions[], needs: ProbeNeeds) {
    this.#needs = needs;
    this.#probes = probes.map((probe) => ({ probe, dueMs: 0, timer: null, running: null }));
    this.#ticker = createTicker({ clock: needs.clock, log: needs.log, onTick: () => this.#tick() });
  }

  start(): Promise<void> {
    if (this.#state !== "new" || this.#probes.length === 0) return Promise.resolve();
    this.#state = "started";
    const now = this.#needs.clock.monotonicMs();
    for (const each of this.#probes) each.dueMs = now + chance() * Math.min(each.probe.everyMs, SPREAD_MS);
    this.#ticker.start();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#ticker.stop();
    const running: Promise<void>[] = [];
    for (const each of this.#probes) {
      each.timer?.cancel();
      each.timer = null;
      each.running?.cancel();
      if (each.running !== null) running.push(each.running.done);
    }
    await Promise.all(running);
  }

  #tick(): void {
    const now = this.#needs.clock.monotonicMs();
    for (const each of this.#probes) {
      if (each.timer === null && each.dueMs <= now) this.#due(each);
      if (each.timer === null && each.dueMs < now + TICK_MS) this.#await(each, each.dueMs - now);
    }
  }

  #await(each: Scheduled, waitMs: number): void {
    each.timer = this.#needs.clock.after(waitMs, () => {
      each.timer = null;
      this.#due(each);
    });
  }

  #due(each: Scheduled): void {
    if (this.#state !== "started") return;
    const { onJob, clock } = this.#needs;
    const { name, everyMs } = each.probe;
    const missed = Math.floor(Math.max(0, clock.monotonicMs() - each.dueMs) / everyMs);
    each.dueMs += (missed + 1) * everyMs;
    for (let i = 0; i < Math.min(missed, MISSED_MAX); i++) onJob(`probe:${name}`, "missed", 0);
    if (each.running === null) this.#run(each);
    else onJob(`probe:${name}`, "overlap", 0);
  }

  #run(each: Scheduled): void {
    const abort = new AbortController();
    const done = this.#probe(each.probe, abort).finally(() => {
      each.running = null;
    });
    each.running = { done, cancel: () => abort.abort() };
  }

  async #probe(probe: ProbeOptions, abort: AbortController): Promise<void> {
    const { clock, log, onResult, onJob } = this.#needs;
    const startedMs = clock.monotonicMs();
    const timeout = afterReading(clock, probe.timeoutMs, () => abort.abort());
    const { url, expectStatus, tls, name } = probe;
    const verdict = await attemptProbe({ url, expectStatus, tls: tls ?? null }, abort.signal);
    timeout.cancel();
    // What was cut off because we stop says nothing about the service.
    if (this.#state !== "started") return;
    const durationMs = clock.monotonicMs() - startedMs;
    log.debug({ probe: name, ...verdict, durationMs }, "probed");
    onJob(`probe:${name}`, verdict.reason === "error" ? "failed" : "ok", durationMs / 1000);
    onResult({ name, ...verdict, durationMs, at: clock.wallMs() });
  }
}

/** Names are unique. The first result of each probe comes about 1.5 s after `start` (or its timeout later). */
export function createProbes(probes: readonly ProbeOptions[], needs: ProbeNeeds): Part {
  return new Probes(probes, needs);
}
