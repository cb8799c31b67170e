// Registries at work: declared versions followed, outages survived with the last answer, writes retried without doubles.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createRegistries, type Registries, type RegistryEntry } from "../../src/versions/registries.ts";
import { RegistryWrites } from "../../src/versions/registry-writes.ts";
import type { QualityNote } from "../../src/versions/registry.ts";
import { handClock } from "../support/hand-clock.ts";
import { until } from "../support/sidecar.ts";
import { registryServer, type Said } from "./registry-server.ts";

function entry(url: string, parts: Partial<RegistryEntry> = {}): RegistryEntry {
  return {
    type: "mlflow",
    url,
    token: null,
    tokenFile: null,
    clientId: null,
    model: "churn",
    registeredName: null,
    alias: "champion",
    endpoint: null,
    stage: null,
    headers: {},
    webhookSecret: null,
    everyMs: 20,
    writeEveryMs: 20,
    write: [],
    ...parts,
  };
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
    preferred: () => null,
    onDeclared: (model, found) => {
      const now = `${model}=${found?.version ?? "none"}`;
      if (declared.at(-1) !== now) declared.push(now);
    },
    onList: () => {},
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
    await until(() => registries.decider("churn")?.trouble !== null);
    assert.equal(registries.decider("churn")?.declared?.version, "2");
    assert.match(registries.states()[0]?.trouble ?? "", /503.*maintenance/);
    server.answer = () => version("2");
    await until(() => registries.decider("churn")?.trouble === null);
    assert.equal(declared.length, 2);
  } finally {
    await registries.stop(0);
  }
});

test("pauses grow while a registry fails", async (t) => {
  const askedAt: number[] = [];
  const server = await registryServer(t, ({ path }) => {
    if (path.endsWith("/alias")) askedAt.push(performance.now());
    return { status: 500 };
  });
  const { registries } = running([entry(server.url)]);
  await registries.start();
  await until(() => askedAt.length >= 5);
  await registries.stop(0);
  // From 20 ms on each pause is twice the one before; how late a look is beyond that is the machine's matter.
  const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0] = askedAt;
  assert.ok(fifth - fourth >= 150 && fifth - first >= 290, askedAt.join());
  assert.ok(third - second >= 35, askedAt.join());
});

test("live metrics are written when they change, and not again when they do not", async (t) => {
  const notes: QualityNote[] = [
    { version: "1", at: 0, figures: [{ window: "24h", metric: "rmse", value: 1, samples: 5 }] },
  ];
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/runs/get")
      ? { json: { run: { data: {} } } }
      : { json: { model_version: { version: "1", run_id: "r" } } },
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
    onState: () => {},
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
    onState: () => {},
    count: (operation, result) => counts.push(`${operation} ${result}`),
  });
  const run = (): Promise<never> => new Promise(() => {});
  for (let i = 0; i < 1010; i++) writes.put({ key: String(i), operation: "labels", run });
  assert.equal(writes.waiting, 1000);
  assert.equal(counts.filter((line) => line === "labels dropped").length, 10);
});

test("a write with Retry-After: 0 is not repeated at once, and a promotion does not wait behind measurements", async (t) => {
  const askedAt: number[] = [];
  const server = await registryServer(t, ({ path }) => {
    if (!path.endsWith("/traces/tr-1")) return version("2");
    askedAt.push(performance.now());
    return { status: 429, headers: { "retry-after": "0" } };
  });
  const { registries } = running([entry(server.url, { write: ["labels", "promotion"] })]);
  const ended: string[] = [];
  registries.label("churn", { predictionId: "p", traceId: "1", value: 1, at: 0 });
  await until(() => server.asked.length === 1);
  registries.promote("churn", { version: "2", expected: undefined }, ({ kind }) => ended.push(kind));
  await until(() => ended.length === 1);
  assert.deepEqual(ended, ["ok"]);
  await until(() => askedAt.length >= 2);
  const [first = 0, second = 0] = askedAt;
  assert.ok(second - first >= 900, `repeated after ${second - first} ms`);
  await registries.stop(0);
});

test("a label whose trace has not arrived waits alone", async (t) => {
  const none = { status: 404, json: { error_code: "NOT_FOUND", message: "no such trace" } };
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/traces/tr-1") ? none : { json: { trace: { trace_info: {} } } },
  );
  const { registries, counts } = running([entry(server.url, { write: ["labels"] })]);
  registries.label("churn", { predictionId: "p1", traceId: "1", value: 1, at: 0 });
  registries.label("churn", { predictionId: "p2", traceId: "2", value: 1, at: 0 });
  await until(() => counts.get("mlflow labels ok") === 1);
  // Once at least: it is tried again every second, and the other may have come late.
  assert.ok((counts.get("mlflow labels retried") ?? 0) >= 1);
  assert.equal(registries.states()[0]?.trouble, null);
  await registries.stop(0);
});

