// Silence as an answer (`absentMeans`): rows that got no label in time get the value that stands for it, as label events
// through the ledger. Nothing is remembered over a restart: every row is looked at again, and the ledger takes nothing twice.

import type { LabelBatchResult } from "../ledger/types.ts";
import type { LabelEvent } from "../facts/label.ts";
import type { Truth } from "../facts/pair.ts";
import type { Prediction, Value } from "../facts/prediction.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";

/** Rows that one step looks at, as nearly as can be told beforehand: a few milliseconds. */
const STEP_ROWS = 2000;
const SPAN_MIN_MS = 1000;
const SPAN_MAX_MS = 30 * 86_400_000;
const AGAIN_MS = 50;
const PERIOD_MIN_MS = 250;
const PERIOD_MAX_MS = 30_000;

export interface SilentModel {
  readonly model: string;
  readonly value: Value;
  readonly afterMs: number;
}

export interface SilenceNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** Versions that have rows, each with the ts of its oldest. */
  readonly versionsOf: (model: string) => Iterable<{ readonly version: string; readonly firstTs: number }>;
  /** False: not all could be read. */
  readonly scan: (
    of: { readonly model: string; readonly version: string; readonly fromTs: number; readonly toTs: number },
    visit: (row: number, prediction: Prediction, truth: Truth | null) => void,
  ) => boolean;
  readonly label: (events: readonly LabelEvent[]) => Promise<LabelBatchResult>;
  /** Rows that got the value. */
  readonly count: (model: string, version: string, rows: number) => void;
}

export interface Silence extends Part {
  /** A row came: one that is older than where we are has to be looked at as well. */
  predicted(prediction: Prediction): void;
}

interface Place {
  /** Rows up to here were looked at. */
  doneTs: number;
  spanMs: number;
}

class SilenceJob implements Silence {
  readonly #models: readonly SilentModel[];
  readonly #needs: SilenceNeeds;
  /** model -> version -> place; versions that have no rows any more go with the next round. */
  readonly #places = new Map<string, Map<string, Place>>();
  #timer: Timer | null = null;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(models: readonly SilentModel[], needs: SilenceNeeds) {
    this.#models = models;
    this.#needs = needs;
  }

  start(): Promise<void> {
    if (this.#models.length > 0) this.#next(AGAIN_MS);
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  predicted({ model, version, ts }: Prediction): void {
    const place = this.#places.get(model)?.get(version);
    if (place !== undefined && ts <= place.doneTs) place.doneTs = ts - 1;
  }

  #next(ms: number): void {
    if (this.#stopped) return;
    this.#timer = this.#needs.clock.after(ms, () => {
      this.#running = this.#round();
    });
  }

  async #round(): Promise<void> {
    let more = false;
    try {
      const work = this.#models.flatMap((silent) =>
        this.#placesOf(silent.model).map((of) => ({ silent, ...of })),
      );
      for (const { silent, version, place } of work) {
        if (this.#stopped) return;
        more = (await this.#step(silent, version, place)) || more;
      }
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown.message : String(thrown);
      this.#needs.log.error({ error }, "predictions without a label could not be looked at");
    }
    const shortest = Math.min(...this.#models.map(({ afterMs }) => afterMs));
    this.#next(more ? AGAIN_MS : Math.min(PERIOD_MAX_MS, Math.max(PERIOD_MIN_MS, shortest / 4)));
  }

  #placesOf(model: string): { version: string; place: Place }[] {
    const before = this.#places.get(model);
    const places = new Map<string, Place>();
    for (const { version, firstTs } of this.#needs.versionsOf(model)) {
      places.set(version, before?.get(version) ?? { doneTs: firstTs - 1, spanMs: SPAN_MIN_MS });
    }
    this.#places.set(model, places);
    return [...places].map(([version, place]) => ({ version, place }));
  }

  /** Looks at the next rows of a version; true: there are more that are old enough. */
  async #step(silent: SilentModel, version: string, place: Place): Promise<boolean> {
    const { clock, scan, label, count } = this.#needs;
    const { model, value, afterMs } = silent;
    const now = Math.floor(clock.wallMs());
    const endTs = now - afterMs;
    const fromTs = place.doneTs;
    if (fromTs >= endTs) return false;
    const toTs = Math.min(endTs, fromTs + place.spanMs);
    const events: LabelEvent[] = [];
    let rows = 0;
    const isRead = scan({ model, version, fromTs, toTs }, (_row, { id, ts }, truth) => {
      rows++;
      if (truth !== null) return;
      const due = ts + afterMs;
      events.push({ id, model, label: value, ts: due, receivedAt: now, absent: { afterMs } });
    });
    if (!isRead) return false;
    if (rows > STEP_ROWS) place.spanMs = Math.max(SPAN_MIN_MS, Math.floor(place.spanMs / 2));
    else if (rows < STEP_ROWS / 4) place.spanMs = Math.min(SPAN_MAX_MS, place.spanMs * 4);
    // Before the write: a row that comes meanwhile sets it back.
    place.doneTs = toTs;
    if (events.length > 0) {
      const kept = await label(events);
      if (kept.kind === "refused") {
        place.doneTs = Math.min(place.doneTs, fromTs);
        return false;
      }
      count(model, version, kept.outcomes.filter(({ result }) => result === "joined").length);
    }
    return place.doneTs < endTs;
  }
}

export function createSilence(models: readonly SilentModel[], needs: SilenceNeeds): Silence {
  return new SilenceJob(models, needs);
}
