// A ledger with everything that is measured of it, which can be stopped, killed and damaged, and asked what it says.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { LabelEvent } from "../../src/facts/label.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import type { Change } from "../../src/facts/pair.ts";
import type { ExchangeRecord, Value } from "../../src/facts/prediction.ts";
import type { Archive } from "../../src/kernel/archive.ts";
import { createLedger, type Ledger, type LedgerOptions } from "../../src/ledger/ledger.ts";
import { createDrift, type Drift } from "../../src/measure/drift/drift.ts";
import { createEstimates, type Estimates } from "../../src/measure/estimate/estimates.ts";
import { createMeasure, type Measure } from "../../src/measure/measure.ts";
import { normaliseLabel } from "../../src/measure/semantics.ts";
import { DAY_MS, HOUR_MS, Listener } from "../ledger/support.ts";
import type { HandClock } from "./hand-clock.ts";
import { binarySpec, specFor } from "./models.ts";

const WINDOWS = ["1h", "6h", "all"];
const HORIZON_MS = 3 * HOUR_MS;

/** Without rows: one that has some keeps them when they are forgotten, and loses them when all rows are read again. */
const REFERENCE = { kind: "span" as const, from: 0, to: 1 };

export const SPECS: Readonly<Record<string, ModelSpec>> = {
  binary: binarySpec("binary", { windows: WINDOWS, labelHorizonMs: HORIZON_MS }),
  margins: binarySpec("margins", { windows: WINDOWS, scoreKind: "margin", labelHorizonMs: HORIZON_MS }),
  numbers: specFor("numbers", { windows: WINDOWS, labelHorizonMs: HORIZON_MS }),
  classes: specFor("classes", {
    windows: WINDOWS,
    task: "multiclass",
    classes: ["a", "b", "c"],
    labelHorizonMs: HORIZON_MS,
  }),
};

export interface WorldSetup {
  readonly clock: HandClock;
  readonly options: Partial<LedgerOptions>;
  /** False: every start reads all rows. */
  readonly checkpoints: boolean;
  readonly specs?: Readonly<Record<string, ModelSpec>>;
  readonly log?: (message: string, fields: object) => void;
}

export interface Said {
  readonly truths: Record<string, Value | null>;
  readonly groups: readonly unknown[];
  readonly delays: readonly unknown[];
  readonly series: readonly unknown[];
  readonly estimates: readonly unknown[];
  readonly drift: readonly unknown[];
  readonly stats: object;
}

export class World {
  readonly folder: string;
  readonly #setup: WorldSetup;
  ledger: Ledger;
  listener = new Listener();
  measure: Measure;
  #estimates: Estimates;
  #drift: Drift;
  /** Why the last start read all rows; null: it did not. */
  unchecked: string | null = null;
  /** Changes that the last start told. */
  told = 0;

  private constructor(folder: string, setup: WorldSetup) {
    this.folder = folder;
    this.#setup = setup;
    const { clock, specs = SPECS } = setup;
    const rows = {
      specOf: (model: string): ModelSpec | null => specs[model] ?? null,
      versionsOf: (model: string): string[] =>
        this.ledger.stats().series.flatMap((one) => (one.model === model ? [one.version] : [])),
      scan: (range: Parameters<Ledger["scan"]>[0], visit: Parameters<Ledger["scan"]>[1]): boolean =>
        this.ledger.scan(range, visit),
      readable: () => this.ledger.readable(),
    };
    this.measure = createMeasure({ asOf: clock.wallMs() }, rows);
    this.#estimates = createEstimates({ refreshMs: 0, refreshAtOnce: 100 }, rows);
    this.#drift = createDrift({ refreshMs: 0, windows: ["6h"], referenceOf: () => REFERENCE }, rows);
    this.ledger = this.#createLedger();
  }

  static open(setup: WorldSetup, folder = mkdtempSync(join(tmpdir(), "outrider-world-"))): World {
    const world = new World(folder, setup);
    const opened = world.ledger.open();
    assert.ok(opened.kind === "open", JSON.stringify(opened));
    world.unchecked = opened.unchecked;
    world.#live = true;
    return world;
  }

  #live = false;
  #breaks = false;

