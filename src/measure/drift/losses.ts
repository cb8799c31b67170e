// Whether what a model says goes wrong more often than before: losses of matured rows, in the order of their predictions,
// through two detectors of change. A detector cannot take a row back, so it is given only rows whose labels have settled.

import type { ModelSpec } from "../../facts/model.ts";
import type { Truth } from "../../facts/pair.ts";
import type { Prediction } from "../../facts/prediction.ts";
import { type Archive, archiveNullable, archiveSame, ArchiveError } from "../../kernel/archive.ts";
import { canonicalClass } from "../../kernel/classes.ts";
import { decidesPositive } from "../estimate/decisions.ts";
import type { MeasureNeeds } from "../measure.ts";
import { createAdwin } from "./adwin.ts";
import { createPageHinkley } from "./page-hinkley.ts";

/** What the detectors are shown at the start without counting alarms: rows of this long before the matured instant. */
const WARM_UP_MS = 24 * 3_600_000;
/** Rows are read a minute at a time; a minute is always read whole. */
const STEP_MS = 60_000;
/** Read per question; the rest waits for the next one. */
const ROWS_PER_QUESTION = 50_000;
const STEPS_PER_QUESTION = 360;
/** A regression's losses are measured in the mean of the first so many. */
const SCALE_ROWS = 200;

export type DetectorName = "adwin" | "page_hinkley";

export interface AlarmCount {
  readonly detector: DetectorName;
  /** up: the losses have become larger. */
  readonly direction: "up" | "down";
  readonly alarms: number;
  /** ts of the prediction with which it was last found (Unix ms); null: never. */
  readonly lastTs: number | null;
}

/** 1 or 0 for a wrong or right class, |prediction - label| for numbers; null: the row has none. */
export function lossOf(spec: ModelSpec, prediction: Prediction, truth: Truth): number | null {
  const { value, score } = prediction;
  switch (spec.task) {
    case "regression": {
      if (typeof value !== "number" || typeof truth.value !== "number") return null;
      const loss = Math.abs(value - truth.value);
      return Number.isFinite(loss) ? loss : null;
    }
    case "binary": {
      if (value === null && score === null) return null;
      const actual = canonicalClass(truth.value);
      if (spec.classes?.includes(actual) === false) return null;
      return decidesPositive(spec, prediction) === (actual === spec.positive) ? 0 : 1;
    }
    case "multiclass":
      return value === null ? null : canonicalClass(value) === canonicalClass(truth.value) ? 0 : 1;
    case "auto":
      return null;
    default: {
      const never: never = spec.task;
      return never;
    }
  }
}

interface Loss {
  readonly ts: number;
  readonly row: number;
  readonly loss: number;
}

/** Goes up when what is archived changes, or its meaning. */
const FORMAT = "losses 1";

/** What a loss follows from: another one, and what was learnt means nothing. */
function lossRule({ task, classes, positive, threshold, scoreKind }: ModelSpec): string {
  return JSON.stringify({ task, classes, positive, threshold, scoreKind });
}

function archiveLosses(io: Archive, losses: readonly Loss[]): Loss[] {
  const flat = io.float64s(Float64Array.from(losses.flatMap(({ ts, row, loss }) => [ts, row, loss])));
  if (flat.length % 3 !== 0 || flat.length >= 3 * SCALE_ROWS) throw new ArchiveError("losses of no kind");
  return Array.from({ length: flat.length / 3 }, (_, i) => {
    const [ts = 0, row = 0, loss = 0] = flat.subarray(3 * i, 3 * i + 3);
    return { ts, row, loss };
  });
}