test("compare and set: what is declared is read again before it is written", async (t) => {
  const server = await registryServer(t, () => version("3"));
  const { registries } = running([entry(server.url, { write: ["promotion"] })]);
  const ended: string[] = [];
  const took = (reply: { kind: string; message?: string }): void => {
    ended.push(`${reply.kind} ${reply.message ?? ""}`);
  };
  registries.promote("churn", { version: "2", expected: "1" }, took);
  await until(() => ended.length === 1);
  assert.deepEqual(ended, ["failed mlflow alias champion names 3 by now"]);
  assert.deepEqual(new Set(server.asked.map(({ method }) => method)), new Set(["GET"]));
  registries.promote("churn", { version: "3", expected: "1" }, took);
  await until(() => ended.length === 2);
  assert.equal(ended[1], "ok ", "ours had arrived before");
  await registries.stop(0);
});

test("after an outage the same figures are sent with the time of their first try", async (t) => {
  const notes: QualityNote[] = [
    { version: "1", at: 1000, figures: [{ window: "24h", metric: "rmse", value: 1, samples: 5 }] },
  ];
  const server = await registryServer(t, ({ path }) =>
    path.endsWith("/log-batch")
      ? { status: 400 }
      : { json: { run: { data: {} }, model_version: { version: "1", run_id: "r" } } },
  );
  const { registries } = running([entry(server.url, { write: ["metrics"] })], notes);
  const batches = (): number[] =>
    server.asked
      .filter(({ path }) => path.endsWith("/log-batch"))
      .map(({ body }) => (body as { metrics: { timestamp: number }[] }).metrics[0]?.timestamp ?? 0);
  await registries.start();
  await until(() => batches().length >= 1);
  notes[0] = { version: "1", at: 99_000, figures: notes[0]?.figures ?? [] };
  const before = batches().length;
  await until(() => batches().length > before + 1);
  await registries.stop(0);
  assert.deepEqual([...new Set(batches())], [1000]);
});

test("a version that is no longer declared is told as none; in an outage it stays", async (t) => {
  const server = await registryServer(t, () => version("1"));
  const { registries, declared } = running([entry(server.url)]);
  await registries.start();
  await until(() => declared.length === 1);
  server.answer = () => ({
    status: 400,
    json: { error_code: "INVALID_PARAMETER_VALUE", message: "Registered model alias champion not found." },
  });
  await until(() => declared.length === 2);
  assert.deepEqual(declared, ["churn=1", "churn=none"]);
  assert.equal(registries.decider("churn")?.declared, null);
  assert.notEqual(registries.states()[0]?.checkedAt, null);
  await registries.stop(0);
});

test("a name that a registry cannot have meant is trouble, not a version", async (t) => {
  const server = await registryServer(t, () => version("1\r\nx-evil: 1"));
  const { registries, declared } = running([entry(server.url)]);
  await registries.start();
  await until(() => registries.states()[0]?.trouble !== null);
  assert.deepEqual(declared, []);
  await registries.stop(0);
});

test("a webhook makes the registry be asked, once per delivery", async (t) => {
  const server = await registryServer(t, () => version("1"));
  const { registries } = running([entry(server.url, { everyMs: 60_000, webhookSecret: "s" })]);
  await registries.start();
  await until(() => registries.decider("churn")?.declared !== null);
  const body = Buffer.from("{}");
  const timestamp = String(Math.floor(Date.now() / 1000));
  const signature = `v1,${createHmac("sha256", "s").update(`d1.${timestamp}.{}`).digest("base64")}`;
  const looks = (): number => server.asked.filter(({ path }) => path.endsWith("/alias")).length;
  const before = looks();
  const delivery = { id: "d1", timestamp, signature, body };
  assert.equal(registries.webhook("mlflow", delivery)?.kind, "genuine");
  await until(() => looks() === before + 1);
  assert.equal(registries.webhook("mlflow", delivery)?.kind, "genuine");
  assert.equal(registries.webhook("mlflow", { ...delivery, id: "d2" })?.kind, "refused");
  assert.equal(registries.webhook("other", delivery), null);
  await sleep(1200);
  assert.equal(looks(), before + 1);
  await registries.stop(0);
});

test("a write that is refused for its own sake is no trouble of the registry; a refused token is", async (t) => {
  const server = await registryServer(t, () => ({
    status: 400,
    json: { error_code: "INVALID_PARAMETER_VALUE" },
  }));
  const { registries, counts } = running([entry(server.url, { type: "langfuse", write: ["labels"] })]);
  const label = { predictionId: "p", traceId: "1", value: 1, at: 0 };
  registries.label("churn", label);
  await until(() => counts.get("langfuse labels failed") === 1);
  assert.equal(registries.states()[0]?.trouble, null);
  server.answer = () => ({ status: 401, json: { message: "Invalid credentials." } });
  registries.label("churn", label);
  await until(() => counts.get("langfuse labels failed") === 2);
  assert.match(registries.states()[0]?.trouble ?? "", /^writing: status 401 Invalid credentials/);
  server.answer = () => ({ json: { id: "x" } });
  registries.label("churn", label);
  await until(() => counts.get("langfuse labels ok") === 1);
  assert.equal(registries.states()[0]?.trouble, null);
  await registries.stop(0);
});
