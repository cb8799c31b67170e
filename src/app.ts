// The traffic process put together: relay, supervisor of the observer, telemetry listener. Start and stop, nothing else.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { CertificateWatch, type CertificateNeeds, type Texts } from "./app/certificates.ts";
import { configuredHeaders, relaySnapshot } from "./app/relay-snapshot.ts";
import { createSupervisor, type Supervisor } from "./app/supervisor.ts";
import { createTelemetryListener, type TelemetryListener } from "./app/telemetry-listener.ts";
import { createTraffic, type Traffic } from "./app/traffic.ts";
import { asksForVersions, VersionWait } from "./app/version-wait.ts";
import type { Config } from "./config/config.ts";
import type { ObserverState, PartState } from "./facts/road.ts";
import type { Clock } from "./kernel/clock.ts";
import { UndoStack, type Part } from "./kernel/lifecycle.ts";
import type { Log } from "./kernel/log.ts";
import { version } from "./kernel/version.ts";

/** After the exchanges in flight: what the observer gets to flush, push and close. */
const OBSERVER_STOP_MS = 8000;

export interface AppNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly observerCommand: readonly [string, ...string[]];
  readonly workerCommand: readonly [string, ...string[]];
}

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface App extends Part {
  readonly addresses: {
    readonly traffic: Address | null;
    readonly telemetry: Address | null;
    readonly api: Address | null;
  };
  /** Resolves when the observer has first told its state (so the API's address is known), or after `withinMs`. */
  observed(withinMs: number): Promise<boolean>;
  /** Reads the certificates again, of the listener and of the way to the model server. Never rejects: what is unusable is logged. */
  reload(): Promise<void>;
}

class Application implements App {
  readonly #config: Config;
  readonly #needs: AppNeeds;
  readonly #undo: UndoStack;
  readonly #traffic: Traffic;
  readonly #supervisor: Supervisor;
  readonly #telemetry: TelemetryListener;
  readonly #watches: CertificateWatch[] = [];
  /** Null: every version is configured, or stands in the traffic. */
  readonly #versions: VersionWait | null;
  #state: ObserverState | null = null;
  #draining = false;
  #listening = false;
  #onFirstState: (() => void) | null = null;