export class LossWatch {
  readonly #spec: ModelSpec;
  readonly #detectors = [
    { name: "adwin" as const, detector: createAdwin(), up: 0, down: 0, upTs: NEVER, downTs: NEVER },
    {
      name: "page_hinkley" as const,
      detector: createPageHinkley(),
      up: 0,
      down: 0,
      upTs: NEVER,
      downTs: NEVER,
    },
  ];
  /** Rows up to here (Unix ms) have been shown. */
  #position: number | null = null;
  #matured = 0;
  /** Where it was when a row was last read. */
  #readUpTo = -1;
  #countFrom = Number.NEGATIVE_INFINITY;
  #rows = 0;
  /** What a regression's losses are divided by; null: not known yet, the first ones wait. */
  #scale: number | null;
  #waiting: Loss[] = [];

  constructor(spec: ModelSpec) {
    this.#spec = spec;
    this.#scale = spec.task === "regression" ? null : 1;
  }

  /** Rows shown to the detectors. */
  get rows(): number {
    return this.#rows;
  }

  /** Changes when rows were read: -1 before the first. */
  get token(): number {
    return this.#readUpTo;
  }

  /** What the detectors have learnt, and up to where; what has matured since is read again. */
  archive(io: Archive): void {
    archiveSame(io, `${FORMAT} ${lossRule(this.#spec)}`, "what is a loss");
    this.#position = archiveNullable(io, this.#position);
    this.#readUpTo = io.number(this.#readUpTo);
    this.#countFrom = io.number(this.#countFrom);
    this.#rows = io.number(this.#rows);
    this.#scale = archiveNullable(io, this.#scale);
    this.#waiting = archiveLosses(io, this.#waiting);
    for (const watching of this.#detectors) {
      watching.up = io.number(watching.up);
      watching.down = io.number(watching.down);
      watching.upTs = io.number(watching.upTs);
      watching.downTs = io.number(watching.downTs);
      watching.detector.archive(io);
    }
  }

  /** How much of what has matured is still to be shown. */
  get behindMs(): number {
    return this.#position === null ? 0 : Math.max(0, this.#matured - this.#position);
  }

  /** Shows the detectors what has matured since. */
  advance(
    of: { readonly model: string; readonly version: string },
    matured: number,
    scan: MeasureNeeds["scan"],
  ): void {
    if (this.#position === null) {
      this.#position = matured - WARM_UP_MS;
      this.#countFrom = matured;
    }
    this.#matured = matured;
    let read = 0;
    for (let step = 0; step < STEPS_PER_QUESTION && read < ROWS_PER_QUESTION; step++) {
      if (this.#position >= matured) return;
      const toTs = Math.min(this.#position + STEP_MS, matured);
      const losses: Loss[] = [];
      const before = read;
      scan({ ...of, fromTs: this.#position, toTs }, (row, prediction, truth) => {
        read++;
        const loss = truth === null ? null : lossOf(this.#spec, prediction, truth);
        if (loss !== null) losses.push({ ts: prediction.ts, row, loss });
      });
      losses.sort((a, b) => a.ts - b.ts || a.row - b.row);
      for (const loss of losses) this.#take(loss);
      this.#position = toTs;
      if (read > before) this.#readUpTo = toTs;
    }
  }

  alarms(): AlarmCount[] {
    return this.#detectors.flatMap(({ name, up, down, upTs, downTs }) => [
      { detector: name, direction: "up" as const, alarms: up, lastTs: upTs === NEVER ? null : upTs },
      { detector: name, direction: "down" as const, alarms: down, lastTs: downTs === NEVER ? null : downTs },
    ]);
  }

  #take(loss: Loss): void {
    if (this.#scale !== null) {
      this.#show(loss, this.#scale);
      return;
    }
    this.#waiting.push(loss);
    if (this.#waiting.length < SCALE_ROWS) return;
    const mean = this.#waiting.reduce((sum, one) => sum + one.loss, 0) / SCALE_ROWS;
    this.#scale = mean > 0 ? mean : 1;
    for (const first of this.#waiting) this.#show(first, this.#scale);
    this.#waiting = [];
  }

  #show({ ts, loss }: Loss, scale: number): void {
    this.#rows++;
    for (const watching of this.#detectors) {
      const alarm = watching.detector.update(loss / scale);
      if (alarm === null || ts <= this.#countFrom) continue;
      if (alarm === "up") {
        watching.up++;
        watching.upTs = ts;
      } else {
        watching.down++;
        watching.downTs = ts;
      }
    }
  }
}

const NEVER = Number.NEGATIVE_INFINITY;
