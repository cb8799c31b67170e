// Quality before the labels come: per model version and window, what the metrics will probably turn out to be, learnt from
// the labels that are in; beside them how good such estimates were where the labels have come since.

import type { ModelSpec } from "../../facts/model.ts";
import type { Change } from "../../facts/pair.ts";
import { type Archive, archiveSame } from "../../kernel/archive.ts";
import type { MeasureNeeds } from "../measure.ts";
import { StateBook, type Unsaved } from "../saved-states.ts";
import { parseWindow } from "../windows.ts";
import { createBinaryTrack } from "./binary-track.ts";
import { createMulticlassTrack } from "./multiclass-track.ts";
import { createRegressionTrack } from "./regression-track.ts";
import { parseNotes } from "./parse-notes.ts";
import { type Note, PastNowcasts } from "./past-nowcasts.ts";
import {
  atOnce,
  type EstimateError,
  type EstimateTrack,
  HOUR_MS,
  type InParts,
  spanTo,
  type TrackAnswer,
  type TrackSetup,
  type WindowEstimates,
} from "./track.ts";
import { VersionBook } from "./version-book.ts";

export interface EstimatesOptions {
  /** Versions followed at once, over all models. Further ones are not, and are counted. Default 64. */
  readonly versionsMax?: number;
  /** Buckets that all panes together may hold beyond their first 64 each; beyond, panes get coarser. Default 4,000,000 (128 MB). */
  readonly bucketsMax?: number;
  /** Answers are kept this long, by the instants asked for. Default 30,000 ms. */
  readonly refreshMs?: number;
  /**
   * Versions whose answer is worked out anew by one question, the oldest answers first; it takes some 0.1 s each, whatever the
   * number of rows. The others answer as before, a little longer. Default 2.
   */
  readonly refreshAtOnce?: number;
}

/** Where the rows are, as for the measure, and how far back labels have settled. */
export interface EstimatesNeeds extends MeasureNeeds {
  /** Unix ms: rows up to then have nearly all labels they will get. Default: the label horizon ago. */
  maturedUntil?(model: string, version: string, at: number): number;
  /** Unix ms: rows up to then have all labels they will get. Default: the label horizon ago. */
  completeUntil?(model: string, version: string, at: number): number;
}

export interface VersionWindow extends WindowEstimates {
  /** The newest nowcast whose window has all its labels by now. */
  readonly nowcastErrors: readonly EstimateError[];
}

export interface VersionEstimates extends Pick<TrackAnswer, "labels"> {
  readonly model: string;
  readonly version: string;
  readonly windows: readonly VersionWindow[];
}

export interface EstimatesCounters {
  readonly refusedVersions: number;
  /** Rows that the estimate of their task cannot use: no score, no number. Only grows. */
  readonly unusableRows: number;
  /** Buckets that panes may still take. */
  readonly bucketsLeft: number;
}

export interface Estimates {
  /** Takes one change of the ledger, in commit order. */
  apply(change: Change): void;
  /** The same for what is told again at the start. */
  restore(change: Change): void;
  /** Estimates as of `at` (Unix ms), sorted by model and version. */
  at(nowMs: number): readonly VersionEstimates[];
  /** The same without working anything out: what `work` has found, and no version whose answer is older than five minutes. */
  latest(nowMs: number): readonly VersionEstimates[];
  /** A part of what the last call of `latest` found out of date, some milliseconds; true: call again soon. */
  work(nowMs: number): boolean;
  /** Forgets the model and reads its rows again: after its task was resolved or changed, and at the start. */
  rebuild(model: string): void;
  /** Nowcasts that wait for their labels: what `load` goes on with after a restart. */
  unsaved(): Unsaved;
  load(states: Iterable<readonly [key: string, value: string]>): void;
  counters(): EstimatesCounters;
  /** Like that of the measure. */
  archive(io: Archive): void;
  clear(): void;
}

/** Keys of the store. */
export const NOWCAST_STATES = "nowcast:";

const VERSIONS_MAX = 64;
const BUCKETS_MAX = 4_000_000;
const REFRESH_MS = 30_000;
const REFRESH_AT_ONCE = 2;
/** By then somebody who asks regularly has got a newer answer. */
const STALE_MS = 5 * 60_000;

