// Load over raw keep-alive sockets: a fixed number of connections, closed loop or at a rate, for a fixed time. Runs as a process of its own.

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
  // "sent": a stall slows the sending down. "due": nothing is let off; what is late is late from when it was due.
  clock = "sent",
] = process.argv;
const port = Number(portText);
const connections = Number(connectionsText);
const seconds = Math.min(60, Number(secondsText));
const rate = Number(rateText);

const body = `{"inputs":[{"name":"x","shape":[1,10],"datatype":"FP64","data":[${Array.from({ length: 10 }, (_, i) => (i / 7).toFixed(15)).join(",")}]}],"pad":"${"y".repeat(200)}"}`;
const request = Buffer.from(
  `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
);

const latencies: number[] = [];
let errors = 0;
const startedAt = performance.now();
const endsAt = startedAt + seconds * 1000;
let due = startedAt;

/** One connection: send, wait for the whole answer (by content-length), send again. */
class Client {
  #socket: Socket;
  #sentAt = 0;
  #need = -1;
  #have = 0;

  constructor() {
    this.#socket = connect(port, "127.0.0.1", () => this.send());
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer | string) =>
      this.onData(typeof chunk === "string" ? Buffer.from(chunk) : chunk),
    );
    this.#socket.on("error", () => {
      errors += 1;
    });
  }

  send(): void {
    const now = performance.now();
    if (now >= endsAt) {
      this.#socket.end();
      return;
    }
    if (rate > 0) {
      due = clock === "due" ? due + 1000 / rate : Math.max(due + 1000 / rate, now - 50);
      const mine = due;
      if (due > now + 0.3) {
        setTimeout(() => this.#write(mine), due - now);
        return;
      }
    }
    this.#write(due);
  }

  #write(dueAt: number): void {
    this.#sentAt = clock === "due" && rate > 0 ? dueAt : performance.now();
    this.#need = -1;
    this.#have = 0;
    this.#socket.write(request);
  }

  onData(chunk: Buffer): void {
    if (this.#need < 0) {
      const head = chunk.indexOf("\r\n\r\n");
      const text = chunk.toString("latin1", 0, head);
      const length = /content-length: *(\d+)/i.exec(text);
      if (!text.startsWith("HTTP/1.1 200") || length === null) {
        errors += 1;
        this.#socket.destroy();
        return;
      }
      this.#need = Number(length[1]);
      this.#have = chunk.length - head - 4;
    } else this.#have += chunk.length;
    if (this.#have < this.#need) return;
    latencies.push(performance.now() - this.#sentAt);
    this.send();
  }
}

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
