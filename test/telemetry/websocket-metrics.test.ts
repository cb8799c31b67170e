// Series of WebSockets that have ended.

import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import type { WebSocketFacts } from "../../src/facts/exchange.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { createRecorder } from "../../src/telemetry/recorder.ts";
import { createWebSocketMetrics } from "../../src/telemetry/websocket-metrics.ts";
import { exchangeOf } from "../support/exchange.ts";
import { handClock } from "../support/hand-clock.ts";

const facts: WebSocketFacts = {
  requestMessages: 3,
  responseMessages: 5,
  firstMessageMs: 40,
  closedBy: "client",
  closeCode: 1000,
  measured: true,
};

test("messages, the first wait, the close and what could not be measured are told per route and model", async () => {
  const recorder = createRecorder({
    catalogue,
    clock: handClock(),
    log: silentLog,
    runtimeMetrics: "leave-out",
  });
  const metrics = createWebSocketMetrics(recorder);
  const observe = (over: Partial<WebSocketFacts>): void =>
    metrics.observe(exchangeOf({ upgraded: true, webSocket: { ...facts, ...over } }), {
      route: "/ws",
      model: "m",
      version: "1",
    });
  observe({});
  observe({ closedBy: null, closeCode: null, measured: false, firstMessageMs: null });
  observe({ closedBy: "upstream", closeCode: null });
  for (const closeCode of [3999, 4000, 4123, 1016, 65_535]) observe({ closeCode });
  metrics.observe(exchangeOf(), { route: "/", model: "m", version: "1" });
  const { families } = await recorder.snapshot();
  const numbers = (name: string): unknown[] => {
    const family = families.find(({ descriptor }) => descriptor.name === name);
    const series = family?.kind === "number" ? family.series : [];
    return series.map(({ labels: { http_route: _route, model: _model, ...rest }, value }) => [rest, value]);
  };
  assert.deepEqual(numbers("outrider_websocket_messages_total"), [
    [{ direction: "request" }, 24],
    [{ direction: "response" }, 40],
  ]);
  assert.deepEqual(numbers("outrider_websocket_unmeasured_total"), [[{}, 1]]);
  assert.deepEqual(numbers("outrider_websocket_closes_total"), [
    [{ side: "client", code: "1000" }, 1],
    [{ code: "1006" }, 1],
    [{ side: "upstream", code: "1005" }, 1],
    [{ side: "client", code: "3xxx" }, 1],
    [{ side: "client", code: "4xxx" }, 2],
    [{ side: "client", code: "invalid" }, 2],
  ]);
});
