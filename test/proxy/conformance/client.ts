// The client of the suite: bytes out, answers in.

import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { readMessage, valuesOf, type Message } from "./message.ts";

export class Failed extends Error {}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** How long something may take that a proxy that holds the rule does at once: for a machine that hardly runs. */
export const PATIENCE_MS = 20_000;

export async function until(holds: () => boolean, what: string): Promise<void> {
  const endsAt = performance.now() + PATIENCE_MS;
  while (!holds()) {
    if (performance.now() > endsAt) throw new Failed(`not within ${PATIENCE_MS} ms: ${what}`);
    await pause(4);
  }
}

export class Client {
  readonly socket: Socket;
  text = "";
  ended = false;
  closed = false;
  reset = false;
  /** Interim heads met by `answer`. */
  readonly interim: Message[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => {
      this.text += chunk.toString("latin1");
    });
    socket.on("error", () => {
      this.reset = true;
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("close", () => {
      this.closed = true;
      this.ended = true;
    });
  }

  send(text: string): this {
    if (!this.socket.destroyed) this.socket.write(text, "latin1");
    return this;
  }

  /** What has come of the next final answer: null while its head is not whole. */
  peek(method = "GET"): Message | null {
    for (;;) {
      const reading = readMessage(this.text, { answerTo: method, ended: this.ended && !this.reset });
      if (reading.kind === "defect") throw new Failed(`the answer is not HTTP: ${reading.defect}`);
      if (reading.kind === "partial") return null;
      const { message } = reading;
      if (!/^HTTP\/1\.. 1/.test(message.start) || message.start.startsWith("HTTP/1.1 101")) return message;
      this.interim.push(message);
      this.text = this.text.slice(message.size);
    }
  }

  /** Until an interim head has come. */
  async toldToGoOn(): Promise<void> {
    await until(() => {
      this.peek();
      return this.interim.length > 0;
    }, "the 100");
  }

  /** The next final answer, whole. It is taken off. */
  async answer(method = "GET"): Promise<Message> {
    const endsAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const message = this.peek(method);
      if (message?.complete === true) {
        this.text = this.text.slice(message.size);
        return message;
      }
      if (this.ended)
        throw new Failed(`the connection ended within the answer ${JSON.stringify(this.text.slice(0, 200))}`);
      if (performance.now() > endsAt)
        throw new Failed(
          `no whole answer within ${PATIENCE_MS} ms: ${JSON.stringify(this.text.slice(0, 200))}`,
        );
      await pause(3);
    }
  }

  /** A final answer, taken off, or null when the connection ended without a byte of one, or nothing came in time. */
  async answerOrEnd(method = "GET", withinMs = PATIENCE_MS): Promise<Message | null> {
    const endsAt = performance.now() + withinMs;
    for (;;) {
      const message = this.peek(method);
      if (message !== null && (message.complete || this.ended)) {
        this.text = this.text.slice(message.size);
        return message;
      }
      if (this.ended || performance.now() > endsAt) return null;
      await pause(3);
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

export async function open(port: number): Promise<Client> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true });
  const client = new Client(socket);
  await once(socket, "connect");
  return client;
}

export function statusOf(message: Message | null): number {
  return message === null ? 0 : Number(message.start.slice(9, 12));
}

export function expectThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new Failed(otherwise);
}

export function expectStatus(message: Message | null, ...wanted: number[]): void {
  const status = statusOf(message);
  expectThat(wanted.includes(status), `status ${status}, not ${wanted.join(" or ")}`);
}

export function expectValues(
  message: Pick<Message, "fields">,
  name: string,
  wanted: readonly string[],
): void {
  const values = valuesOf(message, name);
  expectThat(
    JSON.stringify(values) === JSON.stringify(wanted),
    `${name}: ${JSON.stringify(values).slice(0, 200)}, not ${JSON.stringify(wanted).slice(0, 200)}`,
  );
}
