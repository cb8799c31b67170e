// Any order of arrival, any repetition, a restart or a refused write at any point: the same truth for every row.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import fc from "fast-check";

import type { LabelEvent } from "../../src/facts/label.ts";
import type { ExchangeRecord, Value } from "../../src/facts/prediction.ts";
import { hashText } from "../../src/ledger/hash.ts";
import { IdIndex } from "../../src/ledger/id-index.ts";
import { NOW, exchange, label, openBench } from "./support.ts";
import type { LedgerOptions } from "../../src/ledger/ledger.ts";
import type { Bench } from "./support.ts";

type Event = ExchangeRecord | LabelEvent;
type Step =
  | { readonly kind: "event"; readonly event: Event }
  | { readonly kind: "restart" }
  | { readonly kind: "sweep" }
  | { readonly kind: "flush" };

const isLabel = (event: Event): event is LabelEvent => "label" in event;

/** The rules in their plainest form: maps of everything, nothing thrown away. */
class Plain {
  readonly rows = new Map<string, { model: string; id: string }>();
  readonly labels = new Map<string, { value: Value | null; ts: number }>();
  readonly results: string[] = [];

  take(event: Event): void {
    if (!isLabel(event)) {
      for (const { model, version, id } of event.predictions) {
        const key = `${model}/${version}/${id}`;
        if (!this.rows.has(key)) this.rows.set(key, { model, id });
      }
      return;
    }
    const values = Array.isArray(event.label) ? event.label : [event.label];
    for (const [pos, value] of values.entries()) {
      const id = Array.isArray(event.label) ? `${event.id}:${pos}` : event.id;
      this.one(`${event.model}/${id}`, { value: value ?? null, ts: event.ts });
    }
  }

  one(key: string, next: { value: Value | null; ts: number }): void {
    const held = this.labels.get(key);
    if (held === undefined) this.results.push("first");
    else if (next.ts < held.ts) this.results.push(next.value === held.value ? "duplicate" : "stale");
    else if (next.value === held.value) this.results.push("duplicate");
    else this.results.push(next.value === null ? "retracted" : "corrected");
    if (held === undefined || next.ts >= held.ts) this.labels.set(key, next);
  }

  truths(): Record<string, Value | null> {
    const rows = [...this.rows].map(([key, { model, id }]) => [
      key,
      this.labels.get(`${model}/${id}`)?.value ?? null,
    ]);
    return Object.fromEntries(rows.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
  }
}

const model = fc.constantFrom("m", "n");
const singleId = fc.constantFrom("a", "b", "c");
const rowsId = fc.constantFrom("x", "y");
const value = fc.option(fc.integer({ min: 0, max: 2 }), { nil: null });
const ts = fc.integer({ min: 1, max: 4 }).map((n) => NOW + n);

const prediction: fc.Arbitrary<Event> = fc.oneof(
  fc
    .tuple(singleId, model, fc.constantFrom("1", "2"))
    .map(([id, of, version]) => exchange(id, { model: of, version })),
  fc
    .tuple(rowsId, model, fc.constantFrom("1", "2"))
    .map(([id, of, version]) => exchange(id, { model: of, version, values: [1, 2] })),
);
const scalar: fc.Arbitrary<Event> = fc
  .tuple(fc.oneof(singleId, fc.constantFrom("x:0", "x:1", "y:0", "y:1")), value, model, ts)
  .map(([id, to, of, at]) => label(id, to, { model: of, ts: at }));
const list: fc.Arbitrary<Event> = fc
  .tuple(rowsId, fc.tuple(value, value), model, ts)
  .map(([id, to, of, at]) => label(id, to, { model: of, ts: at }));

const step = (event: fc.Arbitrary<Event>): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 8, arbitrary: event.map((one): Step => ({ kind: "event", event: one })) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: "restart" }) },
    { weight: 2, arbitrary: fc.constant<Step>({ kind: "flush" }) },
  );

