// Opens sockets to the upstream: TCP, TLS or a unix socket. Only our own URL says where, and which name TLS verifies.

import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface DialOptions {
  /** http://, https:// or unix:/path */
  readonly url: string;
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | null;
}

export interface Dialled {
  readonly socket: Socket;
  /** The event that says: requests may be written. */
  readonly openEvent: "connect" | "secureConnect";
}

/** Called with what was read; `shared` bytes are overwritten by the next read of any connection. */
export type OnBytes = (bytes: Buffer, length: number, shared: boolean) => void;

export type Dial = (onBytes: OnBytes) => Dialled;

const READ_BYTES = 64 * 1024;

/** Where `unix:/path`, `http://…` or `https://…` connects to. */
export function parseUpstreamUrl(url: string): {
  readonly origin: string;
  readonly socketPath: string | null;
} {
  if (url.startsWith("unix:")) return { origin: "http://localhost", socketPath: url.slice("unix:".length) };
  return { origin: new URL(url).origin, socketPath: null };
}

export function createDial(options: DialOptions): Dial {
  const { origin, socketPath } = parseUpstreamUrl(options.url);
  const { protocol, hostname, port } = new URL(origin);
  const host = hostname.replace(/^\[|\]$/g, "");
  if (protocol === "https:")
    return createTlsDial(options.tls, { host, port: port === "" ? 443 : Number(port) });
  const target = socketPath === null ? { host, port: port === "" ? 80 : Number(port) } : { path: socketPath };
  // One buffer for the reads of all connections: a read is worked off before the next one begins.
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  return (onBytes) => {
    const callback = (length: number): boolean => {
      onBytes(buffer, length, true);
      return true;
    };
    const socket = connectPlain({ ...target, noDelay: true, onread: { buffer, callback } });
    return { socket, openEvent: "connect" };
  };
}

function createTlsDial(tls: DialOptions["tls"], target: { host: string; port: number }): Dial {
  // The last session, so that a new connection is a short handshake.
  let session: Buffer | null = null;
  return (onBytes) => {
    const socket = connectTls({
      ...tls,
      ...target,
      // An address has no server name.
      servername: isIP(target.host) === 0 ? target.host : "",
      ALPNProtocols: ["http/1.1"],
      ...(session === null ? {} : { session }),
    });
    socket.setNoDelay(true);
    socket.on("session", (latest: Buffer) => {
      session = latest;
    });
    socket.on("data", (bytes: Buffer) => onBytes(bytes, bytes.length, false));
    return { socket, openEvent: "secureConnect" };
  };
}
