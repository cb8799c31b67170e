// The comparison of versions joined to the rest: rows from the ledger, descriptive figures from the measuring room, sums kept in the store.

import type { ComparisonQuery, ComparisonView } from "../api/contract.ts";
import type { Change } from "../facts/pair.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { Problem } from "../kernel/problem.ts";
import type { Ledger } from "../ledger/types.ts";
import { Comparisons } from "../measure/compare/comparisons.ts";
import { describeDifferences, withAccuracy } from "../measure/compare/descriptive.ts";
import type { ComparedMetric } from "../measure/compare/pair-test.ts";
import { parseSavedComparisons } from "../measure/compare/parse-saved.ts";
import type { Measure } from "../measure/measure.ts";
import type { ModelBook } from "../observe/models.ts";

export interface ComparingParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly measure: Measure;
  readonly book: ModelBook;
  readonly productionOf: (model: string) => string | null;
}

export interface Comparing {
  readonly comparisons: Comparisons;
  apply(change: Change): void;
  /** After a checkpoint was read: what it does not cover. */
  restore(change: Change): void;
  /** The same instead of `rebuild`. */
  resume(): void;
  /** Reads what was saved; before the models are rebuilt. */
  load(): void;
  save(): void;
  rebuild(model: string): void;
  compare(query: ComparisonQuery): ComparisonView;
}

const STATE = "comparisons";

class LiveComparing implements Comparing {
  readonly comparisons: Comparisons;
  readonly #parts: ComparingParts;

  constructor(parts: ComparingParts) {
    this.#parts = parts;
    const { clock, ledger, book, productionOf } = parts;
    this.comparisons = new Comparisons({
      specOf: (model) => book.specOf(model),
      now: () => clock.wallMs(),
      productionOf,
      // Rows wait until the labels that come at all are in.
      lagOf: (_model, measuredMs) => measuredMs,
      scan: (range, visit) => ledger.scan(range, visit),
      versionsOf: (model) =>
        ledger
          .stats()
          .series.filter((series) => series.model === model)
          .toSorted((a, b) => a.firstTs - b.firstTs)
          .map((series) => series.version),
    });
  }

  apply(change: Change): void {
    this.comparisons.apply(change);
  }

  restore(change: Change): void {
    this.comparisons.restore(change);
  }

  resume(): void {
    this.comparisons.resume();
  }

  load(): void {
    this.comparisons.load(parseSavedComparisons(this.#parts.ledger.loadState(STATE)));
  }

  save(): void {
    const saved = this.comparisons.save();
    if (saved.length === 0) return;
    if (!this.#parts.ledger.saveState(STATE, JSON.stringify(saved)))
      this.#parts.log.warn({ models: saved.length }, "comparisons of versions could not be saved");
  }

  rebuild(model: string): void {
    this.comparisons.rebuild(model);
  }

  compare(query: ComparisonQuery): ComparisonView {
    const model = this.#modelOf(query.model);
    const versions = this.comparisons.versionsOf(model);
    const candidate = query.candidate ?? versions.at(-1);
    const baseline = query.baseline ?? this.#usualBaseline(model, { versions, candidate });
    for (const version of [baseline, candidate]) {
      if (version === undefined)
        throw new Problem("unknown_version", `${model} has no two versions to compare yet`);
      if (!versions.includes(version))
        throw new Problem("unknown_version", `${model} has no version ${JSON.stringify(version)}`);
    }
    const pair = { baseline: baseline ?? "", candidate: candidate ?? "" };
    if (pair.baseline === pair.candidate)
      throw new Problem("invalid_parameter", "baseline and candidate are the same version", "candidate");
    const at = this.#parts.clock.wallMs();
    const found = this.comparisons.between(model, pair);
    const metrics = [...withAccuracy(found?.metrics ?? []), ...this.#described(model, pair, at)];
    return { at, model, ...pair, countedUntil: found?.watermark ?? null, metrics };
  }

  #modelOf(asked: string | undefined): string {
    const known = this.comparisons.models();
    const [only, ...others] = known;
    const model = asked ?? (others.length === 0 ? only : undefined);
    if (model === undefined && asked === undefined && others.length > 0)
      throw new Problem("invalid_parameter", `model: one of ${known.slice(0, 20).join(", ")}`, "model");
    if (model === undefined || !known.includes(model))
      throw new Problem("unknown_model", "no model of this name is compared");
    return model;
  }

  /** What is in production, or else the version before it. */
  #usualBaseline(
    model: string,
    known: { readonly versions: readonly string[]; readonly candidate: string | undefined },
  ): string | undefined {
    const { versions, candidate } = known;
    const production = this.#parts.productionOf(model);
    const usable = production !== null && production !== candidate && versions.includes(production);
    return usable ? production : before(versions, candidate);
  }

  /** From the widest window that both versions have. */
  #described(
    model: string,
    pair: { readonly baseline: string; readonly candidate: string },
    at: number,
  ): readonly ComparedMetric[] {
    const widest = (version: string): ReturnType<Measure["groups"]>[number] | undefined => {
      const groups = this.#parts.measure.groups(at, { model, version, slice: "" });
      return groups.reduce<(typeof groups)[number] | undefined>(
        (best, group) => (best === undefined || group.n_predictions >= best.n_predictions ? group : best),
        undefined,
      );
    };
    const baseline = widest(pair.baseline);
    const candidate = widest(pair.candidate);
    return baseline === undefined || candidate === undefined ? [] : describeDifferences(baseline, candidate);
  }
}

/** The version before it, in the order in which they were first seen; of the first, the next. */
function before(versions: readonly string[], candidate: string | undefined): string | undefined {
  const at = candidate === undefined ? -1 : versions.indexOf(candidate);
  return at > 0 ? versions[at - 1] : versions.find((version) => version !== candidate);
}

export function createComparing(parts: ComparingParts): Comparing {
  return new LiveComparing(parts);
}
