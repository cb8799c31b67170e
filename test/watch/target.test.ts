// The watched process: who it is, what it used, and that its counters go on. Fixture trees for the rules, real processes for the figures.

import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { suite, test, type TestContext } from "node:test";
import fc from "fast-check";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { ContinuedCounter, TreeCpu } from "../../src/watch/accounts.ts";
import { parseListeners, parseStat, readMachineUnits, type Proc } from "../../src/watch/procfs.ts";
import { createTarget, type TargetOptions, type TargetSample } from "../../src/watch/target.ts";
import type { Fixture } from "./fixture.ts";
import { machine, PORT, watching } from "./watching.ts";

const pidsOf = (sample: TargetSample | null): number[] => [...(sample?.pids ?? [])].toSorted((a, b) => a - b);

suite("who is watched", { concurrency: true }, () => {
  test("a master and its workers, from a port that all of them hold", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50, cpu: 100, rss: 10, sockets: ["777"] });
    fake.put({ pid: 101, ppid: 100, pgrp: 100, cpu: 200, rss: 20, start: 110, sockets: ["777"] });
    fake.put({ pid: 102, ppid: 100, pgrp: 100, cpu: 300, rss: 30, start: 120, sockets: ["777"] });
    fake.put({ pid: 200, ppid: 50, cpu: 5000, rss: 5000, sockets: ["778"] });
    const sample = await watching(t, PORT, fake).first();
    assert.deepEqual(pidsOf(sample), [100, 101, 102]);
    assert.equal(sample?.source, "procfs");
    assert.equal(sample?.cpuSecondsTotal, 6);
    assert.deepEqual(sample?.memoryBytes, { rss: 60 * 4096, workingSet: null });
    assert.equal(sample?.cpuUtilization, null);
  });

  test("a listener whose wrapper is in its process group counts with it; the shell above does not", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50, name: "mlflow" });
    fake.put({ pid: 101, ppid: 100, pgrp: 100, name: "uvicorn", start: 110, sockets: ["777"] });
    assert.deepEqual(pidsOf(await watching(t, PORT, fake).first()), [100, 101]);
  });

  test("a script that started both the server and us is not the server", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 50, ppid: 1, name: "start.sh" });
    fake.put({ pid: 901, ppid: 50, pgrp: 50 });
    fake.self({ pid: 900, ppid: 901, pgrp: 50 });
    fake.put({ pid: 100, ppid: 50, pgrp: 50, sockets: ["777"] });
    assert.deepEqual(pidsOf(await watching(t, PORT, fake).first()), [100]);
  });

  test("a server that started us is watched, without us and without what started it", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 50, ppid: 1, name: "start.sh" });
    fake.put({ pid: 100, ppid: 50, pgrp: 50, sockets: ["777"] });
    fake.put({ pid: 102, ppid: 100, pgrp: 50 });
    fake.put({ pid: 901, ppid: 100, pgrp: 50 });
    fake.self({ pid: 900, ppid: 901, pgrp: 50 });
    assert.deepEqual(pidsOf(await watching(t, PORT, fake).first()), [100, 102]);
    fake.put({ pid: 100, ppid: 50, pgrp: 50 });
    fake.put({ pid: 901, ppid: 100, pgrp: 50, sockets: ["777"] });
    assert.equal(await watching(t, PORT, fake).first(), null, "our own port is nobody's");
  });

  test("pid 1 only when it is the server itself, and never what it started to watch it", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 1, ppid: 0, name: "gunicorn", sockets: ["777"] });
    fake.put({ pid: 100, ppid: 1, pgrp: 1, start: 110, sockets: ["777"] });
    fake.self({ pid: 900, ppid: 901, pgrp: 901 });
    fake.put({ pid: 901, ppid: 0, pgrp: 901 });
    fake.remove(50);
    assert.deepEqual(pidsOf(await watching(t, PORT, fake).first()), [1, 100]);
    const below = machine(t);
    below.put({ pid: 100, ppid: 50, sockets: ["778"] });
    below.put({ pid: 901, ppid: 100, pgrp: 901 });
    below.self({ pid: 900, ppid: 901, pgrp: 901 });
    below.put({ pid: 102, ppid: 100, pgrp: 100 });
    assert.deepEqual(pidsOf(await watching(t, { kind: "pid", pid: 100 }, below).first()), [100, 102]);
  });

  test("by name: the top-most process whose name or command line fits", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50, name: "python3", command: "python3 -m mlserver start ." });
    fake.put({ pid: 101, ppid: 100, name: "python3", command: "python3 -m mlserver start .", start: 110 });
    fake.put({ pid: 300, ppid: 50, name: "odd) S (name", start: 90 });
    assert.deepEqual(
      pidsOf(await watching(t, { kind: "processName", pattern: "mlserver" }, fake).first()),
      [100, 101],
    );
    assert.deepEqual(
      pidsOf(await watching(t, { kind: "processName", pattern: "^odd" }, fake).first()),
      [300],
    );
  });

  test("by pid file, which is read again when it changes", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50 });
    fake.put({ pid: 200, ppid: 50 });
    const path = join(fake.roots.cgroup, "model.pid");
    const watch = watching(t, { kind: "pidFile", path }, fake);
    assert.equal(await watch.first(), null);
    writeFileSync(path, "100\n");
    assert.deepEqual(pidsOf(await watch.next()), [100]);
    writeFileSync(path, "200\n");
    const sample = await watch.next();
    assert.deepEqual([pidsOf(sample), sample?.restarts], [[200], 1]);
    assert.deepEqual(watch.errors, ["bad_pid_file"]);
  });

  test("a model server elsewhere is said once", async (t) => {
    const watch = watching(t, { ...PORT, host: "192.0.2.1" }, machine(t));
    assert.equal(await watch.first(), null);
    assert.equal(watch.said.length, 1);
    assert.deepEqual(watch.errors, []);
  });

  test("a listener whose process is hidden is told as such, once", async (t) => {
    const watch = watching(t, PORT, machine(t));
    assert.equal(await watch.first(), null);
    assert.equal(await watch.next(), null);
    assert.deepEqual(watch.errors, ["no_permission", "no_permission"]);
    assert.equal(watch.said.length, 1);
    assert.equal(watch.target.latest(), null);
  });
});

