// A model's task follows from what it says: what was found is kept, and what cannot be found is said once.

import type { Prediction } from "../facts/prediction.ts";
import type { Log } from "../kernel/log.ts";
import type { Ledger, SavedStates } from "../ledger/types.ts";
import type { ModelBook } from "../observe/models.ts";

const HINTS_MAX = 100;
const STATE_KEY = "models";

export interface LearnerNeeds {
  readonly log: Log;
  readonly book: ModelBook;
  readonly ledger: Pick<Ledger, "saveState">;
  /** The model's windows must be built anew. */
  readonly onLearnt: (model: string) => void;
}

export interface Learner {
  learn(model: string, predictions: readonly Prediction[]): void;
  /** Into the book, before the store tells its rows. */
  load(saved: SavedStates): void;
  save(): void;
}

class TaskLearner implements Learner {
  readonly #needs: LearnerNeeds;
  readonly #hinted = new Set<string>();

  constructor(needs: LearnerNeeds) {
    this.#needs = needs;
  }

  learn(model: string, predictions: readonly Prediction[]): void {
    const { book, log, onLearnt } = this.#needs;
    const learnt = book.learn(model, predictions);
    const spec = book.specOf(model);
    if (spec?.task === "auto") this.#hint(model);
    if (learnt === "unchanged") return;
    log.info({ model, task: spec?.task }, "the model's task follows from its predictions");
    this.save();
    onLearnt(model);
  }

  load(saved: SavedStates): void {
    const models = saved.get(STATE_KEY);
    if (models !== null) this.#needs.book.restore(JSON.parse(models));
  }

  save(): void {
    this.#needs.ledger.saveState(STATE_KEY, JSON.stringify(this.#needs.book.save()));
  }

  /** Said once per model: whole numbers may be classes or counts, and only the operator knows. */
  #hint(model: string): void {
    if (this.#hinted.has(model) || this.#hinted.size >= HINTS_MAX) return;
    this.#hinted.add(model);
    this.#needs.log.warn(
      { model, add: `models: [{ name: ${model}, task: regression }]  # or binary, or multiclass` },
      "the model's predictions are whole numbers: they are recorded, not measured, until its task is configured",
    );
  }
}

export function createLearner(needs: LearnerNeeds): Learner {
  return new TaskLearner(needs);
}
