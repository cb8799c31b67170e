// Recorded events through the same ledger and the same measuring code as live, with the events' own clock.

import { cpSync } from "node:fs";
import { type FileHandle, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Group } from "../facts/group.ts";
import type { LabelEvent } from "../facts/label.ts";
import type { ModelSpec } from "../facts/model.ts";
import type { Change } from "../facts/pair.ts";
import type { ExchangeRecord, Prediction } from "../facts/prediction.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { Ledger, LedgerNeeds, LedgerOptions } from "../ledger/types.ts";
import { createMeasure, type Measure } from "../measure/measure.ts";
import { normaliseLabel } from "../measure/semantics.ts";
import { parseCase, parseEvent, type ReplayEvent } from "./replay-events.ts";

/** Nothing is forgotten and no label comes too late: the events are as old as they are. */
const FOREVER_MS = 1000 * 365 * 86_400_000;
/** Events that wait for each other before they are written. */
const BATCH = 2000;

export interface ReplayOptions {
  /** NDJSON, one event a line, in arrival order. */
  readonly eventsFile: string;
  /** The configuration of a golden case; null: `models` of the needs. */
  readonly caseFile: string | null;
  /** Where the result is written as JSON; null: it is only returned. */
  readonly outFile: string | null;
}

export interface ReplayNeeds {
  readonly createLedger: (
    options: LedgerOptions,
    needs: LedgerNeeds,
  ) => Pick<Ledger, "open" | "record" | "label" | "scan" | "flushNow" | "close">;
  readonly log: Log;
  /** The models of the product's configuration, when there is no case file. */
  readonly models: readonly ModelSpec[];
}

export interface ReplayResult {
  readonly queries: readonly {
    readonly name: string;
    readonly at: number;
    readonly groups: readonly Group[];
  }[];
  readonly counters: Readonly<Record<string, number>>;
}

type OpenLedger = ReturnType<ReplayNeeds["createLedger"]>;
type Fact = Extract<ReplayEvent, { kind: "prediction" | "label" }>;

/** The clock of the events. Nothing waits by it: what was queued is committed when the replay says so. */
function eventClock(now: () => number): Clock {
  const never = { cancel: () => undefined };
  return { wallMs: now, monotonicMs: now, after: () => never, every: () => never };
}

function recordOf(prediction: Prediction): ExchangeRecord {
  const { id, model, version, ts } = prediction;
  const unknown = { traceId: null, method: "POST", route: "", status: null, durationMs: 0, ttfbMs: null };
  return { id, aliases: [], model, version, ts, ...unknown, predictions: [prediction] };
}

class Replay {
  readonly #needs: ReplayNeeds;
  readonly #specs: ReadonlyMap<string, ModelSpec>;
  readonly #folder: string;
  readonly #waiting: Fact[] = [];
  readonly #counters = new Map<string, number>();
  readonly #answers: { name: string; at: number; groups: Group[] }[] = [];
  #now = 0;
  #life = 0;
  #opening = false;
  #ledger: OpenLedger;
  #measure: Measure;

  constructor(folder: string, specs: ReadonlyMap<string, ModelSpec>, needs: ReplayNeeds) {
    this.#folder = folder;
    this.#specs = specs;
    this.#needs = needs;
    this.#measure = this.#createMeasure();
    this.#ledger = this.#openLedger();
  }

  readonly specOf = (model: string): ModelSpec | null => this.#specs.get(model) ?? null;