suite("what it used", { concurrency: true }, () => {
  test("CPU time goes on growing when children end, and the process is started anew", async (t) => {
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50, cpu: 100, sockets: ["777"] });
    fake.put({ pid: 101, ppid: 100, pgrp: 100, cpu: 50, start: 200 });
    const watch = watching(t, PORT, fake);
    assert.equal((await watch.first())?.cpuSecondsTotal, 1.5);

    fake.remove(101);
    fake.put({ pid: 100, ppid: 50, cpu: 110, childCpu: 80, sockets: ["777"] });
    fake.uptime(1005);
    const ended = await watch.next();
    // 0.1 s of its own; the child was waited for with 0.8 s in all, 0.5 s of which had been seen.
    assert.equal(ended?.cpuSecondsTotal, 1.9);
    assert.ok(Math.abs((ended?.cpuUtilization ?? 0) - 0.4 / 5 / availableParallelism()) < 1e-9);

    fake.remove(100);
    fake.listening();
    fake.uptime(1010);
    assert.equal(await watch.next(), null);
    fake.listening({ port: 8000, inode: "777" });
    fake.put({ pid: 300, ppid: 50, cpu: 20, start: 101_200, sockets: ["777"] });
    fake.uptime(1015);
    const again = await watch.next();
    assert.equal(again?.cpuSecondsTotal, 2.1);
    assert.equal(again?.restarts, 1);
    assert.deepEqual(watch.errors, ["not_found"]);
    assert.equal(watch.said.length, 3, watch.said.join("\n"));
  });

  test("a process that merely joined the tree does not bring its past along", () => {
    const proc = (pid: number, cpuTicks: number, startTicks: number): Proc => ({
      pid,
      name: "x",
      state: "S",
      ppid: 1,
      pgrp: 1,
      cpuTicks,
      childTicks: 0,
      startTicks,
      rssPages: 0,
    });
    const cpu = new TreeCpu();
    assert.equal(cpu.add([proc(1, 10, 5)], 1000), 10);
    assert.equal(cpu.add([proc(1, 12, 5), proc(2, 5000, 7), proc(3, 4, 1100)], 1200), 16);
    assert.equal(cpu.add([proc(1, 12, 5), proc(2, 5001, 7), proc(3, 4, 1100)], 1300), 17);
  });

  test("whatever the tree does, its CPU time never falls", () => {
    const process = fc.record({
      pid: fc.integer({ min: 1, max: 6 }),
      ppid: fc.integer({ min: 1, max: 6 }),
      cpuTicks: fc.nat(500),
      childTicks: fc.nat(500),
      startTicks: fc.constantFrom(1, 150, 250),
    });
    fc.assert(
      fc.property(fc.array(fc.array(process, { maxLength: 6 }), { maxLength: 8 }), (samples) => {
        const cpu = new TreeCpu();
        let last = 0;
        for (const [index, sample] of samples.entries()) {
          const members = sample.map((one) => ({ ...one, name: "x", state: "S", pgrp: 1, rssPages: 1 }));
          const total = cpu.add(members, 100 + index * 100);
          assert.ok(total >= last);
          last = total;
        }
      }),
    );
  });

  test("a counter that begins again is continued", () => {
    const counter = new ContinuedCounter();
    const steps: [value: number, identity: string][] = [
      [5, "a"],
      [7, "a"],
      [1, "a"],
      [4, "b"],
    ];
    assert.deepEqual(
      steps.map(([value, identity]) => counter.add(value, identity)),
      [5, 7, 8, 12],
    );
  });
});