interface Ran {
  readonly truths: Record<string, Value | null>;
  readonly reopened: Record<string, Value | null>;
  readonly scanned: Record<string, Value | null>;
  readonly results: readonly string[];
}

function scanAll(bench: Bench): Record<string, Value | null> {
  const found: [string, Value | null][] = [];
  for (const { model: of, version } of bench.ledger.stats().series) {
    bench.ledger.scan({ model: of, version, fromTs: 0, toTs: Number.MAX_VALUE }, (_row, one, truth) => {
      found.push([`${of}/${version}/${one.id}`, truth?.value ?? null]);
    });
  }
  return Object.fromEntries(found.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Segments of four rows, sealed as soon as they are full. */
const SMALL: Partial<LedgerOptions> = { segmentRows: 4, residentSegments: 0 };

async function run(steps: readonly Step[], options: Partial<LedgerOptions> = {}): Promise<Ran> {
  const path = mkdtempSync(join(tmpdir(), "outrider-ledger-"));
  try {
    let bench = openBench(path, options);
    const pending: Promise<unknown>[] = [];
    const results: string[] = [];
    for (const one of steps) {
      if (one.kind === "flush") bench.ledger.flushNow();
      else if (one.kind === "sweep") bench.ledger.sweep(NOW);
      else if (one.kind === "restart") {
        await bench.ledger.close();
        bench = openBench(path, options);
      } else if (isLabel(one.event)) {
        const answer = bench.ledger.label([one.event]);
        pending.push(
          answer.then((result) =>
            results.push(
              ...(result.kind === "kept" ? result.outcomes.map((o) => o.code ?? o.result) : ["lost"]),
            ),
          ),
        );
      } else pending.push(bench.ledger.record([one.event], null));
    }
    bench.ledger.flushNow();
    await Promise.all(pending);
    const truths = bench.listener.truths();
    const scanned = scanAll(bench);
    await bench.ledger.close();
    bench = openBench(path, options);
    const reopened = bench.listener.truths();
    await bench.ledger.close();
    return { truths, reopened, scanned, results };
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

function eventsOf(steps: readonly Step[]): Event[] {
  return steps.flatMap((one) => (one.kind === "event" ? [one.event] : []));
}

test("after any stream, and after a restart at any point, the truth is that of the plain rules", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step(fc.oneof(prediction, scalar, list)), { maxLength: 30 }), async (steps) => {
      const plain = new Plain();
      for (const event of eventsOf(steps)) plain.take(event);
      const ran = await run(steps);
      assert.deepEqual(ran.truths, plain.truths());
      assert.deepEqual(ran.reopened, plain.truths());
      assert.deepEqual(ran.scanned, plain.truths());
    }),
    { numRuns: 60 },
  );
});

test("the same holds when old rows are sealed in the middle of it, label by label and word by word", async () => {
  const small = (event: fc.Arbitrary<Event>): fc.Arbitrary<Step> =>
    fc.oneof(
      { weight: 5, arbitrary: step(event) },
      { weight: 2, arbitrary: fc.constant<Step>({ kind: "sweep" }) },
    );
  const single = fc
    .tuple(fc.oneof(singleId, fc.constantFrom("x:0", "x:1", "y:0", "y:1")), value, model, ts)
    .map(([id, to, of, at]): Event => label(id, to, { model: of, ts: at }));
  await fc.assert(
    fc.asyncProperty(fc.array(small(fc.oneof(prediction, single)), { maxLength: 60 }), async (steps) => {
      const plain = new Plain();
      for (const event of eventsOf(steps)) plain.take(event);
      const [whole, sealed] = [await run(steps), await run(steps, SMALL)];
      assert.deepEqual(sealed.truths, plain.truths());
      assert.deepEqual(sealed.reopened, plain.truths());
      assert.deepEqual(sealed.scanned, plain.truths());
      assert.deepEqual(sealed.results, whole.results);
    }),
    { numRuns: 60 },
  );
});

