// A checkpoint saves a start from reading old rows and changes no number: neither after a clean stop, nor after kill -9, nor
// when it is damaged, of another version, or older than a label of a row that it counts.

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";

import fc from "fast-check";

import type { LabelEvent } from "../../src/facts/label.ts";
import type { ExchangeRecord, Prediction, Value } from "../../src/facts/prediction.ts";
import { HOUR_MS, NOW } from "../ledger/support.ts";
import { SPECS, World, type WorldSetup } from "../support/checkpointed-world.ts";
import { handClock } from "../support/hand-clock.ts";

const MINUTE_MS = 60_000;
const SMALL = { segmentRows: 16, residentSegments: 1, checkpointChanges: 1, retentionMs: 1.5 * HOUR_MS };

type Step =
  | { readonly kind: "record"; readonly rows: number; readonly seed: number }
  | { readonly kind: "label"; readonly labels: number; readonly seed: number }
  | { readonly kind: "pass"; readonly minutes: number }
  | { readonly kind: "sweep"; readonly steps: number }
  | { readonly kind: "ask" }
  | { readonly kind: "stop" }
  | { readonly kind: "kill"; readonly damage: keyof typeof DAMAGE };

function edit(folder: string, statement: string): void {
  const db = new DatabaseSync(join(folder, "ledger.db"));
  db.exec(statement);
  db.close();
}

const DAMAGE = {
  none: () => undefined,
  "a byte of a piece": (folder: string) => edit(folder, "UPDATE piece SET bytes = zeroblob(length(bytes))"),
  "a byte of a part": (folder: string) =>
    edit(folder, "UPDATE piece SET bytes = zeroblob(length(bytes)) WHERE key >= 2097152 AND key % 5 = 0"),
  "a piece": (folder: string) => edit(folder, "DELETE FROM piece"),
  "the checkpoint": (folder: string) => edit(folder, "DELETE FROM checkpoint"),
  "a filter": (folder: string) => edit(folder, "UPDATE filter SET crc = crc + 1"),
  "some names": (folder: string) => edit(folder, "UPDATE name SET crc = crc + 1 WHERE key % 3 = 0"),
  "which rows live": (folder: string) => edit(folder, "DELETE FROM live WHERE segment % 2 = 0"),
} as const;

/** The same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function valuesOf(model: string, random: () => number): Pick<Prediction, "value" | "score" | "scores"> {
  const score = Math.floor(random() * 1000) / 1000;
  if (model === "numbers") return { value: Math.round(random() * 1e6) / 997, score: null, scores: null };
  if (model === "classes") {
    const scores = { a: score, b: (1 - score) / 2, c: (1 - score) / 2 };
    return { value: score > 0.4 ? "a" : "b", score: null, scores };
  }
  const shown = model === "margins" ? score * 8 - 4 : score;
  return { value: shown > (model === "margins" ? 0 : 0.5) ? "1" : "0", score: shown, scores: null };
}

const MODELS = Object.keys(SPECS);

function exchangeOf(id: string, now: number, random: () => number): ExchangeRecord {
  const model = MODELS[Math.floor(random() * MODELS.length)] ?? "binary";
  const version = random() < 0.8 ? "1" : "2";
  const ts = now - Math.floor(random() * 20 * MINUTE_MS);
  const n = random() < 0.2 ? 3 : 1;
  const predictions = Array.from({ length: n }, (_, pos) => ({
    model,
    version,
    ts,
    id: n === 1 ? id : `${id}:${pos}`,
    ...valuesOf(model, random),
    slice: random() < 0.5 ? { region: random() < 0.5 ? "eu" : "us" } : null,
  }));
  return {
    id,
    model,
    version,
    ts,
    predictions,
    aliases: random() < 0.3 ? [`alias-${id}`] : [],
    traceId: null,
    method: "POST",
    route: "/infer",
    status: 200,
    durationMs: 1,
    ttfbMs: 1,
  };
}

function truthFor(model: string, random: () => number): Value | null {
  if (random() < 0.1) return null;
  if (model === "numbers") return Math.round(random() * 1e6) / 991;
  if (model === "classes") return ["a", "b", "c", "d"][Math.floor(random() * 4)] ?? "a";
  return random() < 0.5 ? "1" : "0";
}

/** What happens outside of the world: the same for every world that is told of it. */
class Story {
  readonly clock = handClock(NOW);
  readonly sent: { id: string; model: string }[] = [];

  record(rows: number, seed: number): ExchangeRecord[] {
    const random = randomOf(seed);
    return Array.from({ length: rows }, () => {
      const made = exchangeOf(`e${this.sent.length}`, this.clock.wallMs(), random);
      this.sent.push({ id: made.id, model: made.model });
      return made.predictions.length === 1 ? made : { ...made, aliases: [] };
    });
  }

  /** Of old rows and young ones; corrections, retractions, stale ones; some before their prediction. */
  label(labels: number, seed: number): LabelEvent[] {
    const random = randomOf(seed);
    const now = this.clock.wallMs();
    return Array.from({ length: labels }, () => {
      const at = Math.floor(random() * (this.sent.length + 4));
      const { id, model } = this.sent[at] ?? { id: `e${at}`, model: "numbers" };
      const row = random() < 0.3 ? `${id}:${Math.floor(random() * 3)}` : id;
      return {
        id: row,
        model,
        label: truthFor(model, random),
        ts: now - Math.floor(random() * 5),
        receivedAt: now,
      };
    });
  }
}