  constructor(config: Config, needs: AppNeeds) {
    this.#config = config;
    this.#needs = needs;
    const { clock, log } = needs;
    this.#undo = new UndoStack(clock, log);
    this.#versions = asksForVersions(config) ? new VersionWait(needs) : null;
    this.#supervisor = this.#createSupervisor();
    const supervisor = this.#supervisor;
    this.#traffic = createTraffic(config, {
      clock,
      log,
      env: needs.env,
      workerCommand: needs.workerCommand,
      deliver: (ended) => supervisor.deliver(ended),
      deliverBatch: (payload) => supervisor.deliverBatch(payload),
      addLosses: (dropped) => supervisor.addLosses(dropped),
      heldBytes: () => supervisor.heldBytes,
    });
    this.#telemetry = createTelemetryListener(config.telemetry.listen, {
      log,
      askMetrics: (accept, encoding, ms) => this.#supervisor.askMetrics(accept, encoding, ms),
      stats: () => this.#supervisor.stats(),
      unready: () => this.#unready(),
      state: () => this.#state,
      parts: () => this.#parts(),
      outriderVersion: version,
    });
  }

  #createSupervisor(): Supervisor {
    const { clock, log, env, observerCommand } = this.#needs;
    return createSupervisor(
      {
        command: observerCommand,
        env,
        compiledIn: join(this.#config.store.path, "compiled"),
        opening: { session: randomUUID(), config: this.#config },
        extraHeaders: configuredHeaders(this.#config),
      },
      { clock, log, onState: (state) => this.#onState(state), relayStats: () => this.#traffic.stats() },
    );
  }

  get addresses(): App["addresses"] {
    return {
      traffic: this.#traffic.address,
      telemetry: this.#telemetry.address,
      api: this.#state?.api ?? null,
    };
  }

  #onState(told: ObserverState): void {
    const before = this.#state?.external;
    // One that was started again knows of no version yet: what the one before it knew stays until then.
    const state = { ...told, external: { ...before, ...told.external } };
    this.#state = state;
    if (JSON.stringify(before) !== JSON.stringify(state.external)) {
      this.#traffic.setSnapshot(relaySnapshot(this.#config, state));
    }
    this.#versions?.told(state.awaited);
    this.#onFirstState?.();
  }

  /** Why no traffic should come; null: it may. */
  #unready(): string | null {
    if (this.#draining) return "draining";
    if (!this.#listening || this.#traffic.accepts === false) return "nobody takes connections";
    if (this.#versions !== null && !this.#versions.over) return this.#versions.state().why;
    return null;
  }

  #parts(): Record<string, PartState> {
    const downSince = this.#supervisor.downSinceMs;
    const observer: PartState =
      downSince === null
        ? { state: "ok", why: null, since: new Date(this.#needs.clock.wallMs()).toISOString() }
        : {
            state: "degraded",
            why: "the observer process is not running or still opening its store",
            since: new Date(downSince).toISOString(),
          };
    const workers = this.#traffic.health?.();
    return {
      ...(downSince === null ? this.#state?.parts : {}),
      observer,
      ...(this.#versions === null ? {} : { served_versions: this.#versions.state() }),
      ...(workers === undefined ? {} : { workers }),
    };
  }

  async start(): Promise<void> {
    try {
      await this.#startAll();
    } catch (thrown) {
      await this.stop(1000);
      throw thrown;
    }
  }

  async #startAll(): Promise<void> {
    this.#undo.push("observer", () => this.#supervisor.stop(OBSERVER_STOP_MS));
    this.#undo.push("telemetry listener", () => this.#telemetry.stop(0));
    await this.#telemetry.start();
    this.#undo.push("traffic listener", (remainingMs) =>
      this.#traffic.stop(Math.min(remainingMs, this.#config.proxy.drainTimeoutMs)),
    );
    await this.#traffic.start();
    this.#watchCertificates();
    this.#listening = true;
    this.#versions?.start();
    this.#undo.push("version wait", () => this.#versions?.stop());
    await this.#supervisor.start();
  }

  #watchCertificates(): void {
    const { upstream, proxy } = this.#config;
    if (proxy.tls !== null) {
      const { certFile, keyFile } = proxy.tls;
      const apply = ({ cert = "", key = "" }: Texts): void => this.#traffic.setCertificate({ cert, key });
      this.#watch({ cert: certFile, key: keyFile }, { purpose: "shown to clients", apply });
    }
    if (Object.keys(upstream.tlsFiles).length === 0) return;
    const apply = (texts: Texts): void => this.#traffic.setUpstreamTls({ ...upstream.tls, ...texts });
    this.#watch(upstream.tlsFiles, { purpose: "on the way to the model server", apply });
  }

  #watch(files: Texts, use: Pick<CertificateNeeds, "purpose" | "apply">): void {
    const { clock, log } = this.#needs;
    const watch = new CertificateWatch(files, { clock, log, ...use });
    watch.start();
    this.#watches.push(watch);
    this.#undo.push("certificate watch", () => watch.stop());
  }

  async reload(): Promise<void> {
    await Promise.all(this.#watches.map((watch) => watch.reload()));
  }

  async observed(withinMs: number): Promise<boolean> {
    if (this.#state !== null) return true;
    return await new Promise((resolve) => {
      const timer = this.#needs.clock.after(withinMs, () => resolve(false));
      this.#onFirstState = () => {
        timer.cancel();
        this.#onFirstState = null;
        resolve(true);
      };
    });
  }

  /** Readiness goes red at once; then traffic drains, the telemetry listener closes, and the observer flushes. */
  async stop(deadlineMs: number): Promise<void> {
    this.#draining = true;
    await this.#undo.run(deadlineMs);
  }
}

/** `config` is frozen and whole; nothing visible happens before `start`. */
export function createApp(config: Config, needs: AppNeeds): App {
  return new Application(config, needs);
}
