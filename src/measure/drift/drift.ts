// Drift: per model version, how far its predictions and scores (and inputs, where they are captured) have moved from a
// reference, and whether its errors have changed. The first needs no labels, the second only matured ones.

import type { ModelSpec } from "../../facts/model.ts";
import type { Change } from "../../facts/pair.ts";
import type { Prediction } from "../../facts/prediction.ts";
import { type Archive, ArchiveError, archiveSame } from "../../kernel/archive.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import { decidesPositive } from "../estimate/decisions.ts";
import type { EstimatesNeeds } from "../estimate/estimates.ts";
import { VersionBook } from "../estimate/version-book.ts";
import { isReadable } from "../stored-rows.ts";
import { parseWindow } from "../windows.ts";
import { type AlarmCount, LossWatch } from "./losses.ts";
import { StateBook, type Unsaved } from "../saved-states.ts";
import { parseSpread } from "./parse-spreads.ts";
import { type KeptSpread, revive, stateOf } from "./saved-spreads.ts";
import { reviveWatch, WATCH_STATES, watchKey, watchState, watchText, watchTokenOf } from "./saved-watches.ts";
import { createSpread, MERGED_BUCKETS, type StreamKind, type StreamValue } from "./spread.ts";
import { type DriftWindow, DriftStream, type ReferenceRule, type WindowDrift } from "./stream.ts";

export interface DriftOptions {
  /** Versions followed at once, over all models. Further ones are not, and are counted. Default 64. */
  readonly versionsMax?: number;
  /** Streams of one version: two of its predictions, the rest inputs. Further ones are not kept, and their values counted. Default 20. */
  readonly streamsMax?: number;
  /** Buckets that all hours together may hold beyond their first 64 each. Default 2,000,000 (24 MB). */
  readonly bucketsMax?: number;
  /** Windows that are compared, to whole hours. Default 24h and 7d. */
  readonly windows?: readonly string[];
  /** What a stream is compared with. Default: the first hours of the version with 1,000 rows. */
  readonly referenceOf?: (model: string, version: string, stream: string) => ReferenceRule;
  /** Answers are kept this long, by the instants asked for. Default 30,000 ms. */
  readonly refreshMs?: number;
}

export interface StreamDrift {
  /** "score", "prediction", "class", "confidence", or "input:" and the name of an input. */
  readonly stream: string;
  readonly referenceKind: "first" | "span" | "registered";
  readonly referenceRows: number;
  readonly windows: readonly WindowDrift[];
}

export interface VersionDrift {
  readonly model: string;
  readonly version: string;
  readonly streams: readonly StreamDrift[];
  readonly alarms: readonly AlarmCount[];
  /** Rows shown to the detectors of change, and how much of what has matured is still to be shown. */
  readonly lossRows: number;
  readonly behindMs: number;
}

export interface DriftCounters {
  readonly refusedVersions: number;
  /** Values of inputs beyond the cap of streams, or of another kind than the stream's. Only grows. */
  readonly droppedValues: number;
  /** Values counted as `_OTHER`: beyond the 50 categories a stream tells apart. Only grows. */
  readonly otherValues: number;
  readonly bucketsLeft: number;
}

export interface Drift {
  /** Takes one change of the ledger, in commit order. */
  apply(change: Change): void;
  /** The same for what is told again at the start. */
  restore(change: Change): void;
  /** One value of a named input of a row that was predicted: a number, or a category. It is not taken back; its hour expires. */
  input(row: Pick<Prediction, "model" | "version" | "ts">, stream: string, value: StreamValue): void;
  /** Drift as of `nowMs` (Unix ms), sorted by model and version; shows the detectors what has matured since. */
  at(nowMs: number): readonly VersionDrift[];
  /** Forgets the model and reads its rows again: after its task was resolved or changed, and at the start. */
  rebuild(model: string): void;
  /** References, hours of inputs, and what the detectors have learnt: what `load` goes on with after a restart, before the first row is told. */
  unsaved(): Unsaved;
  /** `withInputs`: false leaves the hours of inputs behind; with the next `unsaved` they are dropped. */
  load(states: Iterable<readonly [key: string, value: string]>, withInputs: boolean): void;
  counters(): DriftCounters;
  /** Like that of the measure; without inputs and detectors, which have states of their own. */
  archive(io: Archive): void;
  clear(): void;
}

