// The listener: accepts connections, bounds how many are open, and hands each to the protocol it speaks.

import { createServer, type Server, type Socket } from "node:net";
import { messageOf } from "../kernel/problem.ts";
import type { Log } from "../kernel/log.ts";

export interface AcceptorOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly maxConnections: number;
}

export interface AcceptorNeeds {
  readonly log: Log;
  /** Takes over a connection: `first` was read from it already, and nobody listens to it. */
  readonly acceptHttp1: (socket: Socket, first: Buffer | null) => void;
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #needs: AcceptorNeeds;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #refused = 0;

  constructor(options: AcceptorOptions, needs: AcceptorNeeds) {
    this.#options = options;
    this.#needs = needs;
  }

  get address(): { host: string; port: number } | null {
    const bound = this.#server?.address() ?? null;
    return bound === null || typeof bound === "string" ? null : { host: bound.address, port: bound.port };
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Connections closed because `maxConnections` were open. */
  get refusedConnections(): number {
    return this.#refused;
  }

  start(): Promise<void> {
    const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) =>
      this.#onConnection(socket),
    );
    server.maxConnections = this.#options.maxConnections;
    server.on("drop", () => {
      this.#refused++;
    });
    this.#server = server;
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(this.#options.listen, () => {
        server.off("error", reject);
        // Trouble with accepting (no file descriptors left) passes; the listener stays.
        server.on("error", (error) => this.#needs.log.warn({ error: messageOf(error) }, "traffic listener"));
        resolve();
      });
    });
  }

  #onConnection(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.#needs.acceptHttp1(socket, null);
  }

  /** Accepts no more; resolves when the last open connection has ended. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#server === null) resolve();
      else this.#server.close(() => resolve());
    });
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server = null;
  }
}