  async take(event: ReplayEvent): Promise<void> {
    if (event.kind === "refused") {
      this.#count(`${event.what}s_rejected`);
      if (event.what === "label") this.#count("labels_received");
      return;
    }
    this.#now = Math.max(this.#now, event.at);
    switch (event.kind) {
      case "prediction":
      case "label":
        this.#waiting.push(event);
        if (this.#waiting.length >= BATCH) await this.#write();
        return;
      case "query":
        await this.#write();
        this.#answers.push({ name: event.name, at: event.at, groups: this.#measure.groups(event.at) });
        return;
      case "restart":
        await this.#write();
        await this.#restart();
        return;
      default: {
        const never: never = event;
        return never;
      }
    }
  }

  async finish(): Promise<ReplayResult> {
    await this.#write();
    return { queries: this.#answers, counters: Object.fromEntries(this.#counters) };
  }

  close(): Promise<void> {
    return this.#ledger.close();
  }

  #count(name: string, by = 1): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  #createMeasure(): Measure {
    return createMeasure(
      { seriesMax: Number.MAX_SAFE_INTEGER },
      { specOf: this.specOf, scan: (range, visit) => this.#ledger.scan(range, visit) },
    );
  }

  #openLedger(): OpenLedger {
    const options = {
      path: join(this.#folder, String(this.#life)),
      retentionMs: FOREVER_MS,
      labelHorizonMs: FOREVER_MS,
      groupCommitMs: 0,
    };
    const ledger = this.#needs.createLedger(options, {
      clock: eventClock(() => this.#now),
      log: this.#needs.log,
      normalise: (model, label) => {
        const spec = this.specOf(model);
        return spec === null ? { ok: false, message: `unknown model ${model}` } : normaliseLabel(spec, label);
      },
      onChanges: (changes) => this.#learn(changes),
    });
    this.#opening = true;
    const opened = ledger.open();
    this.#opening = false;
    if (opened.kind !== "open") {
      throw new Problem("store", opened.kind === "refused" ? opened.message : opened.why, options.path);
    }
    return ledger;
  }

  #learn(changes: readonly Change[]): void {
    for (const change of changes) {
      if (this.#opening) this.#measure.restore(change);
      else this.#measure.apply(change);
    }
  }

  /** As after kill -9: the files are taken as they are at this moment, nothing is flushed or closed first. */
  async #restart(): Promise<void> {
    const left = this.#ledger;
    const from = join(this.#folder, String(this.#life));
    this.#life++;
    cpSync(from, join(this.#folder, String(this.#life)), { recursive: true });
    await left.close();
    await rm(from, { recursive: true, force: true });
    this.#measure = this.#createMeasure();
    this.#ledger = this.#openLedger();
  }

  /** Writes what waits, in the order of arrival, and waits until it is acknowledged. */
  async #write(): Promise<void> {
    const facts = this.#waiting.splice(0);
    const written: Promise<void>[] = [];
    for (let first = 0; first < facts.length;) {
      const kind = facts[first]?.kind;
      let end = first;
      while (end < facts.length && facts[end]?.kind === kind) end++;
      const run = facts.slice(first, end);
      written.push(kind === "prediction" ? this.#record(run) : this.#label(run));
      first = end;
    }
    this.#ledger.flushNow();
    await Promise.all(written);
  }

  async #record(facts: readonly Fact[]): Promise<void> {
    const records: ExchangeRecord[] = [];
    for (const fact of facts) if (fact.kind === "prediction") records.push(recordOf(fact.prediction));
    const result = await this.#ledger.record(records, null);
    if (result.kind !== "kept") throw new Problem("store", result.message);
    this.#count("predictions_accepted", result.accepted);
    this.#count("predictions_duplicate", result.duplicates);
    this.#count("predictions_conflict", result.conflicts);
    this.#count("predictions_rejected", result.invalid);
  }

  async #label(facts: readonly Fact[]): Promise<void> {
    const labels: LabelEvent[] = [];
    for (const fact of facts) if (fact.kind === "label") labels.push(fact.label);
    const result = await this.#ledger.label(labels);
    if (result.kind !== "kept") throw new Problem("store", result.message);
    this.#count("labels_received", labels.length);
    for (const outcome of result.outcomes) this.#count(`labels_${outcome.result}`);
  }
}

async function readSpecs(options: ReplayOptions, needs: ReplayNeeds): Promise<Map<string, ModelSpec>> {
  const { caseFile } = options;
  if (caseFile !== null) return parseCase(await usable(caseFile, readFile(caseFile, "utf8")));
  return new Map(needs.models.map((spec) => [spec.name, spec]));
}

/** What comes of a file, or a Problem that names it. */
async function usable<T>(file: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (thrown) {
    throw new Problem("file", messageOf(thrown), file);
  }
}

async function play(replay: Replay, events: FileHandle): Promise<ReplayResult> {
  try {
    for await (const line of events.readLines()) {
      if (line !== "") await replay.take(parseEvent(line, replay.specOf));
    }
    return await replay.finish();
  } finally {
    await events.close();
    await replay.close();
  }
}

/**
 * Plays a recorded stream and answers its `query` events (rules and shape: test/golden). A `restart` event drops the
 * ledger as a kill would and opens a new one on what it left. Throws a `Problem` when a file cannot be used.
 */
export async function replay(options: ReplayOptions, needs: ReplayNeeds): Promise<ReplayResult> {
  const specs = await readSpecs(options, needs);
  const { eventsFile, outFile } = options;
  const events = await usable(eventsFile, open(eventsFile));
  const folder = await mkdtemp(join(tmpdir(), "outrider-replay-"));
  try {
    const result = await play(new Replay(folder, specs, needs), events);
    if (outFile !== null) await usable(outFile, writeFile(outFile, `${JSON.stringify(result, null, 1)}\n`));
    return result;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
