import assert from "node:assert/strict";
import {
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeSync,
  closeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { request } from "undici";
import { startModelServer, type ModelServer } from "../support/model-server.ts";
import {
  getJson,
  postJson,
  startSidecar,
  until,
  type Sidecar,
  type SidecarOptions,
} from "../support/sidecar.ts";

interface Place {
  readonly model: ModelServer;
  readonly store: string;
  start(options?: Partial<SidecarOptions>): Promise<Sidecar>;
}

async function place(t: TestContext): Promise<Place> {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const store = mkdtempSync(join(tmpdir(), "outrider-store-"));
  t.after(async () => {
    await model.close();
    rmSync(store, { recursive: true, force: true });
  });
  return {
    model,
    store,
    start: async (options = {}) => {
      const sidecar = await startSidecar({ upstream: model.url, store, ...options });
      t.after(() => sidecar.stop("SIGKILL"));
      return sidecar;
    },
  };
}

async function predict(sidecar: Sidecar, id: string): Promise<void> {
  const answer = await postJson(`${sidecar.traffic}/invocations`, { x: 1 }, { "x-prediction-id": id });
  assert.equal(answer.status, 200);
}

async function label(sidecar: Sidecar, id: string): Promise<void> {
  const answer = await postJson(`${sidecar.api}/v1/labels`, { id, label: 1 });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

async function storePart(sidecar: Sidecar): Promise<{ state: string; why: string | null }> {
  const ready = await getJson(`${sidecar.telemetry}/readyz`);
  assert.equal(ready.status, 200, "a broken store does not take the sidecar out of service");
  const parts = ready.body["parts"] as Record<string, { state: string; why: string | null }>;
  return parts["store"] ?? { state: "unknown", why: null };
}

function damage(file: string, from: number, length: number): void {
  const handle = openSync(file, "r+");
  writeSync(handle, Buffer.alloc(length, 0xa5), 0, length, from);
  closeSync(handle);
}

test("a store that is held by another process: traffic passes, /readyz names the reason, and it opens when it is free", async (t) => {
  const { start } = await place(t);
  const holder = await start();
  await predict(holder, "first");
  await label(holder, "first");
  const second = await start({ waitForApi: false });
  await predict(second, "passes");
  await until(async () => (await storePart(second)).state === "degraded");
  assert.match((await storePart(second)).why ?? "", /another process|locked/);
  await second.metricIs("outrider_observer_up", 1);
  // The holder is not disturbed.
  await predict(holder, "more");
  await label(holder, "more");
  assert.equal(await holder.stop(), 0);
  await until(async () => (await storePart(second)).state === "ok");
  await until(() => /"api":"(http:[^"]+)"/.test(second.log()));
  const api = /"api":"(http:[^"]+)"/.exec(second.log())?.[1] ?? "";
  for (const id of ["first", "more"]) {
    assert.equal((await getJson(`${api}/v1/labels/${id}`)).status, 200, `${id} was acknowledged`);
  }
  await predict(second, "after");
  await until(async () => (await getJson(`${api}/v1/predictions/after`)).status === 200);
  assert.equal(await second.stop(), 0);
});

test("a store that was damaged while nobody had it is set aside whole, a new one begins, and /readyz says so", async (t) => {
  const { start, store } = await place(t);
  const before = await start();
  for (let i = 0; i < 200; i++) await predict(before, `p${i}`);
  for (let i = 0; i < 200; i++) await label(before, `p${i}`);
  assert.equal(await before.stop(), 0);
  const file = join(store, "ledger.db");
  const size = statSync(file).size;
  damage(file, 4096, size - 8192);
  const damaged = readFileSync(file);
  const sidecar = await start();
  await until(async () => (await storePart(sidecar)).state === "degraded");
  const { why } = await storePart(sidecar);
  const aside = readdirSync(store).find((name) => /^ledger\.db\.corrupt-.*[0-9a-f]{4}$/.test(name));
  assert.ok(aside !== undefined && why?.includes(aside), `${why}: ${readdirSync(store).join(" ")}`);
  assert.deepEqual(readFileSync(join(store, aside)), damaged);
  await predict(sidecar, "new");
  await until(async () => (await getJson(`${sidecar.api}/v1/predictions/new`)).status === 200);
  await label(sidecar, "new");
  assert.equal(await sidecar.stop(), 0);
});

test("a store that is damaged under the running sidecar: traffic passes, every label is kept or refused with 503, the observer lives", async (t) => {
  const { start, store } = await place(t);
  const sidecar = await start();
  for (let i = 0; i < 100; i++) await predict(sidecar, `p${i}`);
  await sidecar.metricIs("outrider_predictions_total", 100);
  for (const name of ["ledger.db", "ledger.db-wal"]) {
    const file = join(store, name);
    const { size } = statSync(file);
    if (size > 4096) damage(file, 2048, size - 4096);
  }
  const statuses = new Set<number>();
  for (let i = 0; i < 100; i++) {
    await predict(sidecar, `later${i}`);
    const answer = await postJson(`${sidecar.api}/v1/labels`, { id: `p${i}`, label: 1 });
    statuses.add(answer.status);
    const read = await request(`${sidecar.api}/v1/predictions/p${i}`);
    await read.body.dump();
    assert.ok([200, 404, 503].includes(read.statusCode), `reading gave ${read.statusCode}`);
  }
  assert.ok(
    [...statuses].every((status) => status === 200 || status === 503),
    [...statuses].join(" "),
  );
  await storePart(sidecar);
  await sidecar.metricIs("outrider_observer_up", 1);
  assert.equal(await sidecar.stop(), 0);
  const again = await start();
  await predict(again, "again");
  await until(async () => (await getJson(`${again.api}/v1/predictions/again`)).status === 200);
  await label(again, "again");
});

test("a store folder that cannot be made: traffic passes, /readyz and the log say why", async (t) => {
  const { start, store } = await place(t);
  const file = join(store, "a-file");
  closeSync(openSync(file, "w"));
  const sidecar = await start({ store: join(file, "store"), waitForApi: false });
  await predict(sidecar, "passes");
  await until(async () => (await storePart(sidecar)).state === "degraded");
  assert.match((await storePart(sidecar)).why ?? "", /ENOTDIR|not a directory/i);
  await until(() => /the store is not open/.test(sidecar.log()));
  await sidecar.metricIs("outrider_exchanges_seen_total", 1);
  assert.equal(await sidecar.stop(), 0);
});
