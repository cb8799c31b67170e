// Everything that is measured, fed together: windows, estimates without labels, drift, and versions compared.

import type { Config } from "../config/config.ts";
import type { Change } from "../facts/pair.ts";
import type { Archive } from "../kernel/archive.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { Ledger, SavedStates } from "../ledger/types.ts";
import { messageOf } from "../kernel/problem.ts";
import { createDrift, type Drift, FIRST } from "../measure/drift/drift.ts";
import { DRIFT_STATES } from "../measure/drift/saved-spreads.ts";
import { parseRegistered } from "../measure/drift/parse-baseline.ts";
import type { ReferenceRule } from "../measure/drift/stream.ts";
import { createEstimates, NOWCAST_STATES, type Estimates } from "../measure/estimate/estimates.ts";
import type { Unsaved } from "../measure/saved-states.ts";
import { createMeasure, type Measure } from "../measure/measure.ts";
import type { MeasureNeeds, VersionDelays } from "../measure/types.ts";
import type { ModelBook } from "../observe/models.ts";
import { createComparing, type Comparing } from "./comparing.ts";
import { InputTail, TAIL_STATES } from "./input-tail.ts";
import type { ObserverVersions } from "./version-desk.ts";
import { LAST_TOTALS } from "./parse-totals.ts";

export interface MeasuringParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: Pick<Config, "models" | "capture">;
  readonly ledger: Ledger;
  readonly book: ModelBook;
  /** Asked for when something is compared: it is put together later. */
  readonly versions: () => Pick<ObserverVersions, "declared" | "record">;
}

export interface Measuring {
  readonly measure: Measure;
  readonly estimates: Estimates;
  readonly drift: Drift;
  readonly comparing: Comparing;
  readonly inputTail: InputTail;
  apply(change: Change): void;
  /** The same for what the store tells again when it is opened. */
  restore(change: Change): void;
  /** What questions would have to wait for, in a step of some 20 ms: matured windows, estimates. True: call again soon. */
  work(at: number): boolean;
  /** All that is measured and not saved elsewhere, to a checkpoint or from one. */
  archive(io: Archive): void;
  clear(): void;
  /** False: some of it is not what the rows say, and is being read again. */
  readonly settled: boolean;
  /** Before the store tells its rows: what was kept beside them. */
  loading(saved: SavedStates): void;
  /** After the store has told its rows. */
  loaded(models: Iterable<string>): void;
  /** The model's task was resolved or has changed: its rows are read again. */
  rebuild(model: string): void;
  /** Some of it only now and then, but all of it when it is the `last` time. */
  save(last?: boolean): void;
  /** At a clean stop: the last totals, which `outrider verify` compares with a recompute. */
  saveTotals(): void;
}

const ROOMS = ["measure", "estimates", "drift"] as const;
type Room = (typeof ROOMS)[number];

/** Rows of matured windows that a question reads: the rest has been caught up with before, so that no scrape holds labels up. */
const QUESTION_ROWS = 2_000;
/** Comparisons are saved less often than what changes little: their sums are read again from where they were. */
const COMPARISONS_MS = 5 * 60_000;
/** A disk that goes on failing is not read as a whole all the time. */
const READ_AGAIN_MS = 60_000;

class AllMeasuring implements Measuring {
  readonly measure: Measure;
  readonly estimates: Estimates;
  readonly drift: Drift;
  readonly comparing: Comparing;
  readonly inputTail = new InputTail();
  readonly #parts: MeasuringParts;
  #comparisonsSavedAt: number;
  /** Models of which a room could not read all rows that it asked for, and when all are read again at the soonest. */
  readonly #unread = { measure: new Set<string>(), estimates: new Set<string>(), drift: new Set<string>() };
  #readAgainAt = Number.NEGATIVE_INFINITY;
  /** It goes on from a checkpoint. */
  #resumed = false;

