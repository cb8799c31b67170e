// The push side of telemetry. Failures are counted and told once a minute; stopping never waits beyond its deadline, whatever
// the receiver does. Without an endpoint nothing is loaded, started or sent.

import type { DiagLogger } from "@opentelemetry/api";
import type { PartState } from "../facts/road.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Exported, RunningSdk } from "./otlp-sdk.ts";
import { settleOtlp, type OtlpConfig, type OtlpSettings } from "./otlp-settings.ts";
import type { Recorder } from "./recorder.ts";
import type { Attributes, Env } from "./resource.ts";

const EXPORTS = "outrider_otlp_exports_total";
const LAST_SUCCESS = "outrider_otlp_last_success_timestamp_seconds";
/** A receiver that is down for hours costs one line a minute. */
const LOG_EVERY_MS = 60_000;

export interface OtlpOptions extends OtlpConfig {
  /** From `resourceOf`. */
  readonly resource: Attributes;
  /** Version of the instrumentation scope. */
  readonly version: string;
  /** OTEL_* variables. Headers, certificates and compression of these are read by the exporter itself. */
  readonly env: Env;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Otlp extends Part {
  /** Collects and sends now. Resolves when that was tried. */
  forceFlush(): Promise<void>;
  /** "off" when nothing is sent. */
  state(): PartState;
}

/** Does nothing visible. Throws a Problem when the endpoint is not an address. */
export function createOtlp(options: OtlpOptions): Otlp {
  return new OtlpPush(options, settleOtlp(options, options.env));
}

class OtlpPush implements Otlp {
  readonly #options: OtlpOptions;
  readonly #settings: OtlpSettings | null;
  readonly #book: ExportBook;
  readonly #createdAtMs: number;
  #starting: Promise<RunningSdk> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: OtlpOptions, settings: OtlpSettings | null) {
    this.#options = options;
    this.#settings = settings;
    this.#createdAtMs = options.clock.wallMs();
    this.#book = new ExportBook(options, settings);
  }

  async start(): Promise<void> {
    if (this.#settings === null) return;
    this.#starting ??= this.#begin(this.#settings);
    await this.#starting;
  }

  async #begin(settings: OtlpSettings): Promise<RunningSdk> {
    const { recorder, resource, version, log } = this.#options;
    for (const remark of settings.remarks) log.warn({}, `otlp: ${remark}`);
    const { startSdk } = await import("./otlp-sdk.ts");
    const sdk = startSdk({
      settings,
      resource,
      producer: { recorder, scope: { name: "outrider", version }, startedAtMs: this.#createdAtMs },
      ended: (result) => this.#book.ended(result),
      diagnostics: this.#book.diagLogger(),
    });
    this.#book.begin();
    const { host, pathname } = new URL(settings.url);
    log.info({ host, pathname, protocol: settings.protocol }, "otlp: sending metrics");
    return sdk;
  }

  stop(deadlineMs: number): Promise<void> {
    const starting = this.#starting;
    if (starting !== null) {
      this.#starting = null;
      this.#stopping = this.#end(starting, deadlineMs);
    }
    return this.#stopping ?? Promise.resolve();
  }

  async #end(starting: Promise<RunningSdk>, deadlineMs: number): Promise<void> {
    const { clock, log } = this.#options;
    const ended = starting
      .then(async (sdk) => {
        await sdk.shutdown().finally(() => sdk.release());
      })
      .catch((thrown: unknown) => log.warn({ error: messageOf(thrown) }, "otlp: stopping failed"));
    const deadline = Promise.withResolvers<void>();
    const timer = clock.after(deadlineMs, () => {
      log.warn({ deadlineMs }, "otlp: the last push did not finish in time");
      deadline.resolve();
    });
    await Promise.race([ended, deadline.promise]);
    timer.cancel();
  }

  async forceFlush(): Promise<void> {
    try {
      await (await this.#starting)?.forceFlush();
    } catch (thrown) {
      this.#options.log.debug({ error: messageOf(thrown) }, "otlp: flush failed");
    }
  }

  state(): PartState {
    return this.#book.state;
  }
}

/** How the exports end: counters, the state for /readyz, and a log that does not flood. */
class ExportBook {
  readonly #options: OtlpOptions;
  #state: PartState;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(options: OtlpOptions, settings: OtlpSettings | null) {
    this.#options = options;
    const since = new Date(options.clock.wallMs()).toISOString();
    this.#state =
      settings === null
        ? { state: "off", why: "no OTLP endpoint, or disabled", since }
        : { state: "ok", why: null, since };
  }

  get state(): PartState {
    return this.#state;
  }

  begin(): void {
    const exports = this.#options.recorder.counter(EXPORTS);
    for (const result of ["success", "failure"]) exports.zero({ result });
  }

  ended({ error }: Exported): void {
    const { recorder, clock } = this.#options;
    const good = error === null;
    recorder.counter(EXPORTS).inc({ result: good ? "success" : "failure" });
    if (good) recorder.gauge(LAST_SUCCESS).set({}, clock.wallMs() / 1000);
    const why = error?.slice(0, 500) ?? null;
    this.#turn(good ? "ok" : "degraded", why);
    if (why !== null) this.#say(why);
  }

  /** The SDK's own words: warnings limited like failures; errors are mostly failures told twice. */
  diagLogger(): DiagLogger {
    const { log } = this.#options;
    const line = (message: string, rest: readonly unknown[]): string =>
      [message, ...rest.map(messageOf)].join(" ").slice(0, 500);
    const quiet = (message: string, ...rest: unknown[]): void =>
      log.debug({}, `otlp: ${line(message, rest)}`);
    const warn = (message: string, ...rest: unknown[]): void => this.#say(line(message, rest));
    return { error: quiet, warn, info: quiet, debug: quiet, verbose: quiet };
  }

  #turn(state: "ok" | "degraded", why: string | null): void {
    const changed = this.#state.state !== state;
    const { clock, log } = this.#options;
    const since = changed ? new Date(clock.wallMs()).toISOString() : this.#state.since;
    if (changed && state === "ok") log.info({}, "otlp: exports succeed again");
    this.#state = { state, why, since };
  }

  #say(message: string): void {
    const { clock, log } = this.#options;
    const now = clock.monotonicMs();
    if (now - this.#saidAtMs < LOG_EVERY_MS) {
      this.#unsaid += 1;
      return;
    }
    log.warn({ error: message, unsaid: this.#unsaid }, "otlp: trouble");
    this.#saidAtMs = now;
    this.#unsaid = 0;
  }
}
