// The rooms of the observer joined, in road order: read, record and join, measure, export; beside them the API and the watch.

import { createApi, type Api } from "../api/api.ts";
import { DEFAULT_LIMITS } from "../api/contract.ts";
import type { Config } from "../config/config.ts";
import type { Exchange } from "../facts/exchange.ts";
import type { Change } from "../facts/pair.ts";
import type { ExchangeRecord } from "../facts/prediction.ts";
import type { ObserverState, TrafficStats } from "../facts/road.ts";
import type { Clock } from "../kernel/clock.ts";
import { UndoStack, type Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { version } from "../kernel/version.ts";
import { createLedger } from "../ledger/ledger.ts";
import type { Ledger, SavedStates } from "../ledger/types.ts";
import type { Measure } from "../measure/measure.ts";
import { normaliseLabel } from "../measure/semantics.ts";
import { createExtractor, type Extractor } from "../observe/grpc/extractor.ts";
import { createModelBook, type ModelBook } from "../observe/models.ts";
import { createApiNeeds, urlOf } from "./api-needs.ts";
import { checkpointedOf } from "./checkpointed.ts";
import { InputDesk } from "./inputs.ts";
import { createIntake, type Intake, type Stored } from "./intake.ts";
import { extractorOptions, ledgerOptions, modelBookOptions, polledModels } from "./options.ts";
import { createLearner, type Learner } from "./learner.ts";
import { createMeasuring, type Measuring } from "./measuring.ts";
import type { ParsedOpening } from "./parse-road.ts";
import { createVersionPoller, type VersionPoller } from "./poll.ts";
import type { Rendered, Road } from "./road.ts";
import { createServed } from "./served.ts";
import { createSilenceFor } from "./silence.ts";
import { createStateBook } from "./state-book.ts";
import { createObserverStatus, type ObserverStatus } from "./status.ts";
import { createStoreKeeper, type StoreKeeper } from "./store-keeper.ts";
import { createObserverTelemetry, type ObserverTelemetry } from "./telemetry.ts";
import { createObserverVersions, type ObserverVersions } from "./version-desk.ts";
import { TracedPredictions } from "./traced.ts";
import { createWatch } from "./watch.ts";
import { workAhead } from "./work-ahead.ts";

export interface ObserverNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly road: Pick<Road, "ready" | "acknowledge" | "state">;
  /** Beside the ledger, in the store's folder. */
  readonly compiledBytes: () => number;
}

export interface Observer extends Part {
  facts(batch: number, exchanges: readonly Exchange[]): void;
  stats(stats: TrafficStats): void;
  metrics(accept: string, acceptEncoding: string): Promise<Rendered>;
  state(): ObserverState;
}

/** The windows move on with each question; a long silence would have to be caught up with at the next scrape. */
const KEEP_WARM_MS = 30_000;
const SAVE_MS = 30_000;

class Rooms implements Observer {
  readonly #config: Config;
  readonly #session: string;
  readonly #needs: ObserverNeeds;
  readonly #undo: UndoStack;
  readonly #book: ModelBook;
  readonly #ledger: Ledger;
  readonly #measuring: Measuring;
  readonly #measure: Measure;
  readonly #telemetry: ObserverTelemetry;
  readonly #served = createServed();
  readonly #states;
  readonly #external = new Map<string, string>();
  readonly #versions: ObserverVersions;
  readonly #poller: VersionPoller;
  readonly #extractor: Extractor;
  readonly #silence: ReturnType<typeof createSilenceFor>;
  readonly #intake: Intake;
  readonly #keeper: StoreKeeper;
  readonly #api: Api;
  readonly #learner: Learner;
  readonly #traced: TracedPredictions;
  readonly #inputs: InputDesk;
  readonly #status: ObserverStatus;
  #live = false;
  #telling = false;
  #apiOpen = false;

