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
import { parseWindow } from "../windows.ts";
import { type AlarmCount, LossWatch } from "./losses.ts";
import { parseReferences } from "./parse-references.ts";
import { columnsOf, revive, type SavedReference } from "./saved-references.ts";
import type { StreamKind, StreamValue } from "./spread.ts";
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
  /** References taken so far, as text: what `load` goes on with after a restart, before any `rebuild`. */
  save(): string;
  load(text: string): void;
  counters(): DriftCounters;
  /** Like that of the measure; without inputs, and without the detectors, which read what they need. */
  archive(io: Archive): void;
  clear(): void;
}

const VERSIONS_MAX = 64;
const STREAMS_MAX = 20;
const BUCKETS_MAX = 2_000_000;
const REFRESH_MS = 30_000;
const WINDOWS = ["24h", "7d"];
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
  readonly #saved = new Map<string, SavedReference>();
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
    const into = this.#streamOf(followed, { stream: `input:${stream}`, kind });
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
    for (const saved of this.#references()) this.#saved.set(keyOf(saved), saved);
    const known = this.#book.forget(model);
    const versions = new Set([...known, ...(this.#needs.versionsOf?.(model) ?? [])]);
    const range = { fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
    for (const version of versions) {
      this.#needs.scan({ model, version, ...range }, (row, prediction) => {
        this.apply({ kind: "predicted", row, prediction });
      });
    }
  }

  save(): string {
    return JSON.stringify(this.#references());
  }

  load(text: string): void {
    for (const saved of parseReferences(text)) {
      if (this.#saved.size < VERSIONS_MAX * STREAMS_MAX) this.#saved.set(keyOf(saved), saved);
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

  archive(io: Archive): void {
    this.#tally.otherValues = io.number(this.#tally.otherValues);
    this.#book.archive(io, (followed) => {
      archiveSame(io, JSON.stringify(followed.spec), `how the model ${followed.model} is followed`);
      this.#archiveStreams(io, followed);
    });
  }

  #archiveStreams(io: Archive, followed: Followed): void {
    const own = [...followed.streams].filter(([stream]) => !stream.startsWith("input:"));
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

  #references(): SavedReference[] {
    return this.#book
      .tracks()
      .flatMap(({ model, version, track }) =>
        [...track.streams].flatMap(([stream, { kind, taken }]) =>
          taken === null
            ? []
            : [{ model, version, stream, kind, through: taken.through, ...columnsOf(taken) }],
        ),
      );
  }

  #answer(followed: Followed, at: number): VersionDrift {
    const { model, version, spec, streams, losses } = followed;
    const until = this.#needs.maturedUntil?.(model, version, at) ?? at - spec.labelHorizonMs;
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
      purse: this.#purse,
      tally: this.#tally,
    });
    const saved = this.#saved.get(keyOf({ model, version, stream }));
    if (rule.kind === "first" && saved?.kind === kind) fresh.resume(revive(saved));
    streams.set(stream, fresh);
    return fresh;
  }

  #begin(model: string, version: string): Followed | null {
    const spec = this.#needs.specOf(model);
    if (spec === null || spec.task === "auto") return null;
    return { model, version, spec, streams: new Map(), losses: new LossWatch(spec), answered: null };
  }
}

function keyOf(of: { readonly model: string; readonly version: string; readonly stream: string }): string {
  return `${of.model}\u0001${of.version}\u0001${of.stream}`;
}

export function createDrift(options: DriftOptions, needs: EstimatesNeeds): Drift {
  return new RunningDrift(options, needs);
}
