// Real sockets for the relay's tests: scripted origins, raw clients, and a proxy between them.

import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from "node:http";
import { connect, createServer as createNetServer, type Server as NetServer, type Socket } from "node:net";
import { once } from "node:events";
import type { TestContext } from "node:test";
import type { BodyCopy, EndedBody, EndedExchange, Exchange } from "../../src/facts/exchange.ts";
import type { HeaderFilter } from "../../src/facts/header-filter.ts";
import { systemClock, type Clock } from "../../src/kernel/clock.ts";
import type { Fields, Log } from "../../src/kernel/log.ts";
import { createProxy, type Proxy, type ProxyOptions } from "../../src/proxy/proxy.ts";

export interface Running {
  readonly proxy: Proxy;
  readonly port: number;
  readonly exchanges: Exchange[];
  readonly errors: { fields: Fields; message: string }[];
  /** Waits until `count` exchanges have been delivered. */
  readonly delivered: (count: number) => Promise<readonly Exchange[]>;
}

/** As the observer gets it. */
export function crossed({ text, ...copy }: EndedBody): BodyCopy {
  return text === undefined ? copy : { ...copy, bytes: Buffer.from(text, "latin1") };
}

/** The limit is for what never comes true: it is wide enough for a machine that hardly runs. */
export async function eventually(holds: () => boolean, withinMs = 60_000): Promise<void> {
  const endsAt = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > endsAt)
      throw new Error(`did not come true within ${withinMs} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Bytes that tell where they stand and whose they are. */
export function patternOf(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 8 <= length; at += 8) {
    bytes.writeUInt32LE(seed, at);
    bytes.writeUInt32LE(at, at + 4);
  }
  return bytes;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export const LIMITS: ProxyOptions["limits"] = Object.freeze({
  headBytesMax: 64 * 1024,
  headLinesMax: 8192,
  headMs: 30_000,
  bodyMs: 60_000,
  sendMs: 60_000,
  uploadMs: 300_000,
  idleMs: 75_000,
  totalMs: 0,
  tunnelIdleMs: 0,
  streamsMax: 128,
});

/** Real timers, but nothing gets older: an idle connection that is announced to be kept is used again, however busy the machine is. */
export const ageless: Clock = { ...systemClock, monotonicMs: () => 0 };

/** Real timers, and a time that only the test moves: no limit is over before it says so, however busy the machine is. */
export function heldClock(): Clock & { pass(ms: number): void } {
  let nowMs = 0;
  return { ...systemClock, monotonicMs: () => nowMs, pass: (ms) => void (nowMs += ms) };
}

/**
 * `before`, then this whole process does nothing for `ms`, as on a machine that is moved or has no CPU to give: timers that are
 * due by then come before what can be read.
 */
export async function heldUp(ms: number, before: () => void): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  before();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

const LENT_AT_ONCE = 8;
const LENT_MS = 5;

/** A proxy in front of `url`, stopped at the end of the test. */
export async function startProxy(
  t: TestContext,
  url: string,
  options: Partial<Omit<ProxyOptions, "upstream" | "tls">> & {
    /** For the way to the upstream. */
    tls?: ProxyOptions["upstream"]["tls"];
    grpcUrl?: string;
    certificate?: NonNullable<ProxyOptions["tls"]>;
    deliver?: (exchange: Exchange) => void;
    /** Bodies are views of memory that is used again: to be looked at in `deliver`, and not later. */
    lendsBodies?: boolean;
    clock?: Clock;
    /** Which header lines are told to the observer; all where it is not given, though the sidecar never tells all. */
    observed?: HeaderFilter;
  } = {},
): Promise<Running> {
  const exchanges: Exchange[] = [];
  const errors: { fields: Fields; message: string }[] = [];
  const nothing = (): void => {};
  const log: Log = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (fields, message) => errors.push({ fields, message }),
  };
  const {
    tls = null,
    grpcUrl = null,
    certificate = null,
    deliver,
    lendsBodies = false,
    clock = systemClock,
    observed = null,
    ...rest
  } = options;
  const waiting: EndedExchange[] = [];
  let timer: NodeJS.Timeout | null = null;
  const seal = (ended: EndedExchange): void => {
    const fact = ended.seal();
    const exchange = { ...fact, request: crossed(fact.request), response: crossed(fact.response) };
    exchanges.push(exchange);
    deliver?.(exchange);
  };
  // As the sidecar does it: facts are made of many at a time, and then their memory is given back.
  const sealAll = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    for (const ended of waiting.splice(0)) {
      seal(ended);
      ended.recycle();
    }
  };
  const proxy = createProxy(
    {
      listen: { host: "127.0.0.1", port: 0 },
      host: "preserve",
      connectTimeoutMs: 20_000,
      responseTimeoutMs: 0,
      maxConnections: 1000,
      limits: LIMITS,
      ...rest,
      upstream: { url, grpcUrl, tls },
      tls: certificate,
    },
    {
      clock,
      log,
      observed,
      deliver: (ended) => {
        if (!lendsBodies) seal(ended);
        else if (waiting.push(ended) === LENT_AT_ONCE) sealAll();
        else timer ??= setTimeout(sealAll, LENT_MS);
      },
    },
  );
  await proxy.start();
  t.after(() => proxy.stop(0));
  return {
    proxy,
    port: proxy.address?.port ?? 0,
    exchanges,
    errors,
    delivered: async (count) => {
      await eventually(() => exchanges.length >= count);
      return exchanges;
    },
  };
}

export interface Origin {
  readonly url: string;
  readonly port: number;
  readonly connections: () => number;
}

export async function listening(t: TestContext, server: HttpServer | NetServer): Promise<Origin> {
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, port, connections: () => connections };
}

/** A model server by node:http. `onDefect`: what came was no HTTP, or was cut off. */
export function httpOrigin(
  t: TestContext,
  listener: RequestListener,
  onDefect: ((error: Error & { readonly code?: string }) => void) | null = null,
): Promise<Origin> {
  const server = createHttpServer({ requestTimeout: 0 }, listener);
  if (onDefect !== null)
    server.on("clientError", (error: Error & { readonly code?: string }, socket) => {
      socket.destroy();
      onDefect(error);
    });
  return listening(t, server);
}

/** A model server of raw bytes. */
export function rawOrigin(t: TestContext, onConnection: (socket: Socket) => void): Promise<Origin> {
  return listening(t, createNetServer({ noDelay: true }, onConnection));
}

/** Answers every head (and the body its Content-Length announces) with `answer`, and records the requests. */
export async function scriptedOrigin(
  t: TestContext,
  answer: string | ((request: string) => string),
): Promise<Origin & { requests: string[] }> {
  const requests: string[] = [];
  const origin = await rawOrigin(t, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      for (let end = endOfRequest(text); end > 0; end = endOfRequest(text)) {
        const request = text.slice(0, end);
        text = text.slice(end);
        requests.push(request);
        socket.write(typeof answer === "string" ? answer : answer(request), "latin1");
      }
    });
  });
  return { ...origin, requests };
}

/** Where the first request in `text` ends; -1: it is not whole. */
export function endOfRequest(text: string): number {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return -1;
  const length = Number(/^content-length: *(\d+)/im.exec(text.slice(0, head))?.[1] ?? 0);
  if (/^transfer-encoding: *chunked/im.test(text.slice(0, head))) {
    const end = text.indexOf("0\r\n\r\n", head);
    return end < 0 ? -1 : end + 5;
  }
  return text.length >= head + 4 + length ? head + 4 + length : -1;
}

export interface RawClient {
  readonly socket: Socket;
  /** All bytes so far, as latin-1. */
  readonly text: () => string;
  readonly send: (bytes: string | Uint8Array) => void;
  /** Waits until what came matches. */
  readonly until: (pattern: RegExp | string) => Promise<string>;
  /** Waits for the end of the connection. */
  readonly closed: () => Promise<string>;
  readonly state: { error: Error | null; ended: boolean; closed: boolean };
}

/** A client of raw bytes. */
export async function rawClient(t: TestContext, port: number): Promise<RawClient> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let text = "";
  const state: RawClient["state"] = { error: null, ended: false, closed: false };
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", (error) => {
    state.error = error;
  });
  socket.on("end", () => {
    state.ended = true;
  });
  socket.on("close", () => {
    state.closed = true;
  });
  await once(socket, "connect");
  t.after(() => socket.destroy());
  return {
    socket,
    state,
    text: () => text,
    send: (bytes) => {
      if (typeof bytes === "string") socket.write(bytes, "latin1");
      else socket.write(bytes);
    },
    until: async (pattern) => {
      try {
        await eventually(() => (typeof pattern === "string" ? text.includes(pattern) : pattern.test(text)));
      } catch {
        throw new Error(`${pattern} did not come; got ${JSON.stringify(text.slice(0, 2000))}`);
      }
      return text;
    },
    closed: async () => {
      await eventually(() => state.closed);
      return text;
    },
  };
}

/** One request on a connection of its own; the whole answer as text. */
export async function ask(t: TestContext, port: number, request: string): Promise<string> {
  const client = await rawClient(t, port);
  client.send(request);
  const text = await client.until(/\r\n\r\n/);
  const length = /^content-length: *(\d+)/im.exec(text)?.[1];
  const head = text.indexOf("\r\n\r\n") + 4;
  if (length !== undefined && !request.startsWith("HEAD"))
    await eventually(() => client.text().length >= head + Number(length));
  else if (/^transfer-encoding: *chunked/im.test(text)) await client.until(/\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n$/);
  return client.text();
}

export const get = (path: string, ...lines: string[]): string =>
  [`GET ${path} HTTP/1.1`, "Host: model.example", ...lines, "", ""].join("\r\n");

export const post = (path: string, body: string, ...lines: string[]): string =>
  [`POST ${path} HTTP/1.1`, "Host: model.example", `Content-Length: ${body.length}`, ...lines, "", body].join(
    "\r\n",
  );

/** Values of a header in a raw message, in order. */
export function valuesOf(message: string, name: string): string[] {
  const head = message.slice(0, message.indexOf("\r\n\r\n"));
  const wanted = `${name.toLowerCase()}:`;
  return head
    .split("\r\n")
    .filter((line) => line.toLowerCase().startsWith(wanted))
    .map((line) => line.slice(wanted.length).trim());
}

export const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/** And announces that the connection is kept. */
export const OK_KEPT = OK.replace("\r\n", "\r\nKeep-Alive: timeout=60\r\n");
