// As in a pod without a shared process namespace: the sidecar cannot see the model server's process, which is Python with the
// real prometheus_client. Its CPU and memory come from its own /metrics, and the counter goes on when it is started anew.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { sampleSum, until } from "../support/sidecar.ts";
import { ensurePython, pythonFolder } from "./support/install.ts";
import { freePort, startProcess, temporaryFolder, type RealProcess } from "./support/process.ts";

const main = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "src", "main.ts");

const textOf = async (url: string): Promise<string> => await (await request(url)).body.text();

async function startServer(t: TestContext, port: number): Promise<RealProcess> {
  const { python } = await ensurePython();
  return await startProcess(t, {
    name: "the model server",
    command: python,
    args: [join(pythonFolder, "hidden_server.py"), String(port)],
    readyUrl: `http://127.0.0.1:${port}/used`,
  });
}

/** The whole program in a process namespace of its own, with a /proc that shows only itself. */
async function startHidden(
  t: TestContext,
  upstream: string,
): Promise<{ metrics: string; process: RealProcess }> {
  const ports = { listen: await freePort(), telemetry: await freePort(), api: await freePort() };
  const metrics = `http://127.0.0.1:${ports.telemetry}/metrics`;
  const flags = ["--upstream", upstream, "--store", temporaryFolder(t, "hidden")];
  for (const [flag, port] of [
    ["--listen", ports.listen],
    ["--telemetry-listen", ports.telemetry],
    ["--api-listen", ports.api],
  ])
    flags.push(String(flag), `127.0.0.1:${port}`);
  const apart = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"];
  const started = await startProcess(t, {
    name: "the sidecar",
    command: "unshare",
    args: [...apart, process.execPath, main, "run", ...flags],
    readyUrl: metrics,
  });
  return { metrics, process: started };
}

const CPU = "outrider_target_cpu_time_seconds_total";
const MEMORY = "outrider_target_memory_usage_bytes";

test(
  "a hidden Python server's CPU and memory are what it tells itself, over a restart",
  { timeout: 600_000 },
  async (t) => {
    const port = await freePort();
    const upstream = `http://127.0.0.1:${port}`;
    const server = await startServer(t, port);
    const { metrics, process: sidecar } = await startHidden(t, upstream);
    const counted = async (): Promise<number> => sampleSum(await textOf(metrics), CPU, { source: "metrics" });
    await until(async () => (await counted()) > 0);
    const used = async (): Promise<number> => Number(await textOf(`${upstream}/used`));
    const [before, own] = [await counted(), await used()];
    assert.ok(before <= own + 0.05, `${before} s counted, ${own} s used`);
    await textOf(`${upstream}/burn`);
    let scrape = "";
    await until(
      async () => sampleSum((scrape = await textOf(metrics)), CPU, { source: "metrics" }) >= before + 0.95,
    );
    assert.ok(sampleSum(scrape, MEMORY, { kind: "rss", source: "metrics" }) > 10e6);
    for (const absent of [
      "outrider_target_processes",
      "outrider_target_cpu_limit",
      "outrider_target_cpu_utilization_ratio",
    ])
      assert.ok(!scrape.includes(`\n${absent}`), `${absent} is not known and must not be told`);

    const last = sampleSum(scrape, CPU, { source: "metrics" });
    const first = await used();
    await server.stop();
    await startServer(t, port);
    let after = 0;
    await until(async () => (after = await counted()) > last);
    // Both together, and what a page more may have cost the first one after it was asked.
    const both = first + (await used());
    assert.ok(after < both + 0.5, `${last} s before, ${after} s after, ${both} s used`);
    await until(async () => sampleSum(await textOf(metrics), "outrider_target_restarts_total") === 1);
    await until(() => /model server's own \/metrics tells/.test(sidecar.output()));
    t.diagnostic(
      `counted ${before.toFixed(2)} s, then ${last.toFixed(2)} s, then ${after.toFixed(2)} s after the restart`,
    );
  },
);