const VERSIONS_MAX = 64;
const STREAMS_MAX = 20;
const BUCKETS_MAX = 2_000_000;
const REFRESH_MS = 30_000;
const WINDOWS = ["24h", "7d"];
/** Streams whose rows are not in the ledger. */
const INPUT = "input:";
/** Spreads kept of one stream: a reference and the hours of the longest window. */
const KEPT_MAX = 800;
/** Unless something else is said. */
export const FIRST: ReferenceRule = { kind: "first", rows: 1000 };

interface Followed {
  readonly model: string;
  readonly version: string;
  readonly spec: ModelSpec;
  readonly streams: Map<string, DriftStream>;
  readonly losses: LossWatch;
  answered: { readonly at: number; readonly drift: VersionDrift } | null;
}

interface StreamName {
  readonly model: string;
  readonly version: string;
  readonly stream: string;
}

interface StreamBefore {
  readonly kind: StreamKind;
  readonly kept: KeptSpread[];
}

const STREAM_KINDS: readonly StreamKind[] = ["number", "probability", "category"];

interface StreamedValue {
  readonly stream: string;
  readonly kind: StreamKind;
  readonly value: StreamValue;
}

/** What the answer itself says. */
function valuesOf(spec: ModelSpec, prediction: Prediction): StreamedValue[] {
  const { value, score, scores } = prediction;
  const found: StreamedValue[] = [];
  const kind = spec.scoreKind === "probability" ? "probability" : "number";
  const number = (stream: string, of: StreamKind, held: number): void => {
    if (Number.isFinite(held)) found.push({ stream, kind: of, value: held });
  };
  if (spec.task === "regression" && typeof value === "number") number("prediction", "number", value);
  if (spec.task === "binary" && (value !== null || score !== null)) {
    if (score !== null) number("score", kind, score);
    const decided = decidesPositive(spec, prediction) ? "positive" : "negative";
    found.push({ stream: "class", kind: "category", value: decided });
  }
  if (spec.task === "multiclass") {
    const confidence = scores === null ? Number.NaN : Math.max(...Object.values(scores));
    number("confidence", kind, confidence);
    if (value !== null) found.push({ stream: "class", kind: "category", value: canonicalClass(value) });
  }
  return found;
}

class RunningDrift implements Drift {
  readonly #options: DriftOptions;
  readonly #needs: EstimatesNeeds;
  readonly #windows: readonly DriftWindow[];
  readonly #purse: { left: number };
  readonly #book: VersionBook<Followed>;
  /** Version -> what was kept of its streams: taken up when its first row is told, until it is saved again. */
  readonly #kept = new Map<string, Map<string, StreamBefore>>();
  /** Key of a version -> what its detectors had learnt; taken up and given up like `#kept`. */
  readonly #watches = new Map<string, string>();
  readonly #states = new StateBook();
  readonly #tally = { otherValues: 0 };
  #dropped = 0;