const SERVICE = {
  "cpu.stat":
    "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_throttled 3\nthrottled_usec 1500000\n",
  "cpu.max": "max 100000\n",
  "memory.current": "1000000\n",
  "memory.max": "max\n",
  "memory.stat": "anon 600000\nfile 400000\ninactive_file 300000\n",
  "memory.events": "low 0\nhigh 0\nmax 0\noom 1\noom_kill 1\n",
  "cgroup.procs": "100\n101\n",
};

suite("cgroups", { concurrency: true }, () => {
  function contained(t: TestContext): Fixture {
    const fake = machine(t);
    fake.put({ pid: 100, ppid: 50, sockets: ["777"], cgroup: "/pods/model" });
    fake.cgroup("pods", {
      "cpu.max": "150000 100000\n",
      "memory.max": "4000000\n",
      "cpu.stat": "usage_usec 9\n",
    });
    fake.cgroup("pods/model", SERVICE);
    return fake;
  }

  test("a cgroup of its own is read instead of the tree, with the limits above it", async (t) => {
    const fake = contained(t);
    fake.cgroup("pods/model/worker", { "cgroup.procs": "102\n0\n" });
    const sample = await watching(t, PORT, fake).first();
    assert.deepEqual(sample, {
      source: "cgroup",
      cpuSecondsTotal: 2.5,
      cpuUtilization: null,
      cpuLimit: 1.5,
      memoryBytes: { rss: 600_000, workingSet: 700_000 },
      memoryLimitBytes: 4_000_000,
      throttledSeconds: 1.5,
      oomKills: 1,
      processes: 4,
      restarts: 0,
      pids: [100, 101, 102],
    });
  });

  test("its counters go on when it is made anew, and its use is measured by its limit", async (t) => {
    const fake = contained(t);
    const watch = watching(t, PORT, fake);
    await watch.first();
    fake.cgroup("pods/model", { "cpu.stat": "usage_usec 6250000\nthrottled_usec 1600000\n" });
    const busy = await watch.next();
    assert.ok(Math.abs((busy?.cpuUtilization ?? 0) - 3.75 / 5 / 1.5) < 1e-9);
    fake.put({ pid: 100, ppid: 50, start: 99_000, sockets: ["777"], cgroup: "/pods/model" });
    fake.cgroup("pods/model", { "cpu.stat": "usage_usec 1000000\nthrottled_usec 0\n" });
    const anew = await watch.next();
    assert.equal(anew?.cpuSecondsTotal, 7.25);
    assert.equal(anew?.throttledSeconds, 1.6);
    assert.equal(anew?.restarts, 1);
  });

  for (const [cgroup, ours] of [
    ["/", "/"],
    ["/pods", "/pods"],
    ["/pods", "/pods/us"],
    ["/missing", "/us"],
  ] as const) {
    test(`${cgroup} of the service beside ${ours} of ours would count others: the tree is read`, async (t) => {
      const fake = contained(t);
      fake.put({ pid: 100, ppid: 50, cpu: 70, sockets: ["777"], cgroup });
      fake.self({ pid: 900, ppid: 901, pgrp: 901, cgroup: ours });
      const sample = await watching(t, PORT, fake).first();
      assert.deepEqual([sample?.source, sample?.cpuSecondsTotal], ["procfs", 0.7]);
    });
  }

  test("a folder the operator names needs no process to be found", async (t) => {
    const fake = contained(t);
    const watch = watching(t, { kind: "cgroup", path: "/pods/model" }, fake);
    assert.deepEqual([(await watch.first())?.source, (await watch.next())?.restarts], ["cgroup", 0]);
    const full = watching(t, { kind: "cgroup", path: join(fake.roots.cgroup, "pods/model") }, fake);
    assert.equal((await full.first())?.cpuSecondsTotal, 2.5);
    const absent = watching(t, { kind: "cgroup", path: "/nothing" }, fake);
    assert.equal(await absent.first(), null);
    assert.deepEqual(absent.errors, ["no_cgroup"]);
  });
});

