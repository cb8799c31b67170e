// Series of WebSockets, told when one has ended: messages by direction, the wait for the first, and how it was closed.

import type { Exchange, WebSocketFacts } from "../facts/exchange.ts";
import type { Reading } from "./exchange-metrics.ts";
import type { Recorder } from "./recorder.ts";

export interface WebSocketMetrics {
  observe(exchange: Exchange, reading: Reading): void;
}

/** Codes of RFC 6455, section 7.4, by themselves; those of libraries and applications by their range. */
function codeOf({ closedBy, closeCode }: WebSocketFacts): string {
  if (closedBy === null) return "1006";
  if (closeCode === null) return "1005";
  if (closeCode >= 1000 && closeCode <= 1015) return String(closeCode);
  if (closeCode >= 3000 && closeCode <= 3999) return "3xxx";
  return closeCode >= 4000 && closeCode <= 4999 ? "4xxx" : "invalid";
}

class WebSocketCounter implements WebSocketMetrics {
  readonly #recorder: Recorder;

  constructor(recorder: Recorder) {
    this.#recorder = recorder;
  }

  observe({ webSocket }: Exchange, { route, model }: Reading): void {
    if (webSocket === undefined) return;
    const place = { http_route: route, model };
    const messages = this.#recorder.counter("outrider_websocket_messages_total");
    messages.inc({ ...place, direction: "request" }, webSocket.requestMessages);
    messages.inc({ ...place, direction: "response" }, webSocket.responseMessages);
    if (webSocket.firstMessageMs !== null) {
      this.#recorder
        .histogram("outrider_websocket_time_to_first_message_seconds")
        .observe(place, webSocket.firstMessageMs / 1000);
    }
    this.#recorder
      .counter("outrider_websocket_closes_total")
      .inc({ ...place, side: webSocket.closedBy ?? "", code: codeOf(webSocket) });
    if (!webSocket.measured) this.#recorder.counter("outrider_websocket_unmeasured_total").inc(place);
  }
}

export function createWebSocketMetrics(recorder: Recorder): WebSocketMetrics {
  return new WebSocketCounter(recorder);
}