  constructor(parts: MeasuringParts) {
    this.#parts = parts;
    this.#comparisonsSavedAt = parts.clock.monotonicMs();
    const { clock, ledger, book } = parts;
    const rowsFor = (room: Room): Required<MeasureNeeds> => ({
      specOf: (model) => book.specOf(model),
      versionsOf: (model) =>
        ledger.stats().series.flatMap((series) => (series.model === model ? [series.version] : [])),
      scan: (range, visit) => {
        if (!ledger.scan(range, visit)) this.#unread[room].add(range.model);
      },
      walk: (of, visit) => {
        const row = ledger.walk(of, visit);
        if (row === null) this.#unread[room].add(of.model);
        return row;
      },
      readable: () => ledger.readable(),
    });
    this.measure = createMeasure({ asOf: clock.wallMs(), questionRows: QUESTION_ROWS }, rowsFor("measure"));
    const maturedUntil = this.#maturedUntil.bind(this);
    const completeUntil = this.#completeUntil.bind(this);
    this.estimates = createEstimates({}, { ...rowsFor("estimates"), maturedUntil, completeUntil });
    this.drift = createDrift(
      { referenceOf: this.#referenceOf.bind(this) },
      { ...rowsFor("drift"), maturedUntil },
    );
    this.comparing = createComparing({
      ...parts,
      measure: this.measure,
      productionOf: (model) => parts.versions().declared(model)?.version ?? null,
    });
  }

  /** What was made of them while the disk failed is not what the rows say. Only in `measure` it happens beside a rebuild. */
  #readAgain(): void {
    const { clock, ledger, log } = this.#parts;
    const now = clock.monotonicMs();
    if (!this.#misses() || now < this.#readAgainAt || !ledger.readable()) return;
    this.#readAgainAt = now + READ_AGAIN_MS;
    for (const room of ROOMS) {
      const models = [...this.#unread[room]];
      if (models.length === 0) continue;
      this.#unread[room].clear();
      log.warn(
        { models, room },
        "measuring: some rows could not be read; all rows of these models are read again",
      );
      for (const model of models) {
        if (room === "measure") this.measure.reread(model);
        else this[room].rebuild(model);
      }
    }
  }

  #misses(): boolean {
    return ROOMS.some((room) => this.#unread[room].size > 0);
  }

  get settled(): boolean {
    return !this.#misses() && !this.measure.rereading;
  }

  /** Unix ms: rows up to then have nearly all their labels, by the measured delays; until those are known, by the horizon. */
  #maturedUntil(model: string, version: string, at: number): number {
    return at - (this.#delaysOf(model, version, at)?.lagMs ?? this.#horizonMs(model));
  }

  /** Unix ms: rows up to then have 99 % of their labels; until the delays are known, by the horizon. */
  #completeUntil(model: string, version: string, at: number): number {
    return at - (this.#delaysOf(model, version, at)?.percentiles.get(99) ?? this.#horizonMs(model));
  }

  /** Configured; else the distributions registered with the version; else its first rows. */
  #referenceOf(model: string, version: string, stream: string): ReferenceRule {
    const { config, versions } = this.#parts;
    const configured = config.models.find(({ name }) => name === model)?.drift.reference ?? null;
    if (configured !== null) {
      return "rows" in configured
        ? { kind: "first", rows: configured.rows }
        : { kind: "span", from: Date.parse(configured.from), to: Date.parse(configured.to) };
    }
    const reference = parseRegistered(versions().record(model, version)?.registration?.trainingData, stream);
    return reference === null ? FIRST : { kind: "baseline", reference };
  }

  #delaysOf(model: string, version: string, at: number): VersionDelays | undefined {
    return this.measure.delays(at).find((of) => of.model === model && of.version === version);
  }

  #horizonMs(model: string): number {
    return this.#parts.book.specOf(model)?.labelHorizonMs ?? 0;
  }

  apply(change: Change): void {
    this.measure.apply(change);
    this.estimates.apply(change);
    this.drift.apply(change);
    this.comparing.apply(change);
  }

  restore(change: Change): void {
    this.measure.restore(change);
    this.estimates.restore(change);
    this.drift.restore(change);
    // Without a checkpoint it reads its rows when all is open.
    if (this.#resumed) this.comparing.restore(change);
  }

  work(at: number): boolean {
    try {
      this.#readAgain();
      const behind = this.measure.catchUp(at);
      return this.estimates.work(at) || behind;
    } catch (thrown) {
      this.#parts.log.error({ error: messageOf(thrown) }, "measuring: working ahead failed");
      return false;
    }
  }

  archive(io: Archive): void {
    this.measure.archive(io);
    this.estimates.archive(io);
    this.drift.archive(io);
    this.comparing.comparisons.archive(io);
    if (io.reading) this.#resumed = true;
  }

  clear(): void {
    this.measure.clear();
    this.estimates.clear();
    this.drift.clear();
    this.comparing.comparisons.clear();
    this.#resumed = false;
  }

  loading(saved: SavedStates): void {
    this.estimates.load(saved.under(NOWCAST_STATES));
    const { storeInputs } = this.#parts.config.capture;
    this.drift.load(saved.under(DRIFT_STATES), storeInputs);
    this.inputTail.load(saved.under(TAIL_STATES), storeInputs);
  }

  /** Comparisons go on from sums that are older than the rows: they read for themselves what came after. */
  loaded(models: Iterable<string>): void {
    this.#parts.ledger.saveState(LAST_TOTALS, "");
    this.inputTail.replay(this.drift);
    this.comparing.load();
    if (this.#resumed) this.comparing.resume();
    else for (const model of models) this.comparing.rebuild(model);
  }

  rebuild(model: string): void {
    this.measure.rebuild(model);
    this.estimates.rebuild(model);
    this.drift.rebuild(model);
    this.comparing.rebuild(model);
  }

  saveTotals(): void {
    if (!this.settled) return;
    const at = Math.floor(this.#parts.clock.wallMs());
    this.#parts.ledger.saveState(LAST_TOTALS, JSON.stringify({ at, groups: this.measure.groups(at) }));
  }

  #saveNow({ states, saved }: Unsaved, what: string): void {
    if (states.length === 0) return;
    if (this.#parts.ledger.saveStates(states)) saved();
    else this.#parts.log.warn({ states: states.length }, `${what} could not be saved`);
  }

  save(last = false): void {
    this.#saveNow(this.estimates.unsaved(), "past nowcasts");
    const [drift, tail] = [this.drift.unsaved(), this.inputTail.unsaved()];
    const saved = (): void => {
      drift.saved();
      tail.saved();
    };
    // Together: what the hours have is dropped from the tail, and counts once.
    this.#saveNow({ states: [...drift.states, ...tail.states], saved }, "references and inputs of drift");
    const now = this.#parts.clock.monotonicMs();
    if (!last && now - this.#comparisonsSavedAt < COMPARISONS_MS) return;
    this.#comparisonsSavedAt = now;
    this.comparing.save();
  }
}

export function createMeasuring(parts: MeasuringParts): Measuring {
  return new AllMeasuring(parts);
}
