// The observer runs out of memory under load: no request fails or waits, it comes back, and the loss is exact. Lowers the limit of the running process.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { request } from "undici";
import { startModelServer } from "../../support/model-server.ts";
import { sampleSum, startSidecar, until } from "../../support/sidecar.ts";

test("an observer without memory ends, traffic does not notice, and seen = recorded + dropped", async () => {
  const model = await startModelServer(({ x }) => ({
    predictions: [Number(x) + 0.5],
    pad: "x".repeat(40_000),
  }));
  const sidecar = await startSidecar({ upstream: model.url });
  let sent = 0;
  let failed = 0;
  let answered = 0;
  let over = false;
  const one = async (): Promise<void> => {
    while (!over) {
      sent += 1;
      const answer = await request(`${sidecar.traffic}/invocations`, { method: "POST", body: '{"x":1}' });
      await answer.body.dump();
      if (answer.statusCode !== 200) failed += 1;
      answered += 1;
    }
  };
  const load = Promise.all(Array.from({ length: 8 }, one));
  await until(() => answered > 200);
  const observer = sidecar.observerPid();
  const status = readFileSync(`/proc/${observer}/status`, "utf8");
  const dataKib = Number(/VmData:\s+(\d+)/.exec(status)?.[1]);
  const limited = spawnSync("prlimit", ["--pid", String(observer), `--data=${(dataKib + 1024) * 1024}`]);
  assert.equal(limited.status, 0, String(limited.stderr));
  await until(async () => (await sidecar.metric("outrider_observer_restarts_total")) >= 1);
  const whileDown = answered;
  await sidecar.metricIs("outrider_observer_up", 1);
  // Eight at a time: had each waited for the observer, no more than eight would have come.
  await until(() => answered > whileDown + 100);
  over = true;
  await load;
  assert.equal(failed, 0);
  await until(async () => {
    const text = await sidecar.metrics();
    const recorded = sampleSum(text, "outrider_exchanges_recorded_total");
    const dropped = sampleSum(text, "outrider_queue_dropped_total", { what: "fact" });
    return sampleSum(text, "outrider_exchanges_seen_total") === sent && recorded + dropped === sent;
  });
  await sidecar.stop();
  await model.close();
});
