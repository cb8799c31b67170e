// Versions polled from a metadata endpoint: over TCP and over a unix socket, kept when the endpoint fails.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createVersionPoller, type PolledModel } from "../../src/observer/poll.ts";
import { until } from "../support/sidecar.ts";

function listen(server: Server, where: object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(where, resolve);
  });
}

async function firstVersion(polled: PolledModel): Promise<string | null> {
  const seen: string[] = [];
  const poller = createVersionPoller([polled], {
    clock: systemClock,
    log: silentLog,
    onVersion: (_model, version) => seen.push(version),
  });
  await poller.start();
  await until(() => seen.length > 0);
  await poller.stop(1000);
  return seen[0] ?? null;
}

test("the version is read from a model server on a unix socket", async () => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-poll-"));
  const socketPath = join(folder, "model.sock");
  const server = createServer((request, response) => {
    response.end(JSON.stringify({ versions: [request.url === "/v2/models/m" ? "7" : "wrong path"] }));
  });
  await listen(server, { path: socketPath });
  try {
    const version = await firstVersion({
      model: "m",
      url: "http://localhost/v2/models/m",
      socketPath,
      tls: null,
      everyMs: 50,
      at: "$.versions[0]",
    });
    assert.equal(version, "7");
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
});