  #createLedger(): Ledger {
    const { clock, options, checkpoints, log } = this.#setup;
    const say = (fields: object, message: string): void => log?.(message, fields);
    return createLedger(
      {
        path: this.folder,
        retentionMs: 2 * DAY_MS,
        labelHorizonMs: HORIZON_MS,
        groupCommitMs: 25,
        ...options,
      },
      {
        clock,
        log: { debug: say, info: say, warn: say, error: say, fatal: say, trace: say } as never,
        normalise: (_model, told) => {
          if (this.#breaks)
            throw Object.assign(new Error("disk I/O error"), { code: "ERR_SQLITE_ERROR", errcode: 10 });
          return normaliseLabel(null, told);
        },
        onChanges: (changes) => this.#take(changes),
        ...(checkpoints
          ? { checkpointed: { name: "test", archive: (io) => this.#archive(io), clear: () => this.#clear() } }
          : {}),
      },
    );
  }

  #take(changes: readonly Change[]): void {
    this.listener.take(changes);
    for (const change of changes) {
      if (!this.#live) this.told++;
      if (this.#live) this.measure.apply(change);
      else this.measure.restore(change);
      this.#estimates.apply(change);
      this.#drift.apply(change);
    }
  }

  #archive(io: Archive): void {
    this.listener.archive(io);
    this.measure.archive(io);
    this.#estimates.archive(io);
    this.#drift.archive(io);
  }

  #clear(): void {
    this.listener = new Listener();
    this.measure.clear();
    this.#estimates.clear();
    this.#drift.clear();
  }

  async record(exchanges: readonly ExchangeRecord[]): Promise<void> {
    const pending = this.ledger.record(exchanges, null);
    this.ledger.flushNow();
    assert.equal((await pending).kind, "kept");
  }

  async label(events: readonly LabelEvent[]): Promise<void> {
    const pending = this.ledger.label(events);
    this.ledger.flushNow();
    assert.equal((await pending).kind, "kept");
  }

  /** A write fails, and the file cannot be opened again until `heal`: nothing can be read or written. */
  async cutOff(label: LabelEvent): Promise<void> {
    this.#breaks = true;
    const file = join(this.folder, "ledger.db");
    renameSync(file, `${file}.away`);
    mkdirSync(file);
    const pending = this.ledger.label([label]);
    this.ledger.flushNow();
    assert.equal((await pending).kind, "refused");
    this.#breaks = false;
    assert.equal(this.ledger.readable(), false);
  }

  heal(): void {
    const file = join(this.folder, "ledger.db");
    rmdirSync(file);
    renameSync(`${file}.away`, file);
  }

  /** Steps of sealing, of checkpoints and of retention, until none is left or so many were done. */
  sweep(most = 1000): void {
    for (let steps = 0; steps < most; steps++)
      if (!this.ledger.sweep(this.#setup.clock.wallMs()).more) return;
    if (most >= 1000) throw new Error("the sweep does not end");
  }

  /** Asks the windows, which moves them. */
  ask(): void {
    const at = this.#setup.clock.wallMs();
    this.measure.groups(at);
    this.measure.groups(at, { basis: "matured" });
    this.#estimates.at(at);
    this.#drift.at(at);
  }

  async stop(): Promise<World> {
    await this.ledger.close();
    return World.open(this.#setup, this.folder);
  }

  /** What a kill leaves: the files as they are, between two transactions. */
  async kill(damage: (folder: string) => void = () => undefined, setup = this.#setup): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), "outrider-world-"));
    cpSync(this.folder, folder, { recursive: true });
    await this.remove();
    damage(folder);
    return World.open(setup, folder);
  }

  async remove(): Promise<void> {
    await this.ledger.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  says(): Said {
    const at = this.#setup.clock.wallMs();
    for (let turns = 0; this.measure.catchUp(at); turns++) assert.ok(turns < 1000);
    const { rows, labelled, open, waiting, damaged, series } = this.ledger.stats();
    return {
      truths: this.listener.truths(),
      groups: this.measure.groups(at),
      // The lag falls by two steps or not at all, so it and what it moves depend on when it was asked for.
      delays: this.measure.delays(at).map((delays) => ({ ...delays, lagMs: null })),
      // First and last times are those that were ever seen; forgotten rows take theirs with them when all is read again.
      series: this.measure
        .series()
        .map(({ model, version, predictions, labels }) => ({ model, version, predictions, labels })),
      estimates: this.#estimates.at(at),
      drift: this.#drift.at(at).map(({ model, version, streams }) => ({ model, version, streams })),
      stats: {
        rows,
        labelled,
        open,
        waiting,
        damaged,
        series: series.map(({ model, version, rows: n, labelled: l, pending }) => [
          model,
          version,
          n,
          l,
          pending,
        ]),
      },
    };
  }

  /** Panes and totals against the stored rows. */
  verify(): readonly unknown[] {
    return this.measure.verify(this.#setup.clock.wallMs()).differences;
  }
}