  constructor(opening: ParsedOpening, needs: ObserverNeeds) {
    this.#config = opening.config;
    this.#session = opening.session;
    this.#needs = needs;
    const { clock, log, env } = needs;
    this.#undo = new UndoStack(clock, log);
    this.#traced = new TracedPredictions(
      this.#config.registries.some(({ write }) => write.includes("labels")),
    );
    this.#states = createStateBook(clock, () => this.#tell());
    this.#book = createModelBook(modelBookOptions(this.#config));
    this.#ledger = this.#createLedger();
    this.#measuring = this.#createMeasuring();
    this.#measure = this.#measuring.measure;
    this.#learner = this.#createLearner();
    this.#versions = this.#createVersions();
    const onVersion = this.#onVersion.bind(this);
    this.#poller = createVersionPoller(polledModels(this.#config), { clock, log, onVersion });
    this.#telemetry = createObserverTelemetry(this.#config, {
      clock,
      log,
      env,
      ...this.#rooms(),
      measuring: this.#measuring,
      versions: this.#versions,
      compiledBytes: needs.compiledBytes,
      overflows: () => {
        const { routes, slices } = this.#extractor.overflows();
        return { slice_value: slices, route: routes, model: this.#book.overflows() };
      },
    });
    this.#telemetry.stats(opening.stats);
    this.#status = createObserverStatus(this.#config, {
      clock,
      ...this.#rooms(),
      comparing: this.#measuring.comparing,
      versions: this.#versions,
      states: this.#states,
    });
    this.#status.stats(opening.stats);
    this.#silence = createSilenceFor(this.#config, {
      clock,
      log,
      ledger: this.#ledger,
      recorder: this.#telemetry.recorder,
    });
    this.#extractor = createExtractor(extractorOptions(this.#config, this.#book), {
      externalVersion: (model) => this.#external.get(model) ?? null,
    });
    this.#inputs = new InputDesk(this.#measuring, this.#telemetry.recorder);
    this.#intake = this.#createIntake();
    this.#keeper = createStoreKeeper({
      clock,
      log,
      ledger: this.#ledger,
      states: this.#states,
      onOpen: () => this.#onStoreOpen(),
    });
    this.#api = this.#createApi();
  }

  #rooms(): { ledger: Ledger; measure: Measure; book: ModelBook; served: ReturnType<typeof createServed> } {
    return { ledger: this.#ledger, measure: this.#measure, book: this.#book, served: this.#served };
  }

  #createLedger(): Ledger {
    return createLedger(ledgerOptions(this.#config), {
      clock: this.#needs.clock,
      log: this.#needs.log,
      normalise: (model, label) => normaliseLabel(this.#book.specOf(model), label),
      onLoading: (saved) => this.#onStoreLoading(saved),
      checkpointed: checkpointedOf(this.#served, () => this.#measuring),
      beside: (changes) => this.#inputs.beside(changes),
      onChanges: (changes) => {
        for (const change of changes) this.#onChange(change);
      },
    });
  }

  #createMeasuring(): Measuring {
    const { clock, log } = this.#needs;
    const parts = { config: this.#config, ledger: this.#ledger, book: this.#book };
    return createMeasuring({ clock, log, ...parts, versions: () => this.#versions });
  }

  #createLearner(): Learner {
    const onLearnt = (model: string): void => this.#measuring.rebuild(model);
    return createLearner({ log: this.#needs.log, book: this.#book, ledger: this.#ledger, onLearnt });
  }

  #createVersions(): ObserverVersions {
    const { clock, log } = this.#needs;
    return createObserverVersions({
      clock,
      log,
      config: this.#config,
      recorder: () => this.#telemetry.recorder,
      onExternal: (model, of) => this.#onVersion(model, of),
      measure: this.#measure,
      compare: (query) => this.#measuring.comparing.compare(query),
      served: this.#served,
      states: this.#states,
      onChange: () => this.#tell(),
      onDistributions: (model) => this.#measuring.drift.rebuild(model),
    });
  }

  /** Known from outside the traffic. */
  #onVersion(model: string, version: string): void {
    this.#external.set(model, version);
    this.#tell();
  }

  #createIntake(): Intake {
    const { clock, log, road } = this.#needs;
    const failures = this.#telemetry.recorder.counter("outrider_prediction_extract_failures_total");
    return createIntake({
      clock,
      log,
      read: (exchange) => this.#extractor.read(exchange),
      learn: (model, predictions) => this.#learner.learn(model, predictions),
      count: (exchange, read) => {
        this.#telemetry.exchange(exchange, read);
        this.#status.exchange(exchange);
        if (read.predictions.length > 0) this.#traced.add(exchange);
      },
      countUnreadable: (model, reason) => failures.inc({ model, reason }),
      record: (records, batch) => this.#record(records, batch),
      inputs: this.#inputs,
      acknowledge: (batch, notStored) => road.acknowledge(batch, notStored),
    });
  }

  async #record(records: readonly ExchangeRecord[], batch: number): Promise<Stored> {
    const kept = await this.#ledger.record(records, { session: this.#session, batch });
    if (kept.kind === "refused") {
      // Of a store that is not open the keeper knows why.
      if (kept.cause !== "closed") this.#states.set("store", "degraded", kept.message);
      return { kind: "refused", cause: kept.cause };
    }
    this.#states.set("store", "ok");
    const [first] = records;
    if (kept.conflicts > 0 && first !== undefined) {
      const labels = { model: first.model, version: first.version };
      this.#telemetry.recorder.counter("outrider_prediction_id_conflicts_total").inc(labels, kept.conflicts);
    }
    return { kind: "kept", conflicts: kept.conflicts };
  }

  #createApi(): Api {
    const { clock, log } = this.#needs;
    const parts = {
      clock,
      log,
      ...this.#rooms(),
      states: this.#states,
      countLabel: this.#telemetry.label.bind(this.#telemetry),
      versions: this.#versions,
      compare: this.#measuring.comparing.compare.bind(this.#measuring.comparing),
      estimates: this.#measuring.estimates,
      drift: this.#measuring.drift,
      status: this.#status,
    };
    const { listen, tokens } = this.#config.api;
    const options = { listen, tokens, limits: DEFAULT_LIMITS, softwareVersion: version };
    return createApi(options, createApiNeeds(this.#config, parts));
  }

  /** What happens now is measured and counted; what is read back at the start fills the windows, uncounted. */
  #onChange(change: Change): void {
    const { model, version: of, ts } = change.prediction;
    if (change.kind === "predicted" && this.#served.add(model, of, ts) === "new") {
      this.#versions.seen(model, of);
      this.#tell();
    }
    if (!this.#live) {
      this.#measuring.restore(change);
      return;
    }
    if (change.kind === "predicted") this.#silence.predicted(change.prediction);
    this.#measuring.apply(change);
    if (change.kind === "predicted") this.#inputs.predicted(change.prediction);
    this.#telemetry.change(change);
    // Ground truth also goes to the trace of its prediction, where a registry wants it.
    if (change.kind !== "truth" || this.#traced.isEmpty) return;
    const note = this.#traced.noteOf(change.prediction, change.after, this.#needs.clock.wallMs());
    if (note !== null) this.#versions.registries.label(model, note);
  }

  /** Before the store tells its rows: what they mean must be known by then. */
  #onStoreLoading(saved: SavedStates): void {
    this.#versions.open();
    this.#learner.load(saved);
    this.#measuring.loading(saved);
  }

  /** The store is open (at the start, or after it had refused), and the windows hold its rows. */
  #onStoreOpen(): void {
    const { series } = this.#ledger.stats();
    this.#measuring.loaded(new Set(series.map(({ model }) => model)));
    for (const { model, version: of } of series) this.#versions.seen(model, of);
    this.#live = true;
    if (this.#apiOpen) return;
    this.#apiOpen = true;
    this.#undo.push("api", (ms) => this.#api.stop(ms));
    const opened = this.#api
      .start()
      .then(() => this.#needs.log.info({ api: urlOf(this.#api.address) }, "api open"));
    opened.catch((thrown: unknown) => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      this.#states.set("api", "degraded", why);
      this.#needs.log.error({ error: why }, "the API could not open: no labels can be taken");
    });
  }

  async start(): Promise<void> {
    const { clock, log, road } = this.#needs;
    const { recorder, otlp, spans } = this.#telemetry;
    this.#undo.push("store", async () => {
      this.#learner.save();
      this.#measuring.save(true);
      this.#measuring.saveTotals();
      await this.#ledger.close();
      this.#versions.close();
    });
    // Stopped after recording, so that the last push tells everything.
    this.#undo.push("otlp", (ms) => otlp.stop(ms));
    await otlp.start();
    this.#undo.push("traces", (ms) => spans.stop(ms));
    await spans.start();
    this.#undo.push("recording", () => this.#intake.idle());
    this.#undo.push("store keeper", (ms) => this.#keeper.stop(ms));
    await this.#keeper.start();
    this.#undo.push("silence", (ms) => this.#silence.stop(ms));
    await this.#silence.start();
    for (const part of [
      ...createWatch(this.#config, { clock, log, recorder, states: this.#states, shown: this.#status }),
      this.#status,
      this.#poller,
      this.#versions.registries,
    ]) {
      this.#undo.push("watch", (ms) => part.stop(ms));
      await part.start();
    }
    const warm = clock.every(KEEP_WARM_MS, () => void this.#measure.groups(clock.wallMs()));
    const busy = (): boolean => this.#ledger.stats().queuedItems > 0;
    this.#undo.push("ahead", workAhead({ clock, work: (at) => this.#measuring.work(at), busy }));
    this.#undo.push("windows", () => warm.cancel());
    const saving = clock.every(SAVE_MS, () => this.#measuring.save());
    this.#undo.push("saving", () => saving.cancel());
    road.ready(this.#ledger.lastMark(this.#session));
    this.#tell();
  }

  stop(deadlineMs: number): Promise<void> {
    return this.#undo.run(deadlineMs);
  }

  facts(batch: number, exchanges: readonly Exchange[]): void {
    this.#intake.facts(batch, exchanges);
  }

  stats(stats: TrafficStats): void {
    this.#status.stats(stats);
    this.#telemetry.stats(stats);
  }

  metrics(accept: string, acceptEncoding: string): Promise<Rendered> {
    // Whatever was told before the question is in the answer.
    this.#intake.catchUp();
    return this.#telemetry.render(accept, acceptEncoding);
  }

  /** Changes of state reach the traffic process at the end of this turn, not only with the next beat. */
  #tell(): void {
    if (this.#telling) return;
    this.#telling = true;
    setImmediate(() => {
      this.#telling = false;
      this.#needs.road.state(this.state());
    });
  }

  state(): ObserverState {
    const otlp = this.#telemetry.otlp.state();
    return {
      parts: { ...this.#states.all(), otlp },
      models: this.#versions.models(),
      external: Object.fromEntries(this.#external),
      awaited: [...this.#poller.awaited(), ...this.#versions.awaited()],
      api: this.#api.address,
    };
  }
}

export function createObserver(opening: ParsedOpening, needs: ObserverNeeds): Observer {
  return new Rooms(opening, needs);
}
