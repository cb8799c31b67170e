// Counters of predictions and labels, a handle per version: found once, used for every row.

import type { LabelOutcome, LabelResult } from "../facts/label.ts";
import type { Change } from "../facts/pair.ts";
import type { Recorder } from "../telemetry/recorder.ts";

const RESULTS: readonly LabelResult[] = [
  "joined",
  "waiting",
  "duplicate",
  "corrected",
  "stale",
  "retracted",
  "rejected",
];
/** Versions with handles; beyond, they are found anew. The recorder caps the series themselves. */
const VERSIONS_MAX = 1000;

type CounterHandle = ReturnType<ReturnType<Recorder["counter"]>["series"]>;
type HistogramHandle = ReturnType<ReturnType<Recorder["histogram"]>["series"]>;

interface Handles {
  readonly predictions: CounterHandle;
  readonly delay: HistogramHandle;
  readonly labels: ReadonlyMap<LabelResult, CounterHandle>;
}

export interface FlowCounters {
  /** `times`: so many labels had this outcome. */
  label(outcome: LabelOutcome, times: number): void;
  /** Only changes that happen now; what was read back from disk is not counted again. */
  change(change: Change): void;
}

class Counters implements FlowCounters {
  readonly #recorder: Recorder;
  readonly #versions = new Map<string, Map<string, Handles>>();
  #count = 0;
  /** The version met last: changes come in runs. */
  #last: { readonly model: string; readonly version: string; readonly handles: Handles } | null = null;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  #handles(model: string, version: string): Handles {
    const last = this.#last;
    if (last?.version === version && last.model === model && isLive(last.handles)) return last.handles;
    const handles = this.#known(model, version);
    this.#last = { model, version, handles };
    return handles;
  }

  #known(model: string, version: string): Handles {
    const known = this.#versions.get(model)?.get(version);
    if (known !== undefined && isLive(known)) return known;
    if (this.#count >= VERSIONS_MAX) {
      this.#versions.clear();
      this.#count = 0;
    }
    const found = this.#find(model, version);
    const versions = this.#versions.get(model) ?? new Map<string, Handles>();
    this.#versions.set(model, versions);
    versions.set(version, found);
    this.#count += 1;
    return found;
  }

  /** All begin at 0, so that the first increment is not lost to `increase()`. */
  #find(model: string, version: string): Handles {
    const recorder = this.#recorder;
    const labels = { model, version };
    recorder.counter("outrider_prediction_id_conflicts_total").zero(labels);
    const results = RESULTS.map((result): [LabelResult, CounterHandle] => {
      recorder.counter("outrider_labels_total").zero({ ...labels, result });
      return [result, recorder.counter("outrider_labels_total").series({ ...labels, result })];
    });
    return {
      predictions: recorder.counter("outrider_predictions_total").series(labels),
      delay: recorder.histogram("outrider_label_delay_seconds").series(labels),
      labels: new Map(results),
    };
  }

  label({ model, version, result }: LabelOutcome, times: number): void {
    if (model !== null && version !== null) this.#handles(model, version).labels.get(result)?.inc(times);
    else
      this.#recorder
        .counter("outrider_labels_total")
        .inc({ model: model ?? "", version: version ?? "", result }, times);
  }

  change(change: Change): void {
    const { model, version, ts } = change.prediction;
    if (change.kind === "predicted") this.#handles(model, version).predictions.inc();
    else if (change.kind === "truth" && change.before === null && change.after !== null) {
      this.#handles(model, version).delay.observe(Math.max(0, change.after.firstReceivedAt - ts) / 1000);
    }
  }
}

function isLive({ predictions, delay }: Handles): boolean {
  return predictions.live && delay.live;
}

export function createFlowCounters(recorder: Recorder): FlowCounters {
  return new Counters(recorder);
}
