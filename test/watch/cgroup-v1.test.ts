// cgroup version 1: a hierarchy per controller, alone or beside an empty version 2, seen directly or through the neighbour.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import type { Fixture } from "./fixture.ts";
import { machine, PORT, watching } from "./watching.ts";

const CPUACCT = { "cpuacct.usage": "2500000000\n", "cgroup.procs": "100\n101\n" };
const CPU = {
  "cpu.cfs_quota_us": "-1\n",
  "cpu.cfs_period_us": "100000\n",
  "cpu.stat": "nr_periods 10\nnr_throttled 2\nthrottled_time 1500000000\n",
};
const MEMORY = {
  "memory.usage_in_bytes": "900000\n",
  "memory.limit_in_bytes": "9223372036854771712\n",
  "memory.stat": "cache 5\nrss 500000\ntotal_rss 600000\ntotal_inactive_file 200000\n",
  "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
};
const groups = (path: string): Record<string, string> => ({ "cpu,cpuacct": path, memory: path });

/** A model server in /pods/model, limited by the pod above it; we are beside it. */
function contained(t: TestContext, folder = "/pods/model"): Fixture {
  const fake = machine(t);
  fake.self({ pid: 900, ppid: 901, pgrp: 901, split: groups("/pods/us") });
  fake.put({ pid: 100, ppid: 50, sockets: ["777"], split: groups("/pods/model") });
  fake.cgroup(`cpuacct${folder}`, CPUACCT);
  fake.cgroup(`cpu${folder}`, CPU);
  fake.cgroup("cpu/pods", { "cpu.cfs_quota_us": "150000\n", "cpu.cfs_period_us": "100000\n" });
  fake.cgroup(`memory${folder}`, MEMORY);
  fake.cgroup("memory/pods", { "memory.limit_in_bytes": "4000000\n" });
  return fake;
}

const SEEN = {
  source: "cgroup",
  cpuSecondsTotal: 2.5,
  cpuUtilization: null,
  cpuLimit: 1.5,
  memoryBytes: { rss: 600_000, workingSet: 700_000 },
  memoryLimitBytes: 4_000_000,
  throttledSeconds: 1.5,
  oomKills: 1,
  processes: 2,
  restarts: 0,
  pids: [100, 101],
};

suite("cgroups of version 1", { concurrency: true }, () => {
  test("the service's own is read, with the limits above it; the largest number is no limit", async (t) => {
    assert.deepEqual(await watching(t, PORT, contained(t)).first(), SEEN);
  });

  test("beside a version 2 that counts nothing, too", async (t) => {
    const fake = contained(t);
    fake.put({ pid: 100, ppid: 50, sockets: ["777"], split: groups("/pods/model"), cgroup: "/pods/model" });
    fake.self({ pid: 900, ppid: 901, pgrp: 901, split: groups("/pods/us"), cgroup: "/pods/us" });
    fake.cgroup("unified/pods/model", { "cgroup.procs": "100\n" });
    assert.deepEqual(await watching(t, PORT, fake).first(), SEEN);
  });

  test("counters go on when it is made anew", async (t) => {
    const fake = contained(t);
    const watch = watching(t, PORT, fake);
    await watch.first();
    fake.cgroup("cpuacct/pods/model", { "cpuacct.usage": "1000000000\n" });
    fake.cgroup("cpu/pods/model", { "cpu.stat": "throttled_time 250000000\n" });
    const sample = await watch.next();
    assert.deepEqual([sample?.cpuSecondsTotal, sample?.throttledSeconds], [3.5, 1.75]);
  });

  for (const [theirs, ours] of [
    ["/", "/"],
    ["/pods", "/pods"],
    ["/pods", "/pods/us"],
  ] as const) {
    test(`${theirs} of the service beside ${ours} of ours would count others: the tree is read`, async (t) => {
      const fake = contained(t);
      fake.put({ pid: 100, ppid: 50, cpu: 70, sockets: ["777"], split: groups(theirs) });
      fake.self({ pid: 900, ppid: 901, pgrp: 901, split: groups(ours) });
      fake.cgroup(`cpuacct${theirs}`, CPUACCT);
      const sample = await watching(t, PORT, fake).first();
      assert.deepEqual([sample?.source, sample?.cpuSecondsTotal], ["procfs", 0.7]);
    });
  }

  test("a container that is shown only its own group is read through the neighbour's view", async (t) => {
    const fake = contained(t, "/elsewhere");
    const view = join(fake.roots.proc, "100", "root", "sys/fs/cgroup");
    const own = { cpuacct: CPUACCT, cpu: CPU, memory: MEMORY };
    for (const [controller, files] of Object.entries(own)) {
      for (const [name, text] of Object.entries(files)) {
        const path = join(view, controller, name);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text);
      }
    }
    const sample = await watching(t, PORT, fake).first();
    // The pod above cannot be seen from there.
    assert.deepEqual(sample, { ...SEEN, cpuLimit: null, memoryLimitBytes: null });
  });

  test("a folder the operator names: by its group, or by its full path under any controller", async (t) => {
    const fake = contained(t);
    for (const path of [
      "/pods/model",
      join(fake.roots.cgroup, "memory/pods/model"),
      join(fake.roots.cgroup, "cpu,cpuacct/pods/model"),
    ])
      assert.deepEqual(await watching(t, { kind: "cgroup", path }, fake).first(), SEEN, path);
    const absent = watching(t, { kind: "cgroup", path: "/nothing" }, fake);
    assert.equal(await absent.first(), null);
    assert.deepEqual(absent.errors, ["no_cgroup"]);
  });
});
