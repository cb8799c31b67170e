// Opens sockets to the upstream: TCP, TLS or a unix socket. Only our own URL says where, and which name TLS verifies.

import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type TLSSocket } from "node:tls";
import type { ReadingClock } from "../kernel/clock.ts";
import { ReadBlocks, Reading } from "./read-blocks.ts";
import { TurnShare } from "./turn-share.ts";

/** PEM texts; `servername` is the name that the model's certificate is checked for, where it is not the host's. */
export interface UpstreamTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

/** As it is, or asked for at each new connection, where it may change. */
export type TlsSource = UpstreamTls | null | (() => UpstreamTls | null);

export function tlsNow(source: TlsSource): UpstreamTls | null {
  return typeof source === "function" ? source() : source;
}

/** Throws when a certificate is none, or not that of the key. */
export function checkUpstreamTls(tls: UpstreamTls): void {
  createSecureContext(tls);
}

export interface DialOptions {
  /** http://, https://, h2c:// or unix:/path */
  readonly url: string;
  readonly tls: TlsSource;
  /** Of an answer, read at a time or sent ahead of whoever takes it; the usual amount when not given. Over TLS a record, up to 16 KiB. */
  readonly pieceBytes?: number;
}

type SocketTarget = { readonly path: string } | { readonly host: string; readonly port: number };

export interface Dialled {
  readonly socket: Socket;
  /** The event that says: requests may be written. */
  readonly openEvent: "connect" | "secureConnect";
}

/** Whoever reads a connection. */
export interface Reader {
  /** `reading`: whose the bytes are; null: the reader's, for good. */
  onBytes(bytes: Buffer, length: number, reading: Reading | null): void;
  /** Its share of the last turn was used up; now it is read again, unless it is paused. */
  readOn(): void;
  /** No answer is under way. */
  readonly idle: boolean;
}

export type Dial = (reader: Reader) => Dialled;

/** A model that vanished without a word while a call waits is noticed by the system's probes. */
const SOCKET_OPTIONS = Object.freeze({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });

/** Where `unix:/path`, `http://…`, `h2c://…` or `https://…` connects to. */
export function parseUpstreamUrl(url: string): {
  /** http:// or https:// and the authority. */
  readonly origin: string;
  readonly socketPath: string | null;
  /** For messages: a URL may carry a password. */
  readonly name: string;
  /** HTTP/2 with prior knowledge. */
  readonly h2c: boolean;
} {
  if (url.startsWith("unix:"))
    return { origin: "http://localhost", socketPath: url.slice("unix:".length), name: url, h2c: false };
  const h2c = url.startsWith("h2c:");
  const { origin, host } = new URL(h2c ? `http:${url.slice("h2c:".length)}` : url);
  return { origin, socketPath: null, name: h2c ? `h2c://${host}` : origin, h2c };
}

function targetOf(url: string): { readonly secure: boolean; readonly target: SocketTarget } {
  const { origin, socketPath } = parseUpstreamUrl(url);
  if (socketPath !== null) return { secure: false, target: { path: socketPath } };
  const { protocol, hostname, port } = new URL(origin);
  const host = hostname.replace(/^\[|\]$/g, "");
  const secure = protocol === "https:";
  return { secure, target: { host, port: port === "" ? (secure ? 443 : 80) : Number(port) } };
}

/** `clock` is held while what was read is worked off. */
export function createDial(options: DialOptions, clock: ReadingClock): Dial {
  const { secure, target } = targetOf(options.url);
  if (secure) {
    const openTls = createTlsOpener(options.tls, target, "http/1.1");
    return (reader) => {
      const socket = openTls();
      const share = new TurnShare(() => reader.readOn());
      socket.on("data", (bytes: Buffer) => {
        reader.onBytes(bytes, bytes.length, null);
        if (share.usedUp(bytes.length)) socket.pause();
      });
      return { socket, openEvent: "secureConnect" };
    };
  }
  const blocks = new ReadBlocks(options.pieceBytes);
  return (reader) => {
    const reading = new Reading(blocks);
    const share = new TurnShare(() => reader.readOn());
    let into = blocks.shared;
    let last = 0;
    const callback = (length: number): boolean => {
      last = length;
      reading.begin();
      clock.hold();
      try {
        reader.onBytes(into, length, reading);
      } finally {
        clock.release();
      }
      return !share.usedUp(length);
    };
    // Asked for once at first, and after each read.
    const buffer = (): Buffer => {
      if (last > 0) into = reading.next(last, reader.idle);
      return into;
    };
    const socket = connectPlain({ ...target, ...SOCKET_OPTIONS, onread: { buffer, callback } });
    socket.once("close", () => reading.close());
    return { socket, openEvent: "connect" };
  };
}

/** Opens sockets for HTTP/2: with prior knowledge, over TLS by ALPN. */
export function createStreamDial(options: DialOptions): () => Socket {
  const { secure, target } = targetOf(options.url);
  if (!secure) return () => connectPlain({ ...target, ...SOCKET_OPTIONS });
  const openTls = createTlsOpener(options.tls, target, "h2");
  return () => {
    const socket = openTls();
    socket.once("secureConnect", () => {
      if (socket.alpnProtocol !== "h2")
        socket.destroy(new TlsRefusal("it does not speak HTTP/2 over TLS (ALPN h2)"));
    });
    return socket;
  };
}

class TlsRefusal extends Error {
  readonly code = "ERR_TLS_ALPN";
}

function createTlsOpener(
  tls: DialOptions["tls"],
  target: SocketTarget,
  protocol: "http/1.1" | "h2",
): () => TLSSocket {
  // The last session, so that a new connection is a short handshake; not with other certificates than it was made with.
  let session: Buffer | null = null;
  let before = tlsNow(tls);
  return () => {
    const now = tlsNow(tls);
    if (now !== before) session = null;
    before = now;
    const { servername, ...pem } = now ?? {};
    const name = servername ?? ("host" in target ? target.host : "");
    const socket = connectTls({
      ...pem,
      ...target,
      ...SOCKET_OPTIONS,
      // An address has no server name.
      servername: isIP(name) === 0 ? name : "",
      ALPNProtocols: [protocol],
      ...(session === null ? {} : { session }),
    });
    socket.on("session", (latest: Buffer) => {
      if (now === before) session = latest;
    });
    return socket;
  };
}