test("lines of /proc are read whatever they hold", () => {
  const proc = parseStat("7 (a) R (b c) S 3 7 7 0 -1 4 0 0 0 0 11 22 33 44 20 0 1 0 555 1 66 1 0\n");
  assert.deepEqual(proc, {
    pid: 7,
    name: "a) R (b c",
    state: "S",
    ppid: 3,
    pgrp: 7,
    cpuTicks: 33,
    childTicks: 77,
    startTicks: 555,
    rssPages: 66,
  });
  fc.assert(fc.property(fc.string(), (text) => void (parseStat(text), parseListeners(text))));
});

/** Answers HTTP on a free port, burns CPU in a child of its own, and tells what both used. */
const SERVER = `
const { createServer } = require("node:http");
const { fork } = require("node:child_process");
const burn = () => { const end = Date.now() + 30; while (Date.now() < end); setTimeout(burn, 30); };
const seconds = ({ user, system }) => (user + system) / 1e6;
process.on("disconnect", () => process.exit());
if (process.argv[2] === "worker") {
  process.on("message", () => process.send(seconds(process.cpuUsage())));
  process.send("ready");
  burn();
} else {
  const worker = fork(__filename, ["worker"]);
  const server = createServer((request, response) => response.end());
  worker.once("message", () => server.listen(0, "127.0.0.1", () => process.send(server.address().port)));
  process.on("message", () => {
    worker.once("message", (used) => process.send(used + seconds(process.cpuUsage())));
    worker.send("usage");
  });
}
`;

function ask(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once("message", (value) => resolve(Number(value)));
  });
}

async function startServer(
  t: TestContext,
): Promise<{ child: ChildProcess; port: number; readonly seconds: () => Promise<number> }> {
  const folder = mkdtempSync(join(tmpdir(), "outrider-busy-"));
  const script = join(folder, "server.cjs");
  writeFileSync(script, SERVER);
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const port = await ask(child);
  return {
    child,
    port,
    seconds: () => {
      const answer = ask(child);
      child.send("usage");
      return answer;
    },
  };
}

/** Resolves when the target is no longer found. */
async function gone(look: () => Promise<TargetSample | null>): Promise<void> {
  for (let looks = 0; looks < 200; looks++) if ((await look()) === null) return;
  assert.fail("still found");
}

