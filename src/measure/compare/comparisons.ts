// Comparison of two versions while people keep looking: every version against the one before it and against production,
// any two on request.
// A row counts once, with the first label that joins, in the order of the predictions behind a watermark; what comes later, and
// corrections, do not move it. Order of arrival would: slow positives would make one version look better than it is.

import type { ModelSpec } from "../../facts/model.ts";
import type { Change, Truth } from "../../facts/pair.ts";
import type { Prediction } from "../../facts/prediction.ts";
import { type Archive, ArchiveError, archiveMap, archiveSame, textKey } from "../../kernel/archive.ts";
import {
  type Arm,
  baselinesOf,
  type ModelArms,
  resume,
  type SavedModel,
  savedPairs,
  shadowKey,
  timelinesOf,
} from "./arms.ts";
import { archiveArms, emptyArm } from "./archive-arms.ts";
import { Delays } from "./delays.ts";
import { createLossReader, type Costs } from "./losses.ts";
import { Matcher, RecentRows } from "./matcher.ts";
import { exchanged, PairTest, type ComparedMetric } from "./pair-test.ts";
import { paneEnd, paneStep, Timeline } from "./timeline.ts";

/** Versions of all models. Beyond, the one that was quiet for longest goes, with its comparisons. About 200 KB each at most. */
export const VERSIONS_MAX = 100;
/** Pairs of versions that answered the same requests; beyond, their rows are compared unpaired. */
const SHADOWS_MAX = 50;
/** Saved models that wait for their `rebuild`. */
const SAVED_MAX = 1000;

export interface ComparisonNeeds {
  specOf(model: string): ModelSpec | null;
  /** Unix ms. */
  now(): number;
  /**
   * How long after a prediction its label can be counted on, in ms: rows younger than that wait. Called with the delay by which
   * 95 % of the labels of the model that came had come.
   */
  lagOf(model: string, measuredMs: number): number;
  /** Retained rows of a version with the truth that holds; for `rebuild`, as is `versionsOf`. */
  scan(
    range: {
      readonly model: string;
      readonly version: string;
      readonly fromTs: number;
      readonly toTs: number;
    },
    visit: (row: number, prediction: Prediction, truth: Truth | null) => void,
  ): void;
  /** Versions with retained rows, in the order in which they were first seen. */
  versionsOf(model: string): Iterable<string>;
  /** The version declared to be in production; null: none is. */
  productionOf(model: string): string | null;
}

/** One pair of versions, now. Times in Unix ms. */
export interface Comparison {
  readonly model: string;
  readonly baseline: string;
  readonly candidate: string;
  /** Predictions up to here are counted; null: none yet. */
  readonly watermark: number | null;
  readonly metrics: readonly ComparedMetric[];
}

export interface ComparisonCounters {
  readonly versions: number;
  /** Versions that were dropped for want of room. */
  readonly droppedVersions: number;
  /** Labels that came after their time had been counted. */
  readonly late: number;
  /** Labelled rows that found no room. */
  readonly crowded: number;
}

/** `known`: told again, nothing has just arrived. */
type News = "arriving" | "known";
interface Row {
  readonly prediction: Prediction;
  readonly truth: Truth;
}

export class Comparisons {
  readonly #needs: ComparisonNeeds;
  readonly #models = new Map<string, ModelArms>();
  readonly #saved = new Map<string, SavedModel>();
  #droppedVersions = 0;
  #late = 0;
  #crowded = 0;

  constructor(needs: ComparisonNeeds) {
    this.#needs = needs;
  }

  /** Takes one change of the ledger, in commit order. */
  apply(change: Change): void {
    this.#take(change, "arriving");
  }

  /** The same for what is told again at the start. */
  restore(change: Change): void {
    this.#take(change, "known");
  }

  /** Reads a model's rows again: at the start (after `load`), and when its task was resolved. */
  rebuild(model: string): void {
    this.#models.delete(model);
    const known = this.#modelOf(model);
    if (known === null) return;
    const versions = [...this.#needs.versionsOf(model)];
    const saved = this.#saved.get(model);
    this.#saved.delete(model);
    for (const version of versions) this.#armOf(known, version);
    if (saved === undefined) {
      this.#scan(model, versions, ({ prediction, truth }) =>
        known.delays.add(truth.firstReceivedAt - prediction.ts),
      );
    } else known.delays.load(saved.delays);
    this.#scan(model, versions, (row) => this.#labelled(known, row, "known"));
    for (const pair of saved?.pairs ?? []) resume(known, pair);
  }

  /** Every version against the one before it, and against production. */
  all(): Comparison[] {
    const found: Comparison[] = [];
    for (const known of this.#models.values()) {
      this.#advance(known);
      for (const candidate of known.arms) found.push(...lookAll(known, candidate));
    }
    return found;
  }