function trackOf(setup: TrackSetup): EstimateTrack | null {
  const { task } = setup.spec;
  switch (task) {
    case "binary":
      return createBinaryTrack(setup);
    case "regression":
      return createRegressionTrack(setup);
    case "multiclass":
      return createMulticlassTrack(setup);
    case "auto":
      return null;
    default: {
      const never: never = task;
      return never;
    }
  }
}

interface Of {
  readonly model: string;
  readonly version: string;
}

type Answer = Pick<VersionEstimates, "labels" | "windows">;

interface Followed {
  readonly track: EstimateTrack;
  readonly spec: ModelSpec;
  answered: { readonly at: number; readonly answer: Answer } | null;
}

interface OfTrack extends Of {
  readonly track: Followed;
}

class RunningEstimates implements Estimates {
  readonly #needs: EstimatesNeeds;
  readonly #options: EstimatesOptions;
  readonly #bucketsMax: number;
  readonly #purse: { left: number };
  readonly #book: VersionBook<Followed>;
  /** By version; they outlive a rebuild. */
  readonly #past = new Map<string, PastNowcasts>();
  readonly #states = new StateBook();
  #unusable = 0;
  /** Whose answers are out of date, for `work`. */
  #wanted: OfTrack[] = [];
  #working: { readonly at: number; readonly track: Followed; readonly parts: InParts<Answer> } | null = null;

