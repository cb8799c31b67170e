// From a fresh clone to a populated stack, timed; nothing is left when it ends, by itself or by Ctrl-C amid its start.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "../support/sidecar.ts";
import { run, runFetching } from "./support/command.ts";
import { ensureAlertmanager, ensureCollector, ensurePrometheus, realFolder } from "./support/install.ts";
import { temporaryFolder } from "./support/process.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

interface Stack {
  readonly child: ChildProcess;
  output(): string;
}

interface Where {
  readonly folder: string;
  readonly path?: string;
}

function startStack(t: TestContext, { folder, path }: Where, ...args: string[]): Stack {
  const child = spawn(process.execPath, ["deploy/stack/run.ts", "--free-ports", ...args], {
    cwd: folder,
    env: { ...process.env, ...(path === undefined ? {} : { PATH: path }) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => void (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => void (output += text));
  return { child, output: () => output };
}

const urlsIn = (output: string): string[] =>
  [...output.matchAll(/^ {2}\w+ +\w+ +(http:\/\/\S+)$/gm)].map(([, url = ""]) => url);

async function answers(url: string): Promise<boolean> {
  return await fetch(url, { signal: AbortSignal.timeout(30_000) }).then(
    () => true,
    () => false,
  );
}

/** What Prometheus asks, as `job health`, by name. */
async function targetsOf(queries: string): Promise<string[]> {
  const { data } = (await (await fetch(`${queries}/api/v1/targets?state=active`)).json()) as {
    data: { activeTargets: { health: string; labels: { job: string } }[] };
  };
  return data.activeTargets.map(({ labels, health }) => `${labels.job} ${health}`).toSorted();
}

test(
  "a fresh clone is populated by every program that is here, and Ctrl-C ends everything",
  { timeout: 1_500_000 },
  async (t) => {
    await Promise.all([ensurePrometheus(), ensureAlertmanager(), ensureCollector()]);
    const clone = join(temporaryFolder(t, "clone"), "outrider");
    const from = performance.now();
    await run("git", ["clone", "--quiet", root, clone]);
    symlinkSync(realFolder, join(clone, ".real"));
    await runFetching("npm", ["ci", "--no-audit", "--no-fund", "--prefer-offline"], {
      cwd: clone,
      withinMs: 900_000,
    });
    const installed = performance.now();
    const { child, output } = startStack(t, { folder: clone });
    await until(() => output().includes("Ctrl-C ends everything") || child.exitCode !== null, 600_000);
    const populated = performance.now();
    const seconds = (a: number, b: number): string => ((b - a) / 1000).toFixed(1);
    t.diagnostic(
      `npm ci ${seconds(from, installed)} s, then populated after ${seconds(installed, populated)} s`,
    );
    assert.match(output(), /populated after [\d.]+ s, as Prometheus tells it/);
    assert.match(output(), /diabetes +1\.1\.0 +rmse +\d+/);
    const urls = urlsIn(output());
    assert.ok(urls.length >= 7, output());
    for (const url of urls) assert.ok(await answers(url), url);
    const queries = /queries +(\S+)/.exec(output())?.[1] ?? "";
    // Populated as soon as the figures are there: some programs Prometheus may not have asked yet, or in vain.
    let targets: string[] = [];
    const allUp = async (): Promise<boolean> =>
      (targets = await targetsOf(queries)).every((target) => target.endsWith(" up"));
    await until(allUp, 120_000).catch(() => {});
    assert.deepEqual(targets, ["alertmanager up", "collector up", "outrider up", "prometheus up"]);
    const rules = (await (await fetch(`${queries}/api/v1/rules`)).json()) as {
      data: { groups: { rules: { name: string; lastError?: string }[] }[] };
    };
    const failed = rules.data.groups.flatMap((group) => group.rules.filter(({ lastError }) => lastError));
    assert.ok(rules.data.groups.length > 0);
    assert.deepEqual(failed, []);
    const exited = once(child, "close");
    child.kill("SIGINT");
    assert.deepEqual(await exited, [0, null]);
    assert.match(output(), /Ended; nothing is left running\./);
    for (const url of urls) assert.ok(!(await answers(url)), `${url} still answers`);
  },
);

test(
  "a machine with none of the programs says so, shows the sidecar alone, and ends by Ctrl-C or by itself, were it amid its start",
  { timeout: 900_000 },
  async (t) => {
    const bare = join(temporaryFolder(t, "bare"), "outrider");
    await run("git", ["clone", "--quiet", root, bare]);
    symlinkSync(join(root, "node_modules"), join(bare, "node_modules"));
    const { child, output } = startStack(t, { folder: bare, path: dirname(process.execPath) });
    await until(() => output().includes("Ctrl-C ends everything") || child.exitCode !== null, 600_000);
    assert.match(output(), /left out, not on this machine: alertmanager, collector, prometheus, grafana/);
    assert.match(output(), /populated after [\d.]+ s:/);
    const urls = urlsIn(output());
    assert.equal(urls.length, 4, output());
    const exited = once(child, "close");
    child.kill("SIGINT");
    assert.deepEqual(await exited, [0, null]);
    for (const url of urls) assert.ok(!(await answers(url)), `${url} still answers`);

    const brief = startStack(t, { folder: bare, path: dirname(process.execPath) }, "--seconds", "1");
    assert.deepEqual(await once(brief.child, "close"), [0, null]);
    assert.match(brief.output(), /Ended; nothing is left running\./);
    const left = urlsIn(brief.output());
    assert.equal(left.length, 4, brief.output());
    for (const url of left) assert.ok(!(await answers(url)), `${url} still answers`);
  },
);
