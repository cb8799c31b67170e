// HTTP/2 ends for the relay's tests: an origin and a client by node:http2, and a client that writes its frames itself.

import { once } from "node:events";
import {
  connect,
  createServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { connect as connectPlain, type Socket } from "node:net";
import type { TestContext } from "node:test";

export interface StreamOrigin {
  readonly url: string;
  readonly port: number;
  readonly sessions: ServerHttp2Session[];
  readonly server: Http2Server;
}

export type OnStream = (stream: ServerHttp2Stream, raw: readonly string[]) => void;

/** A model server that speaks HTTP/2 with prior knowledge. */
export async function streamOrigin(
  t: TestContext,
  onStream: OnStream,
  options: ServerOptions = {},
): Promise<StreamOrigin> {
  const server = createServer(options);
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => {
    sessions.push(session);
    session.on("error", () => {});
  });
  server.on("stream", (stream: ServerHttp2Stream, ...[, , raw]) => {
    stream.on("error", () => {});
    onStream(stream, raw);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const session of sessions) session.destroy();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `h2c://127.0.0.1:${port}`, port, sessions, server };
}

export interface Answer {
  readonly status: number;
  readonly raw: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly trailers: readonly string[];
  readonly interim: { readonly status: number; readonly raw: readonly string[] }[];
  readonly rstCode: number;
}

export async function connectStreams(t: TestContext, port: number): Promise<ClientHttp2Session> {
  // MiB: it refuses answers itself when more of its uploads waits.
  const limits = { maxSessionMemory: 1000 };
  const session = connect(`http://127.0.0.1:${port}`, { settings: { enablePush: false }, ...limits });
  session.on("error", () => {});
  t.after(() => session.destroy());
  await once(session, "connect");
  return session;
}

/** The whole of an answer, also of one that breaks off: then `rstCode` is not 0. */
export function wholeAnswer(stream: ClientHttp2Stream): Promise<Answer> {
  const chunks: Buffer[] = [];
  let raw: readonly string[] = [];
  let status = 0;
  let trailers: readonly string[] = [];
  const interim: Answer["interim"] = [];
  stream.on("headers", (headers, _flags, lines: readonly string[]) => {
    interim.push({ status: Number(headers[":status"]), raw: lines });
  });
  stream.on("response", (headers, _flags, lines: readonly string[]) => {
    status = Number(headers[":status"]);
    raw = lines;
  });
  stream.on("trailers", (_headers, _flags, lines: readonly string[]) => {
    trailers = lines;
  });
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("error", () => {});
  return new Promise((resolve) => {
    stream.once("close", () => {
      const headers: Record<string, string> = {};
      for (let i = 0; i < raw.length; i += 2) headers[raw[i] ?? ""] ??= raw[i + 1] ?? "";
      const rstCode = stream.rstCode ?? 0;
      resolve({ status, raw, headers, body: Buffer.concat(chunks), trailers, interim, rstCode });
    });
  });
}

/** Of a flat list, in order. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1] === name);
}

export interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: Buffer | string;
}

export async function ask(session: ClientHttp2Session, what: Ask = {}): Promise<Answer> {
  const { path = "/", method = what.body === undefined ? "GET" : "POST", headers = {}, body } = what;
  const stream = session.request(
    { ":path": path, ":method": method, ...headers },
    { endStream: body === undefined },
  );
  const answer = wholeAnswer(stream);
  if (body !== undefined) stream.end(body);
  return await answer;
}

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export const TYPE = Object.freeze({
  data: 0,
  headers: 1,
  rst: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
});

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** RFC 9113 §4.1. */
export function frame(type: number, flags: number, at: { stream: number; payload?: Buffer }): Buffer {
  const payload = at.payload ?? Buffer.alloc(0);
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(at.stream, 5);
  return Buffer.concat([head, payload]);
}

export const number32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** One of a SETTINGS frame (RFC 9113 §6.5.1). */
export const setting = (id: number, value: number): Buffer =>
  Buffer.concat([Buffer.from([0, id]), number32(value)]);

/** Fields as HPACK literals without indexing (RFC 7541 §6.2.2), so that what is malformed stays so. */
export function literals(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, "latin1");
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const rest: number[] = [];
    for (let left = bytes.length - 127; ; left >>= 7) {
      rest.push(left >= 128 ? (left & 127) | 128 : left);
      if (left < 128) break;
    }
    return Buffer.concat([Buffer.from([127, ...rest]), bytes]);
  };
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** The head of a request, by hand. `flags` of its HEADERS frame (RFC 9113 §6.2): 1 END_STREAM, 4 END_HEADERS. */
export function requestHead(
  stream: number,
  given: {
    readonly method?: string;
    readonly path?: string;
    readonly flags?: number;
    readonly more?: readonly (readonly [string, string])[];
  } = {},
): Buffer {
  const { method = "POST", path = "/", flags = 4, more = [] } = given;
  const payload = literals([
    [":method", method],
    [":scheme", "http"],
    [":path", path],
    [":authority", "model"],
    ...more,
  ]);
  return frame(TYPE.headers, flags, { stream, payload });
}

export const windowUpdate = (stream: number, bytes: number): Buffer =>
  frame(TYPE.window, 0, { stream, payload: number32(bytes) });

export interface RawStreams {
  readonly socket: Socket;
  readonly frames: Frame[];
  readonly closed: () => boolean;
}

/** A connection of which every frame is written by hand; the frames that come are taken apart. */
export async function rawStreams(t: Pick<TestContext, "after">, port: number): Promise<RawStreams> {
  const socket = connectPlain(port, "127.0.0.1");
  socket.setNoDelay(true);
  const frames: Frame[] = [];
  let buffer = Buffer.alloc(0);
  let closed = false;
  socket.on("error", () => {});
  socket.on("close", () => (closed = true));
  socket.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    while (buffer.length >= 9 && buffer.length >= 9 + buffer.readUIntBE(0, 3)) {
      const length = buffer.readUIntBE(0, 3);
      frames.push({
        type: buffer.readUInt8(3),
        flags: buffer.readUInt8(4),
        stream: buffer.readUInt32BE(5) & 0x7fffffff,
        payload: buffer.subarray(9, 9 + length),
      });
      buffer = buffer.subarray(9 + length);
    }
  });
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return { socket, frames, closed: () => closed };
}