  constructor(options: EstimatesOptions, needs: EstimatesNeeds) {
    this.#needs = needs;
    this.#options = options;
    this.#bucketsMax = options.bucketsMax ?? BUCKETS_MAX;
    this.#purse = { left: this.#bucketsMax };
    this.#book = new VersionBook<Followed>({
      versionsMax: options.versionsMax ?? VERSIONS_MAX,
      begin: (model) => this.#begin(model),
      end: ({ track }) => track.release(),
    });
  }

  apply(change: Change): void {
    const { prediction } = change;
    const rows = change.kind === "predicted" ? 1 : change.kind === "forgotten" ? -1 : 0;
    const followed = this.#book.take(prediction, rows);
    if (followed !== null) this.#count(followed.track, change);
    if (rows === -1) this.#book.settle(prediction);
  }

  restore(change: Change): void {
    this.apply(change);
  }

  at(nowMs: number): readonly VersionEstimates[] {
    const at = Math.floor(nowMs);
    for (const each of this.#due(at).slice(0, this.#options.refreshAtOnce ?? REFRESH_AT_ONCE))
      each.track.answered = { at, answer: atOnce(this.#answer(each, at)) };
    return this.#answers(() => true);
  }

  latest(nowMs: number): readonly VersionEstimates[] {
    const at = Math.floor(nowMs);
    this.#wanted = this.#due(at);
    return this.#answers((answeredAt) => Math.abs(at - answeredAt) <= STALE_MS);
  }

  work(nowMs: number): boolean {
    const next = this.#working === null ? this.#wanted.shift() : undefined;
    if (next !== undefined) {
      const at = Math.floor(nowMs);
      this.#working = { at, track: next.track, parts: this.#answer(next, at) };
    }
    const working = this.#working;
    if (working === null) return false;
    const part = working.parts.next();
    if (part.done !== true) return true;
    working.track.answered = { at: working.at, answer: part.value };
    this.#working = null;
    return this.#wanted.length > 0;
  }

  /** Versions whose answers are out of date, the oldest first. */
  #due(at: number): OfTrack[] {
    const ageOf = ({ track: { answered } }: OfTrack): number =>
      answered === null ? Number.POSITIVE_INFINITY : Math.abs(at - answered.at);
    const isWorkedOn = ({ track }: OfTrack): boolean => this.#working?.track === track;
    return this.#book
      .tracks()
      .filter((each) => !isWorkedOn(each) && ageOf(each) >= (this.#options.refreshMs ?? REFRESH_MS))
      .toSorted((a, b) => ageOf(b) - ageOf(a));
  }

  #answers(isGood: (answeredAt: number) => boolean): VersionEstimates[] {
    return this.#book
      .tracks()
      .flatMap(({ model, version, track: { answered } }) =>
        answered === null || !isGood(answered.at) ? [] : [{ model, version, ...answered.answer }],
      );
  }

  /** What was begun is not finished: its rows are gone. */
  #drop(): void {
    this.#wanted = [];
    this.#working = null;
  }

  rebuild(model: string): void {
    this.#drop();
    const known = this.#book.forget(model);
    const versions = new Set([...known, ...(this.#needs.versionsOf?.(model) ?? [])]);
    const range = { fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
    for (const version of versions) {
      this.#needs.scan({ model, version, ...range }, (row, prediction, truth) => {
        this.apply({ kind: "predicted", row, prediction });
        if (truth !== null) this.apply({ kind: "truth", row, prediction, before: null, after: truth });
      });
    }
  }

  unsaved(): Unsaved {
    const versions = new Set(this.#book.tracks().map(stateKey));
    for (const key of this.#past.keys()) if (!versions.has(key)) this.#past.delete(key);
    return this.#states.unsaved(
      [...this.#past].map(([key, past]) => ({
        key,
        token: past.changes,
        text: () => JSON.stringify(past.all()),
      })),
    );
  }

  load(states: Iterable<readonly [key: string, value: string]>): void {
    for (const [key, text] of states) {
      const past = new PastNowcasts();
      past.load(parseNotes(text));
      this.#states.found(key, past.changes);
      if (this.#past.size < VERSIONS_MAX) this.#past.set(key, past);
    }
  }

  counters(): EstimatesCounters {
    return {
      refusedVersions: this.#book.refused,
      unusableRows: this.#unusable,
      bucketsLeft: this.#purse.left,
    };
  }

  *#answer({ model, version, track: { track, spec } }: OfTrack, at: number): InParts<Answer> {
    const horizonAgo = at - spec.labelHorizonMs;
    const matured = wholeHour(this.#needs.maturedUntil?.(model, version, at) ?? horizonAgo, at);
    const complete = wholeHour(this.#needs.completeUntil?.(model, version, at) ?? horizonAgo, at);
    const moment = { at, matured, complete: Math.min(matured, complete) };
    const key = stateKey({ model, version });
    const past = this.#past.get(key) ?? new PastNowcasts();
    this.#past.set(key, past);
    const due = past.due(at);
    if (due !== null) {
      const then = yield* track.answer({ ...moment, at: due });
      for (const { window, nowcast } of then.windows) past.note(window, due, nowcast.metrics);
      yield;
    }
    const { labels, windows } = yield* track.answer(moment);
    const found: VersionWindow[] = [];
    for (const each of windows) {
      yield;
      const nowcastErrors = settledError(past.settled(each.window, moment.complete), track);
      found.push({ ...each, nowcastErrors });
    }
    return { labels, windows: found };
  }

  archive(io: Archive): void {
    this.#unusable = io.number(this.#unusable);
    this.#book.archive(io, ({ track, spec }) => {
      archiveSame(io, JSON.stringify(spec), `how the model ${spec.name} is estimated`);
      track.archive(io);
    });
  }

  clear(): void {
    this.#drop();
    this.#unusable = 0;
    this.#book.clear();
    this.#purse.left = this.#bucketsMax;
  }

  #count(track: EstimateTrack, change: Change): void {
    const { prediction } = change;
    if (change.kind === "predicted") {
      if (!track.count({ prediction, truth: null }, 1)) this.#unusable++;
      return;
    }
    track.count({ prediction, truth: change.before }, -1);
    if (change.kind === "truth") track.count({ prediction, truth: change.after }, 1);
  }

  #begin(model: string): Followed | null {
    const spec = this.#needs.specOf(model);
    const track = spec === null ? null : trackOf({ spec, purse: this.#purse });
    return spec === null || track === null ? null : { track, spec, answered: null };
  }
}

const stateKey = ({ model, version }: Of): string => `${NOWCAST_STATES}${JSON.stringify([model, version])}`;

function settledError(note: Note | null, track: EstimateTrack): EstimateError[] {
  if (note === null) return [];
  const { lengthMs } = parseWindow(note.window);
  const realised = lengthMs === null ? null : track.realised(spanTo(note.end, lengthMs));
  return Object.entries(note.said).flatMap(([metric, estimated]) => {
    const value = realised?.get(metric);
    return value === undefined ? [] : [{ metric, estimated, realised: value }];
  });
}

const wholeHour = (until: number, at: number): number => Math.floor(Math.min(until, at) / HOUR_MS) * HOUR_MS;

export function createEstimates(options: EstimatesOptions, needs: EstimatesNeeds): Estimates {
  return new RunningEstimates(options, needs);
}