  constructor(options: DriftOptions, needs: EstimatesNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#purse = { left: options.bucketsMax ?? BUCKETS_MAX };
    this.#windows = (options.windows ?? WINDOWS).flatMap((name) => {
      const { lengthMs } = parseWindow(name);
      return lengthMs === null ? [] : [{ name, lengthMs }];
    });
    this.#book = new VersionBook<Followed>({
      versionsMax: options.versionsMax ?? VERSIONS_MAX,
      begin: (model, version) => this.#begin(model, version),
      end: ({ streams }) => {
        for (const stream of streams.values()) stream.release();
      },
    });
  }

  apply(change: Change): void {
    const { kind, prediction } = change;
    if (kind === "truth") return;
    const sign = kind === "predicted" ? 1 : -1;
    const followed = this.#book.take(prediction, sign);
    if (followed !== null) {
      for (const each of valuesOf(followed.spec, prediction)) {
        this.#streamOf(followed, each)?.add(prediction.ts, each.value, sign);
      }
    }
    if (sign === -1) this.#book.settle(prediction);
  }

  restore(change: Change): void {
    this.apply(change);
  }

  input(row: Pick<Prediction, "model" | "version" | "ts">, stream: string, value: StreamValue): void {
    const followed = this.#book.take(row, 0);
    if (followed === null || (typeof value === "number" && !Number.isFinite(value))) return;
    const kind = typeof value === "number" ? "number" : "category";
    const into = this.#streamOf(followed, { stream: `${INPUT}${stream}`, kind });
    if (into === null || into.kind !== kind) this.#dropped++;
    else into.add(row.ts, value, 1);
  }

  at(nowMs: number): readonly VersionDrift[] {
    const at = Math.floor(nowMs);
    return this.#book.tracks().map(({ track }) => {
      const { answered } = track;
      const age = answered === null ? Number.POSITIVE_INFINITY : Math.abs(at - answered.at);
      if (answered !== null && age < (this.#options.refreshMs ?? REFRESH_MS)) return answered.drift;
      const drift = this.#answer(track, at);
      track.answered = { at, drift };
      return drift;
    });
  }

  rebuild(model: string): void {
    this.#keep(model);
    const known = this.#book.forget(model);
    const versions = new Set([...known, ...(this.#needs.versionsOf?.(model) ?? [])]);
    const range = { fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
    for (const version of versions) {
      this.#needs.scan({ model, version, ...range }, (row, prediction) => {
        this.apply({ kind: "predicted", row, prediction });
      });
    }
  }

  unsaved(): Unsaved {
    // All has begun by now; a start that began twice needed it twice.
    this.#kept.clear();
    this.#watches.clear();
    const tracks = this.#book.tracks();
    return this.#states.unsaved(
      tracks.flatMap(({ model, version, track: { streams, losses } }) => [
        watchState({ model, version }, losses),
        ...[...streams].flatMap(([stream, of]) =>
          [...of.kept()].map((kept) => stateOf({ model, version, stream, kind: of.kind }, kept)),
        ),
      ]),
    );
  }

  load(states: Iterable<readonly [key: string, value: string]>, withInputs: boolean): void {
    this.#kept.clear();
    this.#watches.clear();
    for (const [key, text] of states) {
      if (key.startsWith(WATCH_STATES)) {
        this.#states.found(key, watchTokenOf(text));
        if (this.#watches.size < VERSIONS_MAX) this.#watches.set(key, text);
        continue;
      }
      const saved = parseSpread(text);
      const spread = saved === null ? null : revive(saved);
      this.#states.found(key, spread?.rows ?? -1);
      if (saved === null || spread === null || (saved.role === "hour" && !withInputs)) continue;
      const { role, from, through } = saved;
      this.#remember(saved, { role, from, through, spread });
    }
  }

  counters(): DriftCounters {
    return {
      refusedVersions: this.#book.refused,
      droppedValues: this.#dropped,
      otherValues: this.#tally.otherValues,
      bucketsLeft: this.#purse.left,
    };
  }

  /** Before the streams of the model are forgotten: they will be begun again. */
  #keep(model: string): void {
    for (const { version, track } of this.#book.tracks().filter((of) => of.model === model)) {
      this.#kept.delete(versionKey({ model, version }));
      this.#watches.set(watchKey({ model, version }), watchText(track.losses));
      for (const [stream, of] of track.streams) {
        for (const kept of of.kept()) {
          // A copy: the stream gives back its buckets.
          const spread = createSpread(of.kind, MERGED_BUCKETS, { left: MERGED_BUCKETS });
          spread.merge(kept.spread);
          this.#remember({ model, version, stream, kind: of.kind }, { ...kept, spread });
        }
      }
    }
  }

  #remember(of: StreamName & { readonly kind: StreamKind }, kept: KeptSpread): void {
    const key = versionKey(of);
    const streams = this.#kept.get(key) ?? new Map<string, StreamBefore>();
    const before = streams.get(of.stream) ?? { kind: of.kind, kept: [] };
    if (this.#kept.size >= VERSIONS_MAX && !this.#kept.has(key)) return;
    if (before.kind !== of.kind || before.kept.length >= KEPT_MAX) return;
    before.kept.push(kept);
    streams.set(of.stream, before);
    this.#kept.set(key, streams);
  }

  archive(io: Archive): void {
    this.#tally.otherValues = io.number(this.#tally.otherValues);
    this.#book.archive(io, (followed) => {
      archiveSame(io, JSON.stringify(followed.spec), `how the model ${followed.model} is followed`);
      this.#archiveStreams(io, followed);
    });
  }

  #archiveStreams(io: Archive, followed: Followed): void {
    const own = [...followed.streams].filter(([stream]) => !stream.startsWith(INPUT));
    const size = io.number(own.length);
    for (let i = 0; i < size; i++) {
      const [name, known] = own[i] ?? ["", null];
      const stream = io.text(name);
      const kind = STREAM_KINDS[io.number(STREAM_KINDS.indexOf(known?.kind ?? "number"))];
      const found = kind === undefined ? null : this.#streamOf(followed, { stream, kind });
      if (found === null) throw new ArchiveError("a stream of drift is not known");
      found.archive(io);
    }
  }

  clear(): void {
    this.#tally.otherValues = 0;
    this.#book.clear();
    this.#purse.left = this.#options.bucketsMax ?? BUCKETS_MAX;
  }

  #answer(followed: Followed, at: number): VersionDrift {
    const { model, version, spec, streams, losses } = followed;
    const until = this.#needs.maturedUntil?.(model, version, at) ?? at - spec.labelHorizonMs;
    // Rows that cannot be read now are not passed by.
    if (isReadable(this.#needs))
      losses.advance({ model, version }, Math.min(Math.floor(until), at), (range, visit) =>
        this.#needs.scan(range, visit),
      );
    return {
      model,
      version,
      // Windows first: a reference may be taken with them.
      streams: [...streams].map(([stream, of]) => {
        const windows = of.at(at);
        return { stream, referenceKind: of.referenceKind, referenceRows: of.referenceRows, windows };
      }),
      alarms: losses.alarms(),
      lossRows: losses.rows,
      behindMs: losses.behindMs,
    };
  }

  #streamOf(followed: Followed, wanted: Pick<StreamedValue, "stream" | "kind">): DriftStream | null {
    const { model, version, streams } = followed;
    const { stream, kind } = wanted;
    const known = streams.get(stream);
    if (known !== undefined) return known;
    if (streams.size >= (this.#options.streamsMax ?? STREAMS_MAX)) return null;
    const rule = this.#options.referenceOf?.(model, version, stream) ?? FIRST;
    const fresh = new DriftStream({
      kind,
      rule,
      windows: this.#windows,
      rowsAreKept: !stream.startsWith(INPUT),
      purse: this.#purse,
      tally: this.#tally,
    });
    const before = this.#kept.get(versionKey(followed))?.get(stream);
    if (before?.kind === kind) for (const each of before.kept) fresh.resume(each);
    streams.set(stream, fresh);
    return fresh;
  }

  #begin(model: string, version: string): Followed | null {
    const spec = this.#needs.specOf(model);
    if (spec === null || spec.task === "auto") return null;
    const streams = new Map<string, DriftStream>();
    const learnt = this.#watches.get(watchKey({ model, version }));
    const losses = learnt === undefined ? null : reviveWatch(new LossWatch(spec), learnt);
    const followed = {
      model,
      version,
      spec,
      streams,
      losses: losses ?? new LossWatch(spec),
      answered: null,
    };
    const key = versionKey(followed);
    // Rows of inputs are not told again: what was kept of them is taken up now.
    for (const [stream, { kind }] of this.#kept.get(key) ?? [])
      if (stream.startsWith(INPUT)) this.#streamOf(followed, { stream, kind });
    return followed;
  }
}

const versionKey = (of: Omit<StreamName, "stream">): string => JSON.stringify([of.model, of.version]);

export function createDrift(options: DriftOptions, needs: EstimatesNeeds): Drift {
  return new RunningDrift(options, needs);
}