  /** Any two versions; those not compared all the time from the hours that are kept. null: one of them is not known. */
  between(
    model: string,
    versions: { readonly baseline: string; readonly candidate: string },
  ): Comparison | null {
    const known = this.#models.get(model);
    const first = known?.arms.findIndex(({ version }) => version === versions.baseline) ?? -1;
    const second = known?.arms.findIndex(({ version }) => version === versions.candidate) ?? -1;
    const baseline = known?.arms[first];
    const candidate = known?.arms[second];
    if (known === undefined || baseline === undefined || candidate === undefined || first === second)
      return null;
    this.#advance(known);
    if (second < first) {
      const metrics = this.#metrics(known, second, first).map(exchanged);
      return comparisonOf(known, { baseline, candidate, metrics });
    }
    return comparisonOf(known, { baseline, candidate, metrics: this.#metrics(known, first, second) });
  }

  /** Models with versions under comparison. */
  models(): string[] {
    return [...this.#models.keys()];
  }

  /** In the order in which they were first seen. */
  versionsOf(model: string): string[] {
    return this.#models.get(model)?.arms.map(({ version }) => version) ?? [];
  }

  counters(): ComparisonCounters {
    let versions = 0;
    for (const { arms } of this.#models.values()) versions += arms.length;
    return {
      versions,
      droppedVersions: this.#droppedVersions,
      late: this.#late,
      crowded: this.#crowded,
    };
  }

  /** What must outlive the process: the sums of finished hours may be older than the rows that are kept. */
  save(): SavedModel[] {
    return [...this.#models].map(([name, known]) => ({
      name,
      delays: known.delays.save(),
      pairs: savedPairs(known),
    }));
  }

  /** Before `rebuild`, which goes on from the saved sums. What does not fit any more is left out. */
  load(saved: readonly SavedModel[]): void {
    for (const model of saved.slice(0, SAVED_MAX)) this.#saved.set(model.name, model);
  }

  /** To a checkpoint or, while nothing is known, from one. Throws an ArchiveError when it does not fit; then `clear` it. */
  archive(io: Archive): void {
    const armsOf = (known: ModelArms | undefined, model: string): ModelArms => {
      const arms = known ?? this.#emptyModel(model);
      if (arms === null) throw new ArchiveError(`the model ${model} is not compared any more`);
      archiveSame(io, JSON.stringify(this.#needs.specOf(model)), `how the model ${model} is compared`);
      archiveArms(io, arms);
      return arms;
    };
    archiveMap(io, this.#models, { key: textKey(io), value: armsOf });
  }

  /** After `archive` and what has changed since; `load` came before: saved sums may be younger. */
  resume(): void {
    for (const { name, pairs } of this.#saved.values()) {
      const known = this.#models.get(name);
      if (known === undefined) continue;
      for (const pair of pairs) {
        const arm = known.arms.find(({ version }) => version === pair.candidate);
        const foldedTo = arm?.tests.get(pair.baseline)?.foldedTo ?? Number.NEGATIVE_INFINITY;
        if (pair.foldedTo >= foldedTo) resume(known, pair);
      }
    }
    this.#saved.clear();
  }

  clear(): void {
    this.#models.clear();
  }

  #take(change: Change, news: News): void {
    if (change.kind === "forgotten") return;
    const { prediction } = change;
    const known = this.#modelOf(prediction.model);
    if (known === null) return;
    const arm = this.#armOf(known, prediction.version);
    arm.lastTs = Math.max(arm.lastTs, prediction.ts);
    if (change.kind === "predicted") return;
    if (change.after === null) known.retracted.add(change.row);
    else if (change.before === null && !known.retracted.has(change.row)) {
      known.delays.add(change.after.firstReceivedAt - prediction.ts);
      this.#labelled(known, { prediction, truth: change.after }, news);
    }
  }

  #labelled(known: ModelArms, row: Row, news: News): void {
    const { prediction, truth } = row;
    const { ts, version } = prediction;
    const costs = known.reader.read(prediction, truth.value);
    const arm = known.arms.find((each) => each.version === version);
    if (costs === null || arm === undefined) return;
    const lag = this.#lag(known);
    const step = paneStep(Number.isFinite(lag) ? lag : 0);
    const end = paneEnd(ts, step);
    // Read again at a start, a row counts whatever its delay: how far the watermark was when its label came is not known any more.
    if (news === "arriving" && end <= Math.max(known.watermark, truth.firstReceivedAt - lag)) {
      this.#late++;
      return;
    }
    if (arm.timeline.isFull) this.#advance(known);
    this.#count(arm.timeline, { end, costs }, { lag, news });
    if (known.arms.length < 2) return;
    const answer = { version, ts, costs };
    for (const other of known.matcher.meet(prediction.id, answer)) {
      const timeline = this.#shadowOf(known, version, other.version);
      const later = paneEnd(Math.max(ts, other.ts), step);
      const [first, second] = version < other.version ? [costs, other.costs] : [other.costs, costs];
      const differences = second.map((cost, i) => cost - (first[i] ?? Number.NaN));
      if (timeline !== null) this.#count(timeline, { end: later, costs: differences }, { lag, news });
    }
  }

  #count(timeline: Timeline, row: { end: number; costs: Costs }, at: { lag: number; news: News }): void {
    if (at.news === "known" && row.end <= this.#needs.now() - at.lag) timeline.addClosed(row.end, row.costs);
    else if (!timeline.add(row.end, row.costs)) this.#crowded++;
  }

  #shadowOf(known: ModelArms, one: string, other: string): Timeline | null {
    const key = shadowKey(one, other);
    const timeline = known.shadows.get(key);
    if (timeline !== undefined) return timeline;
    if (known.shadows.size >= SHADOWS_MAX) {
      this.#crowded++;
      return null;
    }
    const fresh = new Timeline(known.reader.losses.length);
    known.shadows.set(key, fresh);
    return fresh;
  }

  #modelOf(model: string): ModelArms | null {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    const fresh = this.#emptyModel(model);
    if (fresh !== null) this.#models.set(model, fresh);
    return fresh;
  }

  #emptyModel(model: string): ModelArms | null {
    const reader = createLossReader(this.#needs.specOf(model));
    if (reader === null) return null;
    return {
      name: model,
      reader,
      arms: [],
      shadows: new Map(),
      matcher: new Matcher(),
      delays: new Delays(),
      retracted: new RecentRows(),
      watermark: Number.NEGATIVE_INFINITY,
    };
  }

  #armOf(known: ModelArms, version: string): Arm {
    const arm = known.arms.find((each) => each.version === version);
    if (arm !== undefined) return arm;
    this.#makeRoom();
    const { losses } = known.reader;
    const fresh = emptyArm(version, losses.length);
    known.arms.push(fresh);
    return fresh;
  }

