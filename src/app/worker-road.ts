// What crosses the socket pair between the traffic process and its traffic workers.

import type { ProxyOptions, RelaySnapshot } from "../proxy/proxy.ts";

/** Frame kinds; JSON but for `facts`, which go to the observer as they came. */
export const WORKER_FRAME = Object.freeze({
  /** to the worker: `WorkerOpening` */
  opening: 1,
  /** both ways: see `FRAME.facts` */
  facts: 2,
  /** from the worker, four times a second: `TrafficStats` */
  stats: 4,
  /** to the worker: `{ deadlineMs }`; it drains and exits */
  stop: 5,
  /** to the worker: `RelaySnapshot` */
  snapshot: 33,
  /** to the worker: `Certificate` for the listener */
  certificate: 34,
  /** to the worker: `UpstreamTls` */
  upstreamTls: 35,
  /** to the worker: `{ heldBytes }`, its share of what waits for the observer */
  held: 36,
  /** to the worker: `{ socket }`, another listening socket that it accepts connections from, too */
  cover: 37,
  /** from the worker: it accepts connections */
  listening: 49,
  /** from the worker: `{ code, message }`, it cannot */
  refused: 50,
});

/** The first frame to a worker. */
export interface WorkerOpening {
  /** From 1. */
  readonly number: number;
  /** Which of the listening sockets that it inherits is its own, from 0. */
  readonly socket: number;
  readonly proxy: Omit<ProxyOptions, "listen">;
  readonly snapshot: RelaySnapshot;
  readonly extraHeaders: readonly string[];
  readonly queueBytesMax: number;
  /** For a worker that is left alone. */
  readonly drainMs: number;
}