/** A target on the real machine; `look` gives the sample of a moment. */
function real(t: TestContext, options: TargetOptions, roots?: Fixture["roots"]) {
  const waiting: ((sample: TargetSample | null) => void)[] = [];
  const errors: string[] = [];
  const target = createTarget(options, {
    clock: systemClock,
    log: silentLog,
    everyMs: 60,
    onSample: (sample) => waiting.shift()?.(sample),
    onError: (reason) => errors.push(reason),
    ...(roots === undefined ? {} : { roots }),
  });
  t.after(() => target.stop(1000));
  const look = (): Promise<TargetSample | null> => new Promise((resolve) => waiting.push(resolve));
  return { target, look, errors };
}

test("the CPU time of a real server and its worker is what they say themselves, found by port, and again after a restart", async (t) => {
  const { child, port, seconds } = await startServer(t);
  const { target, look } = real(t, { kind: "port", port });
  await target.start();
  await look();
  // What it says itself before and after a sample: the sample lies between the two, however long the machine takes.
  const moment = async (): Promise<{ before: number; seen: number; after: number }> => ({
    before: await seconds(),
    seen: (await look())?.cpuSecondsTotal ?? 0,
    after: await seconds(),
  });
  const from = await moment();
  while ((await seconds()) - from.after < 0.9) await wait(100);
  const to = await moment();
  const [seen, least, most] = [to.seen - from.seen, to.before - from.after, to.after - from.before];
  t.diagnostic(`counted ${seen.toFixed(2)} s, said ${least.toFixed(2)} to ${most.toFixed(2)} s`);
  assert.ok(seen > least * 0.8 && seen < most * 1.2, `counted ${seen} s, said ${least} to ${most} s`);
  const sample = target.latest();
  assert.equal(sample?.processes, 2);
  assert.ok(sample?.pids.includes(child.pid ?? 0));
  assert.ok((sample?.memoryBytes.rss ?? 0) > 30e6);
  // Between two looks it may have had no CPU at all, once or twice.
  let busy: TargetSample | null = sample;
  for (let looks = 0; looks < 200 && (busy?.cpuUtilization ?? 0) === 0; looks++) busy = await look();
  assert.ok((busy?.cpuUtilization ?? 0) > 0);

  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  await gone(look);
  const next = await startServer(t);
  assert.equal(target.latest(), null);
  await target.stop(1000);
  const again = real(t, { ...PORT, port: next.port, host: "localhost" });
  await again.target.start();
  assert.ok((await again.look())?.pids.includes(next.child.pid ?? 0));
});

test("without /proc one process is read as ps would, and a dead one is not asked for again", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-ps-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "model.pid");
  const roots = { proc: "/nowhere/proc", cgroup: "/nowhere/cgroup" };
  const first = await startServer(t);
  writeFileSync(path, `${first.child.pid}`);
  const { target, look, errors } = real(t, { kind: "pidFile", path }, roots);
  await target.start();
  const sample = await look();
  assert.equal(sample?.source, "ps");
  assert.ok((sample?.memoryBytes.rss ?? 0) > 30e6);
  assert.ok((sample?.cpuSecondsTotal ?? 0) > 0);
  first.child.kill("SIGKILL");
  await new Promise((resolve) => first.child.once("exit", resolve));
  await gone(look);
  assert.ok(errors.includes("not_found"));
  const second = await startServer(t);
  writeFileSync(path, `${second.child.pid}`);
  let anew = await look();
  for (let i = 0; i < 100 && anew === null; i++) anew = await look();
  assert.deepEqual([anew?.pids, anew?.restarts], [[second.child.pid], 1]);
  assert.ok((anew?.cpuSecondsTotal ?? 0) > (sample?.cpuSecondsTotal ?? 0));

  const blind = real(t, { kind: "port", port: 1 }, roots);
  const answer = blind.look();
  await blind.target.start();
  assert.equal(await answer, null);
  assert.deepEqual(blind.errors, []);
});

test("the machine's units are known", () => {
  const { pageBytes, ticksPerSecond } = readMachineUnits("/proc");
  assert.ok([4096, 16_384, 65_536].includes(pageBytes));
  assert.equal(ticksPerSecond, 100);
  assert.deepEqual(readMachineUnits("/nowhere"), { pageBytes: 4096, ticksPerSecond: 100 });
});
