// Load over raw keep-alive sockets for a fixed time: closed loop on a fixed number of connections, or open loop at a rate. A process of its own.

import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const [
  ,
  ,
  portText = "0",
  connectionsText = "16",
  secondsText = "3",
  rateText = "0",
  path = "/v2/models/bench/infer",
  freshText = "",
] = process.argv;
const port = Number(portText);
const connections = Number(connectionsText);
const seconds = Math.min(60, Number(secondsText));
const rate = Number(rateText);

const body = `{"inputs":[{"name":"x","shape":[1,10],"datatype":"FP64","data":[${Array.from({ length: 10 }, (_, i) => (i / 7).toFixed(15)).join(",")}]}],"pad":"${"y".repeat(200)}"}`;
const requestWith = (lines: string): string =>
  `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`;

/** Lines that each request says anew, as tracing clients and gateways do. */
const FRESH: ReadonlyMap<string, () => string> = new Map([
  ["traceparent", () => `traceparent: 00-${hex(32)}-${hex(16)}-01\r\n`],
  ["x-request-id", () => `X-Request-Id: ${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}\r\n`],
]);
const fresh = freshText.split(",").flatMap((name) => FRESH.get(name) ?? []);
const alike = Buffer.from(requestWith(""));
let pool = "";

function hex(digits: number): string {
  if (pool.length < digits) pool = randomBytes(32 * 1024).toString("hex");
  const given = pool.slice(0, digits);
  pool = pool.slice(digits);
  return given;
}

const latencies: number[] = [];
let errors = 0;
const startedAt = performance.now();
const endsAt = startedAt + seconds * 1000;

const AGAIN_AFTER_MS = 10;

/** One connection: send, wait for the whole answer (by its length), then `onFree`. One that is closed on us is opened again; what was under way on it has failed. */
class Client {
  readonly #socket: Socket;
  /** A request is under way, or the connection is not open yet. */
  #busy = true;
  #over = false;
  #since = 0;
  #need = -1;
  #have = 0;

  constructor() {
    this.#socket = connect(port, "127.0.0.1", () => {
      this.#busy = false;
      onFree(this);
    });
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#onClose());
  }

  #onClose(): void {
    if (this.#over) return;
    if (this.#busy) errors += 1;
    const at = free.indexOf(this);
    if (at >= 0) free.splice(at, 1);
    if (performance.now() + AGAIN_AFTER_MS < endsAt) setTimeout(() => new Client(), AGAIN_AFTER_MS);
  }

  end(): void {
    this.#over = true;
    this.#socket.end();
  }

  /** `since`: from when its latency counts. */
  send(since: number): void {
    this.#since = since;
    this.#busy = true;
    this.#need = -1;
    this.#have = 0;
    if (fresh.length === 0) this.#socket.write(alike);
    else this.#socket.write(requestWith(fresh.map((line) => line()).join("")), "latin1");
  }

  #onData(chunk: Buffer): void {
    if (this.#need < 0) {
      const head = chunk.indexOf("\r\n\r\n");
      const text = chunk.toString("latin1", 0, head);
      const length = /content-length: *(\d+)/i.exec(text);
      if (!text.startsWith("HTTP/1.1 200") || length === null) {
        this.#socket.destroy();
        return;
      }
      this.#need = Number(length[1]);
      this.#have = chunk.length - head - 4;
    } else this.#have += chunk.length;
    if (this.#have < this.#need) return;
    this.#busy = false;
    latencies.push(performance.now() - this.#since);
    onFree(this);
  }
}

const free: Client[] = [];
const due: number[] = [];

function onFree(client: Client): void {
  const now = performance.now();
  if (now >= endsAt) client.end();
  else if (rate === 0) client.send(now);
  else {
    const since = due.shift();
    if (since === undefined) free.push(client);
    else client.send(since);
  }
}

/** Open loop: requests fall due by the clock whether or not earlier ones were answered; what waits for a connection has begun to count. */
function pace(): void {
  let issued = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    if (now >= endsAt) {
      clearInterval(timer);
      for (const client of free) client.end();
      return;
    }
    for (; issued < ((now - startedAt) / 1000) * rate; issued++) {
      const client = free.shift();
      if (client === undefined) due.push(now);
      else client.send(now);
    }
  }, 1);
}

if (rate > 0) pace();
for (let i = 0; i < connections; i++) new Client();
process.on("exit", () => {
  latencies.sort((a, b) => a - b);
  const at = (q: number): number => latencies[Math.floor(q * (latencies.length - 1))] ?? Number.NaN;
  const result: LoadResult = {
    requests: latencies.length,
    errors,
    seconds: (performance.now() - startedAt) / 1000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
});