test("each label of a single row is answered with the word that the plain rules count", async () => {
  const single = fc
    .tuple(singleId, value, model, ts)
    .map(([id, to, of, at]): Event => label(id, to, { model: of, ts: at }));
  await fc.assert(
    fc.asyncProperty(fc.array(step(fc.oneof(prediction, single)), { maxLength: 30 }), async (steps) => {
      const plain = new Plain();
      for (const event of eventsOf(steps)) plain.take(event);
      const { results } = await run(steps);
      assert.deepEqual(
        results.map((word) => (word === "joined" || word === "waiting" ? "first" : word)),
        plain.results,
      );
    }),
    { numRuns: 40 },
  );
});

test("every permutation of a stream whose revisions differ in ts gives the same truth, repeated or not", async () => {
  const stream = fc
    .array(fc.oneof(prediction, scalar, list), { minLength: 2, maxLength: 14 })
    .map((events) => events.map((event, i) => (isLabel(event) ? { ...event, ts: NOW + i } : event)));
  const shuffles = stream.chain((events) =>
    fc.tuple(
      fc.constant(events),
      fc.shuffledSubarray([...events, ...events], {
        minLength: events.length * 2,
        maxLength: events.length * 2,
      }),
    ),
  );
  await fc.assert(
    fc.asyncProperty(shuffles, async ([events, shuffled]) => {
      const steps = (list_: readonly Event[]): Step[] => list_.map((event) => ({ kind: "event", event }));
      const [straight, mixed] = [await run(steps(events)), await run(steps(shuffled))];
      assert.deepEqual(mixed.truths, straight.truths);
      assert.deepEqual(mixed.reopened, straight.truths);
    }),
    { numRuns: 40 },
  );
});

test("the id index gives each entry once when it is asked range by range", () => {
  const hash = fc.oneof(
    fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    fc.integer({ min: 2 ** 32 - 9, max: 2 ** 32 - 1 }),
  );
  fc.assert(
    fc.property(fc.array(hash, { maxLength: 900 }), fc.integer({ min: 1, max: 40 }), (hashes, pieces) => {
      const index = new IdIndex();
      for (const [ref, one] of hashes.entries()) index.add(one, ref);
      const found: string[] = [];
      for (let piece = 0; piece < pieces; piece++) {
        const from = Math.ceil((piece * 2 ** 32) / pieces);
        const to = Math.ceil(((piece + 1) * 2 ** 32) / pieces);
        index.within(from, to, (one, ref) => found.push(`${one}/${ref}`));
      }
      assert.deepEqual(found.toSorted(), hashes.map((one, ref) => `${one}/${ref}`).toSorted());
    }),
    { numRuns: 100 },
  );
});

test("the id index finds exactly what was added and not removed, through every growth", () => {
  const operation = fc.record({
    add: fc.boolean(),
    hash: fc.integer({ min: 0, max: 40 }),
    ref: fc.integer({ min: 0, max: 8 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 3000 }), (operations) => {
      const index = new IdIndex();
      const held = new Map<number, Set<number>>();
      for (const { add, hash, ref } of operations) {
        const refs = held.get(hash) ?? new Set();
        held.set(hash, refs);
        if (add && !refs.has(ref)) index.add(hash, ref);
        if (!add) index.remove(hash, ref);
        if (add) refs.add(ref);
        else refs.delete(ref);
      }
      for (const [hash, refs] of held) {
        const found: number[] = [];
        index.collect(hash, 100, found);
        assert.deepEqual(
          found.toSorted((a, b) => a - b),
          [...refs].map((ref) => ref + 100).toSorted((a, b) => a - b),
        );
      }
      assert.equal(
        index.size,
        [...held.values()].reduce((sum, refs) => sum + refs.size, 0),
      );
    }),
    { numRuns: 50 },
  );
  const large = new IdIndex();
  for (let i = 0; i < 50_000; i++) large.add(hashText(`id-${i}`, 7), i);
  for (let i = 0; i < 50_000; i += 97) {
    const found: number[] = [];
    large.collect(hashText(`id-${i}`, 7), 0, found);
    assert.ok(found.includes(i));
  }
});
