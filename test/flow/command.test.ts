import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { request } from "undici";
import { outrider } from "../support/program.ts";
import { startModelServer } from "../support/model-server.ts";
import { isGone, postJson, startSidecar, until } from "../support/sidecar.ts";

test("bad configuration: every mistake at once, each with its path and the fix, exit code 2, no stack", async () => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-config-"));
  const file = join(folder, "outrider.yaml");
  writeFileSync(
    file,
    "upstream: http://127.0.0.1:8000\nproxy: { drainTimeot: 3s, connectTimeout: soon }\nmodels: [{ name: m, task: binry }]\n",
  );
  const { code, err } = await outrider(["check", "--config", file]);
  assert.equal(code, 2);
  assert.match(err, /drainTimeot.*drainTimeout/);
  assert.match(err, /proxy\.connectTimeout/);
  assert.match(err, /models\[0\]\.task/);
  assert.doesNotMatch(err, /\n\s+at /);
  assert.equal((await outrider(["run"])).code, 2);
  const secret = await outrider(["config", "--upstream", "http://127.0.0.1:8000"], {
    OUTRIDER_OTLP: '{"endpoint":"http://127.0.0.1:1","headers":{"authorization":"s3cret"}}',
  });
  assert.equal(secret.code, 0);
  assert.doesNotMatch(secret.out, /s3cret/);
  rmSync(folder, { recursive: true });
});

test("a port that is taken is named, with what to do, exit code 1", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const { code, err } = await outrider([
    "run",
    "--upstream",
    "http://127.0.0.1:9",
    "--listen",
    `127.0.0.1:${port}`,
    "--telemetry-listen",
    "127.0.0.1:0",
  ]);
  assert.equal(code, 1);
  assert.match(err, new RegExp(`${port}.*--listen`));
});

test("SIGTERM lets a request in flight finish, ends with 0, and leaves no process", async (t) => {
  const asked = Promise.withResolvers<ServerResponse>();
  // The sidecar also asks on its own account: that is answered at once.
  const model = createServer(({ method }, response) => {
    if (method === "POST") asked.resolve(response);
    else response.end();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => model.once("listening", resolve));
  t.after(() => {
    model.closeAllConnections();
    model.close();
  });
  const address = model.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const sidecar = await startSidecar({ upstream: `http://127.0.0.1:${port}` });
  const observer = sidecar.observerPid();
  const slow = request(`${sidecar.traffic}/predict`, { method: "POST", body: "{}" });
  const response = await asked.promise;
  const stopped = sidecar.stop("SIGTERM");
  await until(() => sidecar.log().includes('"stopping"'));
  response.end("[1.5]");
  const answer = await slow;
  assert.equal(answer.statusCode, 200);
  await answer.body.dump();
  assert.equal(await stopped, 0);
  await until(() => isGone(observer));
});

test("labels that are wrong are refused one by one, with a code; the good ones of the batch are kept", async () => {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const sidecar = await startSidecar({ upstream: model.url });
  try {
    await postJson(`${sidecar.traffic}/invocations`, { x: 1 }, { "x-prediction-id": "p1" });
    const answer = await postJson(`${sidecar.api}/v1/labels`, [
      { id: "p1", label: 2 },
      { id: "p1" },
      { label: 3 },
      { id: "p1", label: 1, ts: "soon" },
    ]);
    assert.equal(answer.status, 200);
    assert.equal(answer.body["received"], 4);
    assert.equal(answer.body["rejected"], 3);
    const codes = (answer.body["errors"] as { line: number; code: string }[]).map(({ line, code }) => [
      line,
      code,
    ]);
    assert.deepEqual(codes, [
      [2, "missing_label"],
      [3, "invalid_id"],
      [4, "invalid_ts"],
    ]);
    const refused = await postJson(`${sidecar.api}/v1/labels`, { id: "", label: 1 });
    assert.equal(refused.status, 422);
  } finally {
    await sidecar.stop();
    await model.close();
  }
});
