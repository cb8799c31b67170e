// The listener: accepts connections, bounds how many are open, and hands each to the protocol it speaks.

import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from "node:tls";
import { afterReading, type Clock } from "../kernel/clock.ts";
import { messageOf } from "../kernel/problem.ts";
import type { Log } from "../kernel/log.ts";

/** An address, or the descriptor of a socket that is bound to one already. */
export type ListenAt = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface AcceptorOptions {
  readonly listen: ListenAt;
  readonly maxConnections: number;
  /** How long a connection may say nothing at first; 0: no limit. */
  readonly firstBytesMs: number;
  /** PEM texts; null: clients connect in cleartext. */
  readonly tls: Certificate | null;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface AcceptorNeeds {
  readonly log: Log;
  readonly clock: Clock;
  /** Takes over a connection: `first` was read from it already, and nobody listens to it. */
  readonly acceptHttp1: (socket: Socket, first: Buffer | null) => void;
  /** The same for a connection that begins with the preface of HTTP/2; `first` has been put back into it. */
  readonly acceptHttp2: (socket: Socket) => void;
  /** A TLS handshake failed. */
  readonly onClientError: () => void;
  /** A connection said nothing for too long. */
  readonly onSilent: () => void;
}

/** RFC 9113 §3.4: no HTTP/1.1 request begins so. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
const HANDSHAKE_MS = 10_000;

/** What the first bytes of a connection say. */
function protocolOf(first: Buffer): "http1" | "http2" | "more" {
  const common = Math.min(first.length, PREFACE.length);
  if (PREFACE.compare(first, 0, common, 0, common) !== 0) return "http1";
  return common === PREFACE.length ? "http2" : "more";
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #needs: AcceptorNeeds;
  readonly #sockets = new Set<Socket>();
  /** The first is the one that `start` opened. */
  readonly #servers: (Server | TlsServer)[] = [];
  #certificate: Certificate | null;
  #refused = 0;
  /** Connections that have not said yet what they speak. */
  readonly #silent = new Set<Socket>();

  constructor(options: AcceptorOptions, needs: AcceptorNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#certificate = options.tls;
  }

  get address(): { host: string; port: number } | null {
    const bound = this.#servers[0]?.address() ?? null;
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
    return this.#listen(this.#options.listen);
  }

  /** Accepts from another socket, too, which is bound already. Rejects when that cannot be. */
  listenAlso(fd: number): Promise<void> {
    return this.#listen({ fd });
  }

  #listen(at: ListenAt): Promise<void> {
    const server = this.#createServer();
    server.maxConnections = this.#options.maxConnections;
    server.on("drop", () => {
      this.#refused++;
    });
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(at, () => {
        server.off("error", reject);
        // Trouble with accepting (no file descriptors left) passes; the listener stays.
        server.on("error", (error) => this.#needs.log.warn({ error: messageOf(error) }, "traffic listener"));
        resolve();
      });
    });
  }

  #createServer(): Server | TlsServer {
    const tls = this.#certificate;
    const options = { noDelay: true, allowHalfOpen: true };
    if (tls === null) {
      return createServer(options, (socket) => {
        socket.on("error", ignore);
        if (this.#keep(socket)) this.#sniff(socket);
      });
    }
    const server = createTlsServer({
      ...options,
      // A client that leaves within the handshake has left: half open is a matter of HTTP.
      allowHalfOpen: false,
      ...tls,
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: HANDSHAKE_MS,
    });
    // Bounded and ended with the others from the first byte on, not from the handshake's end.
    server.on("connection", (socket: Socket) => this.#keep(socket));
    server.on("tlsClientError", () => this.#needs.onClientError());
    server.on("secureConnection", (socket: TLSSocket) => {
      socket.on("error", ignore);
      socket.allowHalfOpen = true;
      if (socket.alpnProtocol === "h2") this.#needs.acceptHttp2(socket);
      else this.#sniff(socket);
    });
    return server;
  }

  /** Shown to clients from the next handshake on. Throws when the two do not belong together. */
  setCertificate(certificate: Certificate): void {
    for (const server of this.#servers)
      if ("setSecureContext" in server) server.setSecureContext(certificate);
    this.#certificate = certificate;
  }

  /** False: there are too many, over all sockets that are listened at. */
  #keep(socket: Socket): boolean {
    if (this.#sockets.size >= this.#options.maxConnections) {
      this.#refused++;
      socket.destroy();
      return false;
    }
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    return true;
  }

  /** Reads until the bytes tell HTTP/2 from HTTP/1.1: the first one nearly always does. */
  #sniff(socket: Socket): void {
    let first: Buffer | null = null;
    this.#silent.add(socket);
    const stop = (): void => {
      late?.cancel();
      this.#silent.delete(socket);
      socket.off("readable", onReadable);
      socket.off("end", giveUp);
      socket.off("close", giveUp);
    };
    const giveUp = (): void => {
      stop();
      socket.destroy();
    };
    const onReadable = (): void => {
      const chunk: Buffer | null = socket.read();
      if (chunk === null) return;
      const read = first === null ? chunk : Buffer.concat([first, chunk]);
      first = read;
      const protocol = protocolOf(read);
      if (protocol === "more") return;
      stop();
      if (protocol === "http1") this.#needs.acceptHttp1(socket, read);
      else {
        socket.unshift(read);
        this.#needs.acceptHttp2(socket);
      }
    };
    const { firstBytesMs } = this.#options;
    const onLate = (): void => {
      this.#needs.onSilent();
      giveUp();
    };
    const late = firstBytesMs > 0 ? afterReading(this.#needs.clock, firstBytesMs, onLate) : null;
    socket.on("readable", onReadable);
    socket.on("end", giveUp);
    socket.on("close", giveUp);
  }

  /** Accepts no more; resolves when the last open connection has ended. */
  close(): Promise<void> {
    for (const socket of this.#silent) socket.destroy();
    const closed = this.#servers.map(
      (server) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
        }),
    );
    return Promise.all(closed).then(() => {});
  }

  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#servers.length = 0;
  }
}

function ignore(): void {}
