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

/** Sends rows in batches of 1 to 4 under our own ids; gives the id of each row. */
export async function predict(
  sidecar: Sidecar,
  model: TrainedModel,
  call: (rows: readonly TrainedRow[]) => Call,
): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let at = 0, n = 1; at < model.rows.length; at += n, n = (n % 4) + 1) {
    const rows = model.rows.slice(at, at + n);
    const id = `${model.name}-${model.version}-${at}`;
    const { path, body } = call(rows);
    const answer = await request(`${sidecar.traffic}${path}`, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", "x-prediction-id": id },
    });
    assert.equal(answer.statusCode, 200, await answer.body.text());
    await answer.body.dump();
    for (const [i, row] of rows.entries()) sent.push({ id: rows.length === 1 ? id : `${id}:${i}`, row });
  }
  return sent;
}

interface Event {
  readonly at: number;
  readonly label: { id: string; label: number | null; ts: number };
}

/** One in ten is never labelled; others come twice, wrong first, or withdrawn. Gives the rows whose label holds. */
export async function label(sidecar: Sidecar, sent: readonly Sent[], seed: number): Promise<Sent[]> {
  const chance = seeded(seed);
  const now = Date.now();
  const events: Event[] = [];
  const surviving: Sent[] = [];
  for (const one of sent) {
    const kind = chance();
    if (kind < 0.1) continue;
    const say = (value: number | null, ts: number): void => {
      events.push({ at: chance(), label: { id: one.id, label: value, ts } });
    };
    say(one.row.target, now);
    if (kind < 0.2) say(one.row.target, now);
    else if (kind < 0.35) say(one.row.target === 0 ? 1 : 0, now - 1000);
    else if (kind < 0.42) say(null, now + 1000);
    if (kind >= 0.35 && kind < 0.42) continue;
    surviving.push(one);
  }
  events.sort((a, b) => a.at - b.at);
  for (let at = 0; at < events.length; at += 50) {
    const batch = events.slice(at, at + 50).map((event) => event.label);
    const answer = await postJson(`${sidecar.api}/v1/labels`, batch);
    assert.equal(answer.status, 200);
    assert.equal(answer.body["rejected"], 0, JSON.stringify(answer.body));
  }
  return surviving;
}
