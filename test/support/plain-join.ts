// A ledger without a disk: the join of the golden rules, as plainly as it can be written. Tests compare the real one with it,
// and feed the measuring room from it.

import type { LabelEvent, LabelOutcome, LabelResult } from "../../src/facts/label.ts";
import type { Change, Truth } from "../../src/facts/pair.ts";
import type { Prediction, Value } from "../../src/facts/prediction.ts";

interface Row {
  readonly row: number;
  readonly prediction: Prediction;
}

interface Held {
  value: Value | null;
  ts: number;
  readonly firstReceivedAt: number;
}

export interface PlainJoin {
  record(predictions: readonly Prediction[]): ("recorded" | "duplicate" | "conflict")[];
  label(events: readonly LabelEvent[]): LabelOutcome[];
  scan(
    range: { model: string; version: string; fromTs: number; toTs: number },
    visit: (row: number, prediction: Prediction, truth: Truth | null) => void,
  ): void;
}

const key = (...parts: string[]): string => JSON.stringify(parts);

export function createPlainJoin(onChange: (change: Change) => void): PlainJoin {
  const rows = new Map<string, Row>();
  const byId = new Map<string, Row[]>();
  const labels = new Map<string, Held>();
  const truthOf = ({ model, id }: Prediction): Truth | null => {
    const held = labels.get(key(model, id));
    if (held === undefined || held.value === null) return null;
    return { value: held.value, ts: held.ts, firstReceivedAt: held.firstReceivedAt };
  };

  const recordOne = (prediction: Prediction): "recorded" | "duplicate" | "conflict" => {
    const { model, version, id } = prediction;
    const known = rows.get(key(model, version, id));
    if (known !== undefined) {
      return JSON.stringify(known.prediction) === JSON.stringify(prediction) ? "duplicate" : "conflict";
    }
    const row = { row: rows.size, prediction };
    rows.set(key(model, version, id), row);
    byId.set(key(model, id), [...(byId.get(key(model, id)) ?? []), row]);
    onChange({ kind: "predicted", ...row });
    const after = truthOf(prediction);
    if (after !== null) onChange({ kind: "truth", ...row, before: null, after });
    return "recorded";
  };

  const labelOne = (event: LabelEvent): LabelResult => {
    const { id, model, label, ts, receivedAt } = event;
    if (model === null || Array.isArray(label)) return "rejected";
    const value = label as Value | null;
    const at = key(model, id);
    const held = labels.get(at);
    const joined = byId.get(at) ?? [];
    if (held !== undefined && ts < held.ts) return value === held.value ? "duplicate" : "stale";
    if (held !== undefined && value === held.value) {
      held.ts = ts;
      return "duplicate";
    }
    const before = joined.map(({ prediction }) => truthOf(prediction));
    labels.set(at, { value, ts, firstReceivedAt: held?.firstReceivedAt ?? receivedAt });
    for (const [i, row] of joined.entries()) {
      const change = { before: before[i] ?? null, after: truthOf(row.prediction) };
      if (change.before !== null || change.after !== null) onChange({ kind: "truth", ...row, ...change });
    }
    if (joined.length === 0) return "waiting";
    if (held === undefined) return "joined";
    return value === null ? "retracted" : "corrected";
  };

  return {
    record: (predictions) => predictions.map(recordOne),
    label: (events) =>
      events.map((event) => ({
        result: labelOne(event),
        code: null,
        message: null,
        model: event.model,
        version: null,
      })),
    scan: ({ model, version, fromTs, toTs }, visit) => {
      for (const { row, prediction } of rows.values()) {
        if (prediction.model !== model || prediction.ts <= fromTs || prediction.ts > toTs) continue;
        if (prediction.version === version) visit(row, prediction, truthOf(prediction));
      }
    },
  };
}
