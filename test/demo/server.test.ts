// The demo's model server speaks the Open Inference Protocol well enough to stand where a real one would.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { loadDemo } from "../../src/demo/models.ts";
import { createDemoServer, type DemoServerOptions } from "../../src/demo/server.ts";
import { systemClock } from "../../src/kernel/clock.ts";

const demo = loadDemo();

async function started(t: TestContext, chance: () => number, options: Partial<DemoServerOptions> = {}) {
  const server = createDemoServer({ host: "127.0.0.1", port: 0, ...options }, { clock: systemClock, chance });
  await server.start();
  t.after(() => server.stop(500));
  return { server, url: `http://127.0.0.1:${server.address?.port}` };
}

function rowsOf(name: string, count: number) {
  const set = demo.dataSets.find((each) => each.name === name);
  assert.ok(set);
  return set.rows.slice(0, count).map((row) => row.features);
}

function inferBody(rows: readonly (readonly number[])[], more: object = {}): string {
  const tensor = { name: "x", shape: [rows.length, rows[0]?.length], datatype: "FP64", data: rows.flat() };
  return JSON.stringify({ inputs: [tensor], ...more });
}

async function send(url: string, body: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, {
    method: "POST",
    body,
    headers: { "content-type": "application/json" },
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("a version named in the path answers with its own predictions and echoes the id", async (t) => {
  const { url } = await started(t, () => 0.5);
  const rows = rowsOf("diabetes", 3);
  for (const model of demo.models.filter((each) => each.name === "diabetes")) {
    const path = `/v2/models/diabetes/versions/${model.version}/infer`;
    const answer = await send(url + path, inferBody(rows, { id: "mine-1" }));
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, {
      model_name: "diabetes",
      model_version: model.version,
      id: "mine-1",
      outputs: [
        {
          name: "predict",
          shape: [3, 1],
          datatype: "FP64",
          data: rows.map((row) => model.predict(row).value),
        },
      ],
    });
  }
});

test("a classifier gives the class and both probabilities, or only the outputs asked for", async (t) => {
  const { url } = await started(t, () => 0.5);
  const path = `${url}/v2/models/breast-cancer/versions/2/infer`;
  const both = await send(path, inferBody(rowsOf("breast-cancer", 2)));
  const [predict, proba] = both.body["outputs"] as { name: string; shape: number[]; data: number[] }[];
  assert.deepEqual(predict?.shape, [2, 1]);
  assert.deepEqual(proba?.shape, [2, 2]);
  assert.equal((proba?.data[0] ?? 0) + (proba?.data[1] ?? 0), 1);
  assert.equal(predict?.data[0], (proba?.data[1] ?? 0) > 0.5 ? 1 : 0);
  assert.match(String(both.body["id"]), /^[0-9a-f-]{36}$/);
  const one = await send(
    path,
    inferBody(rowsOf("breast-cancer", 1), { outputs: [{ name: "predict_proba" }] }),
  );
  assert.deepEqual(
    (one.body["outputs"] as { name: string }[]).map((output) => output.name),
    ["predict_proba"],
  );
});

test("without a version in the path the newest answers its share and the one before it the rest", async (t) => {
  let draw = 0;
  const { url } = await started(t, () => draw);
  const versionAt = async (value: number): Promise<unknown> => {
    draw = value;
    const sent = await send(`${url}/v2/models/diabetes/infer`, inferBody(rowsOf("diabetes", 1)));
    return sent.body["model_version"];
  };
  assert.equal(await versionAt(0.29), "1.1.0");
  assert.equal(await versionAt(0.31), "1.0.0");
});

test("bad input is the caller's mistake: 400, 404, 405 or 413, and the server lives on", async (t) => {
  const { url } = await started(t, () => 0.5);
  const infer = `${url}/v2/models/diabetes/infer`;
  const tensor = (shape: unknown, data: unknown): string =>
    JSON.stringify({ inputs: [{ name: "x", shape, datatype: "FP64", data }] });
  const wrong: readonly string[] = [
    "",
    "[]",
    "null",
    '{"inputs":[]}',
    '{"inputs":[{"name":"x"}]}',
    '{"__proto__":{"inputs":[]}}',
    tensor([1, 9], Array(9).fill(1)),
    tensor([2, 10], Array(10).fill(1)),
    tensor([1, 10], Array(10).fill("1")),
    tensor([1e9, 10], []),
    tensor([-1, 10], []),
    inferBody(rowsOf("diabetes", 1), { id: 7 }),
    inferBody(rowsOf("diabetes", 1), { outputs: [{ name: "constructor" }] }),
  ];
  for (const body of wrong) assert.equal((await send(infer, body)).status, 400, body.slice(0, 60));
  assert.equal((await send(`${url}/v2/models/nope/infer`, "{}")).status, 404);
  assert.equal((await send(`${url}/v2/models/diabetes/versions/9/infer`, "{}")).status, 404);
  assert.equal((await fetch(infer)).status, 405);
  assert.equal((await send(infer, " ".repeat(1024 * 1024 + 1))).status, 413);
  assert.equal((await send(infer, inferBody(rowsOf("diabetes", 1)))).status, 200);
});

test("a share of the predictions fails with 500 when asked to", async (t) => {
  const { url } = await started(t, () => 0.5, { failureShare: 0.6 });
  const answer = await send(`${url}/v2/models/diabetes/infer`, inferBody(rowsOf("diabetes", 1)));
  assert.equal(answer.status, 500);
});

test("health and metadata answer, and stop is safe before start and twice", async (t) => {
  const unstarted = createDemoServer(
    { host: "127.0.0.1", port: 0 },
    { clock: systemClock, chance: () => 0.5 },
  );
  await unstarted.stop(10);
  assert.equal(unstarted.address, null);
  const { server, url } = await started(t, () => 0.5);
  for (const path of ["/v2/health/live", "/v2/health/ready", "/v2/models/diabetes/ready"]) {
    assert.equal((await fetch(url + path)).status, 200);
  }
  const metadata = (await (await fetch(`${url}/v2/models/diabetes`)).json()) as { versions: string[] };
  assert.deepEqual(metadata.versions, ["1.0.0", "1.1.0"]);
  await server.stop(500);
  await server.stop(500);
  await assert.rejects(fetch(`${url}/v2/health/live`));
});