async function tell(story: Story, worlds: readonly World[], step: Step): Promise<void> {
  if (step.kind === "record") {
    const exchanges = story.record(step.rows, step.seed);
    for (const world of worlds) await world.record(exchanges);
  } else if (step.kind === "label") {
    // A label of a row whose time is over joins it or waits, by how far the sweep has come: checkpoints take steps of their own.
    if (new Set(worlds.map(({ ledger }) => ledger.stats().rows)).size > 1)
      for (const world of worlds) world.sweep();
    const events = story.label(step.labels, step.seed);
    for (const world of worlds) await world.label(events);
  } else if (step.kind === "pass") story.clock.advance(step.minutes * MINUTE_MS);
  else if (step.kind === "sweep") for (const world of worlds) world.sweep(step.steps);
  else if (step.kind === "ask") for (const world of worlds) world.ask();
}

const seed = fc.integer({ min: 0, max: 2 ** 31 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("record" as const),
      rows: fc.integer({ min: 1, max: 40 }),
      seed,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("label" as const),
      labels: fc.integer({ min: 1, max: 40 }),
      seed,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("pass" as const), minutes: fc.integer({ min: 1, max: 50 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("sweep" as const),
      steps: fc.constantFrom(1, 2, 3, 5, 20, 1000),
    }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "ask" }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "stop" }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("kill" as const),
      damage: fc.constantFrom<keyof typeof DAMAGE>(
        "none",
        "none",
        "none",
        "a byte of a piece",
        "a byte of a part",
        "a piece",
        "the checkpoint",
        "a filter",
        "some names",
        "which rows live",
      ),
    }),
  },
);

async function run(steps: readonly Step[], options: WorldSetup["options"]): Promise<void> {
  const story = new Story();
  const { clock } = story;
  let kept = World.open({ clock, options, checkpoints: true });
  const whole = World.open({ clock, options, checkpoints: false });
  try {
    // Enough that something can be said, and that the clock is believed after a start.
    for (let round = 0; round < 3; round++) {
      await tell(story, [kept, whole], { kind: "record", rows: 30, seed: round });
      await tell(story, [kept, whole], { kind: "label", labels: 25, seed: round });
      await tell(story, [kept, whole], { kind: "pass", minutes: 17 });
      for (const world of [kept, whole]) world.sweep();
    }
    for (const one of steps) {
      if (one.kind !== "stop" && one.kind !== "kill") {
        await tell(story, [kept, whole], one);
        continue;
      }
      kept = one.kind === "stop" ? await kept.stop() : await kept.kill(DAMAGE[one.damage]);
      // A clock is believed after a start when there is a young row: else nothing is forgotten for a while.
      await tell(story, [kept, whole], { kind: "record", rows: 4, seed: 1 });
      for (const world of [kept, whole]) world.sweep();
    }
    for (const world of [kept, whole]) world.sweep();
    assert.deepEqual(kept.says(), whole.says());
    assert.deepEqual(kept.verify(), []);
    kept = await kept.stop();
    assert.equal(kept.unchecked, null);
    assert.deepEqual(kept.says(), whole.says());
    assert.deepEqual(kept.verify(), []);
  } finally {
    await kept.remove();
    await whole.remove();
  }
}

test(
  "any stream with stops, kills and damage says what it says without them, and what its rows say",
  { timeout: 300_000 },
  async () => {
    const options = fc.record({
      checkpointChanges: fc.constantFrom(1, 10, 60, 300),
      checkpointBytes: fc.constantFrom(1500, 10_000, 262_144),
      segmentRows: fc.constantFrom(16, 64),
      residentSegments: fc.constantFrom(0, 1),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), options, async (steps, of) => {
        await run(steps, { ...SMALL, ...of });
      }),
      // The same runs every time, unless others are asked for.
      { numRuns: Number(process.env["RUNS"] ?? 12), seed: Number(process.env["SEED"] ?? 30) },
    );
  },
);

test("what changes while a checkpoint is being written is in none of its parts, whenever it is written", async () => {
  const drip = Array.from({ length: 60 }, (_, i): Step[] => [
    { kind: "sweep", steps: 1 },
    i % 3 === 0 ? { kind: "record", rows: 1, seed: i } : { kind: "label", labels: 2, seed: i },
    // Windows take in what was gathered for them.
    ...(i % 2 === 0 ? [{ kind: "ask" as const }] : []),
  ]).flat();
  for (const checkpointBytes of [600, 20_000]) {
    const rounds = [0, 1].flatMap((round): Step[] => [
      { kind: "record", rows: 60, seed: round },
      { kind: "label", labels: 60, seed: round },
      ...drip.slice(0, 150 - round * 75),
      { kind: "kill", damage: "none" },
    ]);
    await run(rounds, { ...SMALL, checkpointChanges: 130, checkpointBytes, segmentRows: 64 });
  }
});
