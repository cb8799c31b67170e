// The models known so far: configured ones as they are, others with the task that their predictions reveal.

import type { ModelSpec, Task } from "../facts/model.ts";
import type { Prediction } from "../facts/prediction.ts";
import { OTHER, modelName } from "./names.ts";

/** What is learnt of a model that is not configured; survives restarts. */
export interface SavedModel {
  readonly name: string;
  readonly guess: Guess;
}

/**
 * none -> binary -> integers -> regression | multiclass. Any later state can be reached directly; the last two are final.
 * "integers": whole numbers beside 0 and 1 were seen: classes or counts, nobody can tell.
 */
export type Guess = (typeof GUESSES)[number];
const GUESSES = ["none", "binary", "integers", "regression", "multiclass"] as const;

/** For models that are not configured, and for tasks that are learnt. */
export type ModelDefaults = Omit<ModelSpec, "name" | "task" | "classes" | "positive">;

export interface ModelBook {
  /** null: the model is not known (yet). */
  specOf(model: string): ModelSpec | null;
  /** The task was configured, and no prediction changes it. */
  isFixed(model: string): boolean;
  /** Takes `model` in while there is room; the name to count it under: itself, or `_OTHER`. */
  admit(model: string): string;
  /**
   * Learns from predictions of `model`. "resolved": the task is known now; "changed": it is another one than
   * before (or unknown again), what was measured under the old one is void.
   */
  learn(model: string, predictions: readonly Prediction[]): "unchanged" | "resolved" | "changed";
  all(): readonly ModelSpec[];
  /** Takes back what `save` gave; configured models and names beyond the cap are left out. */
  restore(saved: readonly SavedModel[]): void;
  save(): SavedModel[];
  /** Names that became `_OTHER` because the book was full. */
  overflows(): number;
}

export interface ModelBookOptions {
  readonly configured: readonly ModelSpec[];
  /** Models beyond are `_OTHER`; configured ones always have a place. */
  readonly modelsMax: number;
  readonly defaults: ModelDefaults;
}

interface Entry {
  spec: ModelSpec;
  /** What the operator said, before anything was learnt. */
  readonly base: ModelSpec;
  readonly fixed: boolean;
  guess: Guess;
}

const BINARY_CLASSES: readonly string[] = Object.freeze(["0", "1"]);

/** The guess after one more prediction. */
function nextGuess(guess: Guess, prediction: Prediction): Guess {
  if (guess === "regression" || guess === "multiclass") return guess;
  const { value, score, scores } = prediction;
  if (scores !== null) return "multiclass";
  if (value === null) return score === null || guess !== "none" ? guess : "binary";
  if (value === 0 || value === 1 || value === "0" || value === "1")
    return guess === "none" ? "binary" : guess;
  if (typeof value === "string") return "multiclass";
  if (Number.isInteger(value)) return "integers";
  return score === null ? "regression" : guess;
}

function taskOf(guess: Guess): Task | "auto" {
  return guess === "none" || guess === "integers" ? "auto" : guess;
}

/** The spec for a guess: what was configured stands, the rest follows from the task. */
function specFor(base: ModelSpec, guess: Guess): ModelSpec {
  const task = taskOf(guess);
  if (task !== "binary") return { ...base, task };
  const classes = base.classes ?? BINARY_CLASSES;
  return { ...base, task, classes, positive: base.positive ?? classes.at(-1) ?? "1" };
}

/** `auto` beside a list of classes is settled: two are binary, more are multiclass. */
function settled(spec: ModelSpec): ModelSpec {
  if (spec.task !== "auto" || spec.classes === null || spec.classes.length < 2) return spec;
  const guess = spec.classes.length === 2 ? "binary" : "multiclass";
  return specFor(spec, guess);
}

class Book implements ModelBook {
  readonly #entries = new Map<string, Entry>();
  readonly #options: ModelBookOptions;
  #overflows = 0;

  constructor(options: ModelBookOptions) {
    this.#options = options;
    for (const configured of options.configured) {
      const spec = settled(configured);
      this.#entries.set(spec.name, { spec, base: spec, fixed: spec.task !== "auto", guess: "none" });
    }
  }

  specOf(model: string): ModelSpec | null {
    const entry = this.#entries.get(model);
    if (entry !== undefined) return entry.spec;
    return model === OTHER ? this.#unknown(OTHER) : null;
  }

  isFixed(model: string): boolean {
    return this.#entries.get(model)?.fixed ?? false;
  }

  admit(model: string): string {
    if (this.#entries.has(model)) return model;
    if (model === OTHER) return OTHER;
    if (this.#entries.size >= this.#options.modelsMax) {
      this.#overflows++;
      return OTHER;
    }
    this.#put(model, "none");
    return model;
  }

  learn(model: string, predictions: readonly Prediction[]): "unchanged" | "resolved" | "changed" {
    const entry = this.#entries.get(model);
    if (entry === undefined || entry.fixed) return "unchanged";
    let guess = entry.guess;
    for (const prediction of predictions) guess = nextGuess(guess, prediction);
    if (guess === entry.guess) return "unchanged";
    const before = entry.spec.task;
    entry.guess = guess;
    entry.spec = specFor(entry.base, guess);
    if (entry.spec.task === before) return "unchanged";
    return before === "auto" ? "resolved" : "changed";
  }

  all(): readonly ModelSpec[] {
    return [...this.#entries.values()].map((entry) => entry.spec);
  }

  restore(saved: readonly SavedModel[]): void {
    for (const { name, guess } of saved) {
      if (modelName(name) !== name || !GUESSES.includes(guess)) continue;
      const entry = this.#entries.get(name);
      if (entry === undefined) {
        if (name !== OTHER && this.#entries.size < this.#options.modelsMax) this.#put(name, guess);
      } else if (!entry.fixed) {
        entry.guess = guess;
        entry.spec = specFor(entry.base, guess);
      }
    }
  }

  save(): SavedModel[] {
    return [...this.#entries]
      .filter(([, entry]) => !entry.fixed)
      .map(([name, entry]) => ({ name, guess: entry.guess }));
  }

  overflows(): number {
    return this.#overflows;
  }

  #put(name: string, guess: Guess): void {
    const base = this.#unknown(name);
    this.#entries.set(name, { spec: specFor(base, guess), base, fixed: false, guess });
  }

  #unknown(name: string): ModelSpec {
    return {
      ...this.#options.defaults,
      name,
      task: "auto",
      classes: null,
      positive: null,
    };
  }
}

export function createModelBook(options: ModelBookOptions): ModelBook {
  return new Book(options);
}
