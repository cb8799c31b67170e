// Real rows through the sidecar, then their targets as labels in a random but repeatable order, with duplicates, corrections and retractions.

import assert from "node:assert/strict";
import { request } from "undici";
import { postJson, type Sidecar } from "../../support/sidecar.ts";
import type { TrainedModel, TrainedRow } from "./trained.ts";

export interface Sent {
  readonly id: string;
  readonly row: TrainedRow;
}

export interface Call {
  readonly path: string;
  readonly body: string;
}

/** A small repeatable source of chance (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** How a label will name the prediction: by its own id, by the request's id, or by the id that the model gave back. */
export type Naming = "x-prediction-id" | "x-request-id" | "body";

interface Batch {
  readonly id: string;
  readonly naming: Naming;
  readonly rows: readonly TrainedRow[];
}

export interface Plan {
  readonly batches: readonly Batch[];
  readonly events: readonly Event[];
  /** The rows whose label holds in the end. */
  readonly surviving: readonly Sent[];
}

interface Event {
  readonly at: number;
  /** Told before its prediction is made. */
  readonly early: boolean;
  readonly label: { id: string; label: number | null; ts: number };
}

/**
 * Rows in batches of 1 to 4, named in turns, and their labels in a random order: one row in ten is never labelled; others come
 * twice, wrong first, or withdrawn; one label in four is early.
 */
export function plan(model: TrainedModel, namings: readonly Naming[], seed: number): Plan {
  const batches: Batch[] = [];
  for (let at = 0, n = 1; at < model.rows.length; at += n, n = (n % 4) + 1) {
    const naming = namings[batches.length % namings.length] ?? "x-prediction-id";
    const id = `${model.name}-${model.version}-${naming}-${at}`;
    batches.push({ id, naming, rows: model.rows.slice(at, at + n) });
  }
  const sent = batches.flatMap(({ id, rows }) =>
    rows.map((row, i): Sent => ({ id: rows.length === 1 ? id : `${id}:${i}`, row })),
  );
  return { batches, ...labelsFor(sent, seed) };
}

function labelsFor(sent: readonly Sent[], seed: number): Pick<Plan, "events" | "surviving"> {
  const chance = seeded(seed);
  const now = Date.now();
  const events: Event[] = [];
  const surviving: Sent[] = [];
  for (const one of sent) {
    const kind = chance();
    if (kind < 0.1) continue;
    const say = (value: number | null, ts: number): void => {
      events.push({ at: chance(), early: chance() < 0.25, label: { id: one.id, label: value, ts } });
    };
    say(one.row.target, now);
    if (kind < 0.2) say(one.row.target, now);
    else if (kind < 0.35) say(one.row.target === 0 ? 1 : 0, now - 1000);
    else if (kind < 0.42) say(null, now + 1000);
    if (kind >= 0.35 && kind < 0.42) continue;
    surviving.push(one);
  }
  return { events: events.toSorted((a, b) => a.at - b.at), surviving };
}

/** Sends the batches; the model is asked with `id` in the body where that is how labels will name them. */
export async function predict(
  sidecar: Sidecar,
  { batches }: Plan,
  call: (rows: readonly TrainedRow[], id: string | null) => Call,
): Promise<void> {
  for (const { id, naming, rows } of batches) {
    const { path, body } = call(rows, naming === "body" ? id : null);
    const named: Record<string, string> = naming === "body" ? {} : { [naming]: id };
    const answer = await request(`${sidecar.traffic}${path}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...named },
    });
    assert.equal(answer.statusCode, 200, await answer.body.text());
    await answer.body.dump();
    // An alias is one: the prediction has an id of its own.
    if (naming !== "x-prediction-id") assert.notEqual(answer.headers["x-prediction-id"], id);
  }
}

/** Sends the early labels or the others, 50 at a time; none may be refused. Gives the sum of each result. */
export async function label(
  sidecar: Sidecar,
  { events }: Plan,
  when: "early" | "late",
): Promise<Readonly<Record<string, number>>> {
  const due = events.filter(({ early }) => early === (when === "early"));
  const sums: Record<string, number> = {};
  for (let at = 0; at < due.length; at += 50) {
    const batch = due.slice(at, at + 50).map((event) => event.label);
    const answer = await postJson(`${sidecar.api}/v1/labels`, batch);
    assert.equal(answer.status, 200);
    assert.equal(answer.body["rejected"], 0, JSON.stringify(answer.body));
    for (const [key, value] of Object.entries(answer.body))
      if (typeof value === "number") sums[key] = (sums[key] ?? 0) + value;
  }
  assert.equal(sums["received"], due.length);
  return sums;
}
