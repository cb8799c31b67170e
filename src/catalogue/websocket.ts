// Families about WebSockets, told when a connection has ended.

import type { Descriptor } from "./descriptor.ts";

export const webSocketFamilies: readonly Descriptor[] = [
  {
    name: "outrider_websocket_messages_total",
    otel: { name: "outrider.websocket.messages", unit: "{message}" },
    type: "counter",
    labels: ["http_route", "model", "direction"],
    help: "Whole WebSocket messages: request (from the client) and response (from the service).",
  },
  {
    name: "outrider_websocket_time_to_first_message_seconds",
    otel: { name: "outrider.websocket.time_to_first_message", unit: "s" },
    type: "histogram",
    labels: ["http_route", "model"],
    help: "Time from the client's first message, or from the upgrade where the service speaks first, to the service's first message.",
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  {
    name: "outrider_websocket_closes_total",
    otel: { name: "outrider.websocket.closes", unit: "{connection}" },
    type: "counter",
    labels: ["http_route", "model", "side", "code"],
    help: "WebSockets by the side and the code of the first closing frame: 1000 to 1015, 3xxx, 4xxx, invalid; 1005 without a code, 1006 without a frame.",
  },
  {
    name: "outrider_websocket_unmeasured_total",
    otel: { name: "outrider.websocket.unmeasured", unit: "{connection}" },
    type: "counter",
    labels: ["http_route", "model"],
    help: "WebSockets on which something other than RFC 6455 frames passed: relayed as they came, not counted from there on.",
  },
];