  #makeRoom(): void {
    let versions = 0;
    let quietest: { known: ModelArms; at: number; lastTs: number } | null = null;
    for (const known of this.#models.values()) {
      versions += known.arms.length;
      for (const [at, { lastTs }] of known.arms.entries()) {
        if (quietest === null || lastTs < quietest.lastTs) quietest = { known, at, lastTs };
      }
    }
    if (versions < VERSIONS_MAX || quietest === null) return;
    const { known, at } = quietest;
    const [gone] = known.arms.splice(at, 1);
    for (const other of known.arms) known.shadows.delete(shadowKey(gone?.version ?? "", other.version));
    this.#droppedVersions++;
  }

  #lag(known: ModelArms): number {
    return this.#needs.lagOf(known.name, known.delays.most());
  }

  /** Closes what is old enough and takes finished hours into the sums. */
  #advance(known: ModelArms): void {
    known.watermark = Math.max(known.watermark, this.#needs.now() - this.#lag(known));
    for (const { timeline } of known.arms) timeline.close(known.watermark);
    for (const timeline of known.shadows.values()) timeline.close(known.watermark);
    const production = this.#needs.productionOf(known.name);
    for (const [i, candidate] of known.arms.entries()) {
      const baselines = baselinesOf(known, i, production);
      for (const version of candidate.tests.keys()) {
        if (!baselines.some((each) => each.version === version)) candidate.tests.delete(version);
      }
      for (const baseline of baselines) {
        const test = candidate.tests.get(baseline.version) ?? new PairTest(known.reader.losses);
        candidate.tests.set(baseline.version, test);
        test.fold(timelinesOf(known, baseline, candidate), known.watermark);
      }
    }
  }

  #scan(model: string, versions: readonly string[], visit: (row: Row) => void): void {
    const range = { model, fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
    for (const version of versions) {
      this.#needs.scan({ ...range, version }, (_row, prediction, truth) => {
        if (truth !== null) visit({ prediction, truth });
      });
    }
  }

  #metrics(known: ModelArms, first: number, second: number): ComparedMetric[] {
    const baseline = known.arms[first];
    const candidate = known.arms[second];
    if (baseline === undefined || candidate === undefined) return [];
    const timelines = timelinesOf(known, baseline, candidate);
    const standing = candidate.tests.get(baseline.version);
    if (standing !== undefined) return standing.look(timelines);
    const test = new PairTest(known.reader.losses);
    test.fold(timelines, known.watermark);
    return test.look(timelines);
  }
}

/** The candidate against each of its baselines. */
function lookAll(known: ModelArms, candidate: Arm): Comparison[] {
  const found: Comparison[] = [];
  for (const [version, test] of candidate.tests) {
    const baseline = known.arms.find((each) => each.version === version);
    if (baseline === undefined) continue;
    const metrics = test.look(timelinesOf(known, baseline, candidate));
    found.push(comparisonOf(known, { baseline, candidate, metrics }));
  }
  return found;
}

function comparisonOf(
  known: ModelArms,
  found: { readonly baseline: Arm; readonly candidate: Arm; readonly metrics: readonly ComparedMetric[] },
): Comparison {
  const { baseline, candidate, metrics } = found;
  const watermark = Number.isFinite(known.watermark) ? known.watermark : null;
  return { model: known.name, baseline: baseline.version, candidate: candidate.version, watermark, metrics };
}
