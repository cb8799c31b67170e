// The demo's parts as processes of their own: as docker-compose.yml and the chart's example start them.

import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { parseFigures } from "../../src/watch/page-figures.ts";
import { until } from "../support/sidecar.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const main = join(root, "src", "main.ts");

function start(t: TestContext, args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return child;
}

async function modelServer(t: TestContext): Promise<{ child: ChildProcess; url: string }> {
  const child = start(t, ["demo-server", "--listen", "127.0.0.1:0"]);
  const [line] = (await once(child.stdout ?? child, "data")) as [Buffer];
  return { child, url: `http://127.0.0.1:${(JSON.parse(String(line)) as { port: number }).port}` };
}

function healthy(url: string): number | null {
  return spawnSync(process.execPath, [join(root, "bin", "healthy.js"), url]).status;
}

test("the model server serves where it is told until a signal, and tells its own CPU and memory", async (t) => {
  const { child, url } = await modelServer(t);
  assert.deepEqual([healthy(`${url}/v2/health/ready`), healthy(`${url}/nothing`)], [0, 1]);
  const figures = parseFigures(await (await fetch(`${url}/metrics`)).text());
  assert.ok(typeof figures !== "string");
  assert.ok((figures.cpuSeconds ?? 0) > 0 && (figures.rssBytes ?? 0) > 30e6);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.equal(healthy(`${url}/v2/health/ready`), 1);
});

test("a taken port and a bad address are told in words", async (t) => {
  const { url } = await modelServer(t);
  for (const [address, said] of [
    [new URL(url).host, /another program listens there/],
    ["8000", /host:port/],
  ] as const) {
    const run = spawnSync(process.execPath, [main, "demo-server", "--listen", address], { encoding: "utf8" });
    assert.notEqual(run.status, 0);
    assert.match(run.stderr, said);
    assert.doesNotMatch(run.stderr, /node:net/);
  }
});

test("the callers send requests, and labels with the token", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-traffic-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "token"), "a-token\n");
  const paths = new Set<string>();
  const tokens = new Set<string | undefined>();
  let id = 0;
  const server = createServer((request, response) => {
    paths.add(request.url?.replace(/[\w.-]+\/infer$/, "*") ?? "");
    if (request.url === "/v1/labels") tokens.add(request.headers.authorization);
    request.resume();
    response.writeHead(200, { "x-prediction-id": `id-${id++}` }).end("{}");
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const url = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}`;
  const flags = ["--proxy", url, "--api", url, "--token-file", join(folder, "token"), "--rate", "200"];
  const child = start(t, ["demo-traffic", ...flags]);
  await until(() => paths.has("/v1/labels") && paths.size > 1);
  assert.deepEqual([...tokens], ["Bearer a-token"]);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});
