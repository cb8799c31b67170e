// A disk that is full: predictions pass, labels are refused and say so, nothing acknowledged is lost, and it recovers by itself. Mounts a small tmpfs.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { startModelServer } from "../../support/model-server.ts";
import { getJson, postJson, sampleSum, startSidecar, until } from "../../support/sidecar.ts";

function smallDisk(t: TestContext, size: string): string {
  const folder = mkdtempSync(join(tmpdir(), "outrider-disk-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], {
    encoding: "utf8",
  });
  assert.equal(mounted.status, 0, `a tmpfs is needed for this test: ${mounted.stderr}`);
  t.after(() => {
    spawnSync("umount", ["-l", folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

test("a full disk: traffic passes, labels get 503, and what was acknowledged is there when there is room again", async (t) => {
  const disk = smallDisk(t, "8m");
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const store = join(disk, "store");
  const sidecar = await startSidecar({ upstream: model.url, store });
  let requests = 0;
  const predict = async (id: string): Promise<void> => {
    const answer = await postJson(`${sidecar.traffic}/invocations`, { x: 1 }, { "x-prediction-id": id });
    assert.equal(answer.status, 200);
    requests += 1;
  };
  const acknowledged: string[] = [];
  for (let i = 0; i < 50; i++) await predict(`before-${i}`);
  await sidecar.metricIs("outrider_predictions_total", 50);
  for (let i = 0; i < 50; i++) {
    const answer = await postJson(`${sidecar.api}/v1/labels`, { id: `before-${i}`, label: i });
    assert.equal(answer.status, 200);
    acknowledged.push(`before-${i}`);
  }
  // The rest of the disk goes to somebody else; a write that does not fit ends the filling.
  const filled = spawnSync("dd", ["if=/dev/zero", `of=${join(disk, "fill")}`, "bs=4k"], { encoding: "utf8" });
  assert.match(filled.stderr, /No space left/);
  let refused: Awaited<ReturnType<typeof postJson>> | null = null;
  for (let i = 0; i < 3000 && refused === null; i++) {
    const ids = Array.from({ length: 20 }, (_, k) => ({ id: `early-${i}-${k}`, label: k }));
    const answer = await postJson(`${sidecar.api}/v1/labels`, ids);
    if (answer.status === 200) acknowledged.push(...ids.map(({ id }) => id));
    else refused = answer;
  }
  assert.ok(refused !== null, "the disk never was full");
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers["retry-after"]) > 0);
  for (let i = 0; i < 50; i++) await predict(`during-${i}`);
  const ready = await getJson(`${sidecar.telemetry}/readyz`);
  assert.equal(ready.status, 200);
  await until(async () => {
    const text = await sidecar.metrics();
    const seen = sampleSum(text, "outrider_exchanges_seen_total");
    const recorded = sampleSum(text, "outrider_exchanges_recorded_total");
    const dropped = sampleSum(text, "outrider_queue_dropped_total", { what: "fact" });
    return (
      seen === requests &&
      seen === recorded + dropped &&
      sampleSum(text, "outrider_store_write_errors_total") > 0
    );
  });
  writeFileSync(join(disk, "fill"), "");
  await until(
    async () => (await postJson(`${sidecar.api}/v1/labels`, { id: "after", label: 1 })).status === 200,
  );
  await sidecar.stop();
  const again = await startSidecar({ upstream: model.url, store });
  for (const id of acknowledged) {
    assert.equal((await getJson(`${again.api}/v1/labels/${id}`)).status, 200, `${id} was acknowledged`);
  }
  await again.stop();
  await model.close();
});

test("a store on a read-only disk: traffic passes, /readyz says why, and it opens by itself once it may write", async (t) => {
  const disk = smallDisk(t, "16m");
  const remount = (how: "ro" | "rw"): void => {
    const done = spawnSync("mount", ["-o", `remount,${how}`, disk], { encoding: "utf8" });
    assert.equal(done.status, 0, done.stderr);
  };
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  t.after(() => model.close());
  const store = join(disk, "store");
  const writer = await startSidecar({ upstream: model.url, store });
  t.after(() => writer.stop("SIGKILL"));
  await postJson(`${writer.traffic}/invocations`, { x: 1 }, { "x-prediction-id": "kept" });
  assert.equal((await postJson(`${writer.api}/v1/labels`, { id: "kept", label: 1 })).status, 200);
  assert.equal(await writer.stop(), 0);
  remount("ro");
  const sidecar = await startSidecar({ upstream: model.url, store, waitForApi: false });
  t.after(() => sidecar.stop("SIGKILL"));
  const passes = await postJson(`${sidecar.traffic}/invocations`, { x: 1 });
  assert.equal(passes.status, 200);
  const part = async (): Promise<{ state: string; why: string | null } | undefined> => {
    const ready = await getJson(`${sidecar.telemetry}/readyz`);
    assert.equal(ready.status, 200);
    return (ready.body["parts"] as Record<string, { state: string; why: string | null }>)["store"];
  };
  await until(async () => (await part())?.state === "degraded");
  assert.match((await part())?.why ?? "", /read-?only/i);
  remount("rw");
  await until(async () => (await part())?.state === "ok");
  await until(() => /"api":"(http:[^"]+)"/.test(sidecar.log()));
  const api = /"api":"(http:[^"]+)"/.exec(sidecar.log())?.[1] ?? "";
  assert.equal((await getJson(`${api}/v1/labels/kept`)).status, 200, "what was acknowledged is there");
  assert.equal(await sidecar.stop(), 0);
});
