// Registries at work: declared versions followed, outages survived with the last answer, writes retried without doubles.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createRegistries, type Registries, type RegistryEntry } from "../../src/versions/registries.ts";
import { RegistryWrites } from "../../src/versions/registry-writes.ts";
import type { QualityNote } from "../../src/versions/registry.ts";
import { handClock } from "../support/hand-clock.ts";
import { registryServer, type Said } from "./registry-server.ts";

function entry(url: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
  return {
    type: "mlflow",
    url,
    token: null,
    clientId: null,
    model: "churn",
    registeredName: null,
    alias: "champion",
    endpoint: null,
    everyMs: 20,
    writeEveryMs: 20,
    write: [],
    ...parts,
  };
}

async function until(ready: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !ready(); i++) await sleep(10);
  assert.ok(ready());
}

interface Seen {
  readonly registries: Registries;
  readonly declared: string[];
  readonly counts: Map<string, number>;
}

function running(entries: readonly RegistryEntry[], notes: readonly QualityNote[] = []): Seen {
  const declared: string[] = [];
  const counts = new Map<string, number>();
  const registries = createRegistries(entries, {
    clock: systemClock,
    log: silentLog,
    count: (registry, operation, result) => {
      const key = `${registry} ${operation} ${result}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    },
    onDeclared: (model, { version }) => declared.push(`${model}=${version}`),
    onState: () => {},
    qualityOf: () => notes,
  });
  return { registries, declared, counts };
}

const version = (of: string): Said => ({ json: { model_version: { version: of } } });

test("a moved alias is followed; in an outage the last answer stays and is told to be old", async (t) => {
  const server = await registryServer(t, () => version("1"));
  const { registries, declared } = running([entry(server.url)]);
  await registries.start();
  try {
    await until(() => declared.length === 1);
    server.answer = () => version("2");
    await until(() => declared.length === 2);
    assert.deepEqual(declared, ["churn=1", "churn=2"]);
    server.answer = () => ({ status: 503, json: { message: "maintenance" } });
    await until(() => registries.declared("churn")?.trouble !== null);
    assert.equal(registries.declared("churn")?.version, "2");
    assert.match(registries.states()[0]?.trouble ?? "", /503.*maintenance/);
    server.answer = () => version("2");
    await until(() => registries.declared("churn")?.trouble === null);
    assert.equal(declared.length, 2);
  } finally {
    await registries.stop(0);
  }
});

test("pauses grow while a registry fails", async (t) => {
  const server = await registryServer(t, () => ({ status: 500 }));
  const { registries } = running([entry(server.url)]);
  await registries.start();
  await sleep(500);
  await registries.stop(0);
  // Every 20 ms it would have been 25 looks; doubling pauses make it about 5.
  assert.ok(server.asked.length >= 3 && server.asked.length <= 8, String(server.asked.length));
});

test("live metrics are written when they change, and not again when they do not", async (t) => {
  const notes: QualityNote[] = [
    { version: "1", at: 0, figures: [{ window: "24h", metric: "rmse", value: 1, samples: 5 }] },
  ];
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/model-versions/get")
      ? { json: { model_version: { version: "1", run_id: "r" } } }
      : version("1"),
  );
  const { registries } = running([entry(server.url, { write: ["metrics"] })], notes);
  const writes = (): number => server.asked.filter(({ path }) => path.endsWith("/log-batch")).length;
  await registries.start();
  try {
    await until(() => writes() === 1);
    await sleep(200);
    assert.equal(writes(), 1);
    notes[0] = { version: "1", at: 1, figures: [{ window: "24h", metric: "rmse", value: 2, samples: 6 }] };
    await until(() => writes() === 2);
  } finally {
    await registries.stop(0);
  }
});

test("a registry that cannot say what is current leaves the decision to our ledger", async () => {
  const { registries } = running([
    entry("http://127.0.0.1:1", { type: "unity-catalog" }),
    entry("http://127.0.0.1:1", { type: "langfuse" }),
  ]);
  assert.equal(registries.decider("churn"), null);
  assert.equal(running([entry("http://127.0.0.1:1")]).registries.decider("churn")?.writes, false);
});

test("a write is tried again after trouble, in order, and the newest of its kind wins", async () => {
  const clock = handClock();
  const counts: string[] = [];
  const writes = new RegistryWrites({
    clock,
    log: silentLog,
    registry: "mlflow",
    count: (operation, result) => counts.push(`${operation} ${result}`),
  });
  const done: string[] = [];
  let fail = true;
  const write = (key: string, text: string): void =>
    writes.put({
      key,
      operation: "metrics",
      run: () => {
        if (fail)
          return Promise.resolve({ kind: "failed", message: "down", retry: true, retryAfterMs: null });
        done.push(text);
        return Promise.resolve({ kind: "ok", value: null });
      },
    });
  write("a", "a1");
  await sleep(5);
  write("a", "a2");
  write("b", "b1");
  fail = false;
  clock.advance(1000);
  await sleep(5);
  assert.deepEqual(done, ["a2", "b1"]);
  assert.deepEqual(counts, ["metrics retried", "metrics ok", "metrics ok"]);
});

test("the queue of writes has an end: the oldest is dropped and counted", async () => {
  const counts: string[] = [];
  const writes = new RegistryWrites({
    clock: handClock(),
    log: silentLog,
    registry: "mlflow",
    count: (operation, result) => counts.push(`${operation} ${result}`),
  });
  const run = (): Promise<never> => new Promise(() => {});
  for (let i = 0; i < 1010; i++) writes.put({ key: String(i), operation: "labels", run });
  assert.equal(writes.waiting, 1000);
  assert.equal(counts.filter((line) => line === "labels dropped").length, 10);
});
