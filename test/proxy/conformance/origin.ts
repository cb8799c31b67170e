// The scripted model server behind the proxy under test: raw sockets, every byte kept, and a script per case, found by the target.

import { createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";
import { readMessage, type Message } from "./message.ts";

/** One request as it reached the origin; grows until it is complete. */
export class Asked {
  readonly connection: number;
  readonly socket: Socket;
  message: Message;
  /** The connection ended before the request did. */
  broken = false;
  answered = false;
  readonly whole: Promise<void>;
  #resolve: () => void = () => {};

  constructor(connection: number, socket: Socket, message: Message) {
    this.connection = connection;
    this.socket = socket;
    this.message = message;
    this.whole = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get method(): string {
    return this.message.start.split(" ")[0] ?? "";
  }

  get target(): string {
    return this.message.start.split(" ")[1] ?? "";
  }

  grow(message: Message): void {
    this.message = message;
    if (message.complete) this.#resolve();
  }

  send(text: string): void {
    if (!this.socket.destroyed) this.socket.write(text, "latin1");
  }
}

export type Script = (asked: Asked, origin: Origin) => void;

export interface Defect {
  readonly text: string;
  readonly bytes: string;
}

const TOKEN = /\/t\/([a-z0-9-]+)/;
export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** Bytes kept of one connection; a case that sends more reads by a script of its own. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024;

export class Origin {
  readonly #server: Server;
  readonly #scripts = new Map<string, Script>();
  readonly #sockets = new Set<Socket>();
  readonly asked: Asked[] = [];
  readonly defects: Defect[] = [];
  /** All bytes of every connection, by its number. */
  readonly bytes: string[] = [];
  connections = 0;
  port = 0;

  constructor() {
    this.#server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) =>
      this.#onConnection(socket),
    );
  }

  async start(port = 0): Promise<void> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  script(token: string, script: Script): void {
    this.#scripts.set(token, script);
  }

  of(token: string): Asked[] {
    return this.asked.filter((one) => TOKEN.exec(one.target)?.[1] === token);
  }

  #onConnection(socket: Socket): void {
    const number = this.connections++;
    this.bytes[number] = "";
    this.#sockets.add(socket);
    socket.on("error", () => {});
    let text = "";
    let current: Asked | null = null;
    let spoiled = false;
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (current !== null && !current.message.complete) current.broken = true;
    });
    socket.on("data", (chunk) => {
      const part = chunk.toString("latin1");
      if ((this.bytes[number] ?? "").length < KEPT_BYTES_MAX) this.bytes[number] += part;
      text += part;
      while (!spoiled && text !== "") {
        if (current !== null && current.message.framing === "length" && !enough(current.message, text))
          return;
        const reading = readMessage(text, { answerTo: null, ended: false });
        if (reading.kind === "partial") return;
        if (reading.kind === "defect") {
          this.defects.push({ text: reading.defect, bytes: text.slice(0, 4000) });
          spoiled = true;
          socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
          return;
        }
        current = this.#take(current, { number, socket, message: reading.message });
        if (!reading.message.complete) return;
        text = text.slice(reading.message.size);
        current = null;
      }
    });
  }

  #take(current: Asked | null, came: { number: number; socket: Socket; message: Message }): Asked {
    if (current !== null) {
      current.grow(came.message);
      return current;
    }
    const asked = new Asked(came.number, came.socket, came.message);
    this.asked.push(asked);
    asked.grow(came.message);
    const script = this.#scripts.get(TOKEN.exec(asked.target)?.[1] ?? "");
    if (script !== undefined) script(asked, this);
    else void asked.whole.then(() => asked.send(OK));
    return asked;
  }
}

/** A long body is looked at again when it is whole. */
function enough(message: Message, text: string): boolean {
  return text.length < 65_536 || text.length >= message.size;
}
