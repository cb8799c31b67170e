// A ledger in a temporary folder, with a hand-moved clock, and the truth that its changes add up to.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { LabelEvent, LabelOutcome } from "../../src/facts/label.ts";
import type { Change } from "../../src/facts/pair.ts";
import type { ExchangeRecord, Prediction, Value } from "../../src/facts/prediction.ts";
import { type Archive, Kept } from "../../src/kernel/archive.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createLedger } from "../../src/ledger/ledger.ts";
import type {
  Checkpointed,
  Ledger,
  LedgerNeeds,
  LedgerOptions,
  RecordKept,
} from "../../src/ledger/ledger.ts";
import { handClock } from "../support/hand-clock.ts";
import type { HandClock } from "../support/hand-clock.ts";

export const NOW = Date.UTC(2026, 0, 14);
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export function tempFolder(t: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "outrider-ledger-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

type ListenedRow = { readonly prediction: Prediction; truth: Value | null };

function parseRows(json: string): [number, ListenedRow][] {
  return JSON.parse(json) as [number, ListenedRow][];
}

const SHARES = 4;

/** The truth as a listener knows it; checks that every change follows from the ones before. */
export class Listener {
  /** What it has been told is what the rows say. */
  settled = true;
  readonly rows = new Map<number, ListenedRow>();
  /** Rows are parts of the state by their number. */
  readonly #kept = Array.from({ length: SHARES }, () => new Kept());
  changes = 0;

  take(changes: readonly Change[]): void {
    for (const change of changes) {
      this.changes++;
      this.#kept[change.row % SHARES]?.changing();
      if (change.kind === "predicted") {
        assert.ok(!this.rows.has(change.row), "a row is predicted once");
        this.rows.set(change.row, { prediction: change.prediction, truth: null });
        continue;
      }
      const known = this.rows.get(change.row);
      assert.ok(known, "a change concerns a known row");
      assert.deepEqual(change.prediction, known.prediction);
      assert.equal(change.before?.value ?? null, known.truth);
      if (change.kind === "forgotten") this.rows.delete(change.row);
      else known.truth = change.after?.value ?? null;
    }
  }

  /** To a checkpoint and back. */
  archive(io: Archive): void {
    if (io.reading) this.rows.clear();
    for (const [share, kept] of this.#kept.entries()) io.part(kept, (part) => this.#archive(part, share));
  }

  #archive(io: Archive, share: number): void {
    const own = [...this.rows].filter(([row]) => row % SHARES === share);
    const rows = parseRows(io.text(JSON.stringify(own)));
    if (io.reading) for (const [row, known] of rows) this.rows.set(row, known);
  }

  /** `model/version/id` -> truth. */
  truths(): Record<string, Value | null> {
    const rows = [...this.rows.values()].map(({ prediction: p, truth }) => [
      `${p.model}/${p.version}/${p.id}`,
      truth,
    ]);
    return Object.fromEntries(rows.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  }
}

export interface BenchOptions extends Partial<LedgerOptions & Pick<LedgerNeeds, "onLoading">> {
  /** With checkpoints, under this name. */
  readonly checkpoints?: string;
}

export interface Bench {
  readonly ledger: Ledger;
  /** Changes told by the start, and why no checkpoint was used. */
  readonly told: number;
  readonly unchecked: string | null;
  readonly clock: HandClock;
  readonly listener: Listener;
  record(...exchanges: ExchangeRecord[]): Promise<RecordKept>;
  label(...events: LabelEvent[]): Promise<LabelOutcome[]>;
  /** The words of the outcomes; a rejection by its code. */
  say(...events: LabelEvent[]): Promise<string[]>;
}

/** Numbers are numbers; the model `words` takes texts only; the model `unknown` is not known. */
export const normalise: LedgerNeeds["normalise"] = (model, value) => {
  if (model === "unknown") return { ok: false, message: "no such model", code: "unknown_model" };
  if (model === "words")
    return typeof value === "string" ? { ok: true, value } : { ok: false, message: "a text, please" };
  const number = Number(value);
  return Number.isFinite(number) ? { ok: true, value: number } : { ok: false, message: "a number, please" };
};

export function openBench(path: string, given: BenchOptions = {}, clock = handClock(NOW)): Bench {
  const { checkpoints, onLoading = () => undefined, ...options } = given;
  const listener = new Listener();
  const ledger = createLedger(
    { path, retentionMs: 30 * DAY_MS, labelHorizonMs: 7 * DAY_MS, groupCommitMs: 25, ...options },
    {
      clock,
      log: silentLog,
      normalise,
      onLoading,
      onChanges: (changes) => listener.take(changes),
      ...(checkpoints === undefined ? {} : { checkpointed: checkpointed(listener, checkpoints) }),
    },
  );
  const opened = ledger.open();
  assert.notEqual(opened.kind, "refused", JSON.stringify(opened));
  const told = listener.changes;
  const label = async (...events: LabelEvent[]): Promise<LabelOutcome[]> => {
    const result = await ledger.label(events);
    assert.equal(result.kind, "kept");
    return result.kind === "kept" ? [...result.outcomes] : [];
  };
  return {
    ledger,
    clock,
    listener,
    told,
    unchecked: opened.kind === "open" ? opened.unchecked : "a new one",
    record: async (...exchanges) => {
      const pending = ledger.record(exchanges, null);
      ledger.flushNow();
      const result = await pending;
      assert.ok(result.kind === "kept", JSON.stringify(result));
      return result;
    },
    label,
    say: async (...events) => (await label(...events)).map((one) => one.code ?? one.result),
  };
}

/** A listener as the ledger's checkpoints need it. */
export function checkpointed(listener: Listener, name = "test"): Checkpointed {
  return {
    name,
    archive: (io) => listener.archive(io),
    clear: () => listener.rows.clear(),
    ready: () => listener.settled,
  };
}

interface ExchangeParts extends Partial<Omit<ExchangeRecord, "predictions">> {
  /** Values of the rows. Default: one row, 1. */
  readonly values?: readonly Value[];
}

export function exchange(id: string, parts: ExchangeParts = {}): ExchangeRecord {
  const { values = [1], model = "m", version = "1", ts = NOW - HOUR_MS, ...rest } = parts;
  return {
    id,
    aliases: [],
    traceId: null,
    method: "POST",
    route: "/infer",
    status: 200,
    durationMs: 12.5,
    ttfbMs: 11,
    ...rest,
    model,
    version,
    ts,
    predictions: values.map((value, pos) => ({
      model,
      version,
      id: values.length === 1 ? id : `${id}:${pos}`,
      ts,
      value,
      score: 0.25,
      scores: null,
      slice: { region: "eu" },
    })),
  };
}

export function label(id: string, value: LabelEvent["label"], parts: Partial<LabelEvent> = {}): LabelEvent {
  return { id, model: "m", label: value, ts: NOW, receivedAt: NOW, ...parts };
}
