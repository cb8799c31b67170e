import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Agent, request } from "undici";
import { startSidecar, until } from "../support/sidecar.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A model server that can die with its connections and come back on the same port; it remembers every id it has read. */
class Restartable {
  readonly seen = new Map<string, number>();
  readonly gaps: { from: number; to: number }[] = [];
  /** Requests read and not answered. */
  underWay = 0;
  #server: Server | null = null;
  #port = 0;

  async start(): Promise<string> {
    const server = createServer((incoming, response) => {
      const id = String(incoming.headers["x-prediction-id"]);
      this.seen.set(id, (this.seen.get(id) ?? 0) + 1);
      this.underWay += 1;
      response.on("close", () => (this.underWay -= 1));
      incoming.resume().on("end", () => {
        // Slow enough that some requests are always under way.
        setTimeout(() => {
          if (response.destroyed) return;
          response.setHeader("content-type", "application/json");
          response.end('{"predictions":[1.5]}');
        }, 10);
      });
    });
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
    const gap = this.gaps.at(-1);
    if (gap !== undefined) gap.to = performance.now();
    return `http://127.0.0.1:${this.#port}`;
  }

  die(): void {
    this.gaps.push({ from: performance.now(), to: Number.POSITIVE_INFINITY });
    this.#server?.close();
    this.#server?.closeAllConnections();
  }
}

interface Ended {
  readonly id: string;
  readonly from: number;
  readonly to: number;
  readonly status: number;
  readonly error: string | undefined;
}

test("a model server restarted under load: only requests of the gap fail, with 502, and none is sent twice", async () => {
  const model = new Restartable();
  const sidecar = await startSidecar({ upstream: await model.start() });
  const agent = new Agent({ connections: 8 });
  const ended: Ended[] = [];
  let over = false;
  let number = 0;
  const client = async (): Promise<void> => {
    while (!over) {
      const [id, from] = [`r${number++}`, performance.now()];
      const answer = await request(`${sidecar.traffic}/invocations`, {
        ...(number % 2 === 0 ? { method: "GET" } : { method: "POST", body: '{"x":1}' }),
        headers: { "x-prediction-id": id },
        dispatcher: agent,
      });
      await answer.body.text();
      const said = answer.headers["x-outrider-error"];
      const error = typeof said === "string" ? said : undefined;
      ended.push({ id, from, to: performance.now(), status: answer.statusCode, error });
      if (answer.statusCode !== 200) await pause(5);
    }
  };
  try {
    const clients = Array.from({ length: 8 }, client);
    const count = (holds: (one: Ended) => boolean): number => ended.filter(holds).length;
    const further = async (howMany: number, holds: (one: Ended) => boolean): Promise<void> => {
      const before = count(holds);
      await until(() => count(holds) >= before + howMany);
    };
    for (let round = 0; round < 3; round++) {
      await further(60, ({ status }) => status === 200);
      await until(() => model.underWay > 0);
      model.die();
      // The sidecar has met the closed port: it has also heard of the death of each idle connection.
      await further(12, ({ error }) => error === "connection_refused");
      await model.start();
    }
    await further(60, ({ status }) => status === 200);
    over = true;
    await Promise.all(clients);
    const failed = ended.filter(({ status }) => status !== 200);
    assert.ok(
      failed.length > 10 && ended.length - failed.length > 100,
      `${failed.length} of ${ended.length}`,
    );
    for (const one of failed) {
      assert.equal(one.status, 502);
      assert.ok(one.error !== undefined);
      const inGap = model.gaps.some(({ from, to }) => one.from <= to && one.to >= from);
      assert.ok(inGap, `${one.id} failed with ${one.error} outside of any gap`);
    }
    for (const { id, status } of ended) {
      const times = model.seen.get(id) ?? 0;
      assert.ok(
        status === 200 ? times === 1 : times <= 1,
        `${id} was sent ${times} times and ended ${status}`,
      );
    }
    const errors = [...new Set(failed.map(({ error }) => error))].toSorted((a = "", b = "") =>
      a.localeCompare(b),
    );
    assert.ok(errors.includes("connection_refused"), String(errors));
    // What was under way when the server died had been sent: it is not tried again, and says so.
    assert.ok(
      failed.some(({ id }) => model.seen.get(id) === 1),
      "none was under way",
    );
    await sidecar.metricIs("outrider_exchanges_recorded_total", ended.length);
    await sidecar.metricIs("outrider_requests_total", ended.length);
    await sidecar.metricIs("outrider_requests_total", ended.length - failed.length, { outcome: "ok" });
  } finally {
    over = true;
    await agent.close();
    await sidecar.stop();
    model.die();
  }
});
