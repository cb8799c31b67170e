// All clients' connections are read into one buffer. Requests that come in pieces, a piece of this one and a piece of that, to quick and
// to slow models, and tunnels among them: each byte arrives where it belongs, on the wire and in the copies.

import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import type { IncomingMessage } from "node:http";
import type { Exchange } from "../../src/facts/exchange.ts";
import { ReadingClock, systemClock } from "../../src/kernel/clock.ts";
import { ClientReads, type OnRead } from "../../src/proxy/client-reads.ts";
import { READ_BYTES } from "../../src/proxy/read-blocks.ts";
import {
  eventually,
  get,
  httpOrigin,
  patternOf,
  pause,
  rawClient,
  rawOrigin,
  startProxy,
} from "./support.ts";

const SIZES = [1, 300, 5000, 32_767, 32_768, 65_536, 100_000, 300_000, 1_000_000];
const CLIENTS = 24;
const REQUESTS = 6;
/** A piece is at most so long; of some clients as long as a read. */
const PIECES = [7, 900, 40_000, 200_000];

/** The same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Sent {
  readonly seed: number;
  readonly length: number;
}

function sentOf(seed: number): Sent {
  return { seed, length: SIZES[numbers(seed)(SIZES.length)] ?? 1 };
}

/** Every third in chunks. */
function messageOf({ seed, length }: Sent): Buffer {
  const body = patternOf(seed, length);
  const start = `POST /${seed}/${length} HTTP/1.1\r\nHost: model.example\r\nx-pad: ${"p".repeat(seed % 600)}\r\n`;
  if (seed % 3 !== 0) return Buffer.concat([Buffer.from(`${start}Content-Length: ${length}\r\n\r\n`), body]);
  const half = Math.floor(length / 2);
  const chunks = [body.subarray(0, half), body.subarray(half)].filter((chunk) => chunk.length > 0);
  return Buffer.concat([
    Buffer.from(`${start}Transfer-Encoding: chunked\r\n\r\n`),
    ...chunks.flatMap((chunk) => [
      Buffer.from(`${chunk.length.toString(16)}\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]),
    Buffer.from("0\r\n\r\n"),
  ]);
}

/** Answers `same` when the body is what its target says, reading every fourth one slowly. */
async function answerOf(request: IncomingMessage): Promise<string> {
  const [, seed = 0, length = 0] = (request.url ?? "").split("/").map(Number);
  const chunks: Buffer[] = [];
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
    if (seed % 4 === 0 && chunks.length % 8 === 1) await pause(2);
  }
  return Buffer.concat(chunks).equals(patternOf(seed, length)) ? `same ${seed};` : `differs ${seed};`;
}

async function drained(socket: Socket): Promise<void> {
  if (socket.writableNeedDrain) await new Promise<void>((resolve) => socket.once("drain", resolve));
  else await new Promise<void>((resolve) => setImmediate(resolve));
}

test("requests in pieces, at once, on few and on long reads: every byte is its own, on the wire and in the copies", async (t) => {
  const origin = await httpOrigin(t, (request, response) => {
    void answerOf(request).then((text) => response.end(text));
  });
  const wrong: string[] = [];
  const deliver = ({ target, request }: Exchange): void => {
    const [, seed = 0, length = 0] = target.split("/").map(Number);
    const whole = patternOf(seed, length);
    if (request.total !== length || !whole.subarray(0, request.bytes.length).equals(request.bytes))
      wrong.push(target);
  };
  const { port, delivered } = await startProxy(t, origin.url, { deliver, lendsBodies: true });
  const talk = async (number: number): Promise<void> => {
    const client = await rawClient(t, port);
    const below = numbers(number);
    const longest = PIECES[number % PIECES.length] ?? 7;
    for (let i = 0; i < REQUESTS; i++) {
      const sent = sentOf(number * REQUESTS + i + 1);
      const message = messageOf(sent);
      // Byte by byte is for the head alone: a long body would take for ever.
      const least = Math.ceil(message.length / 200);
      for (let at = 0; at < message.length;) {
        const to = at + least + below(longest);
        client.send(message.subarray(at, to));
        at = to;
        await drained(client.socket);
      }
      await client.until(`same ${sent.seed};`);
    }
    client.socket.end();
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, number) => talk(number)));
  await delivered(CLIENTS * REQUESTS);
  assert.deepEqual(wrong, []);
});

test("tunnels among them keep what is theirs, also what came with the handshake and what a slow end makes wait", async (t) => {
  const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: bytes\r\nConnection: Upgrade\r\n\r\n";
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", (head: Buffer) => {
      // What comes meanwhile waits at the relay.
      socket.pause();
      setTimeout(() => {
        socket.write(switching);
        const glued = head.subarray(head.indexOf("\r\n\r\n") + 4);
        if (glued.length > 0) socket.write(glued);
        socket.on("data", (bytes: Buffer) => {
          if (socket.write(bytes)) return;
          socket.pause();
          socket.once("drain", () => socket.resume());
        });
        socket.resume();
      }, 30);
    });
  });
  const { port } = await startProxy(t, origin.url);
  const talk = async (seed: number): Promise<void> => {
    const client = await rawClient(t, port);
    const body = patternOf(seed, 400_000);
    client.send(
      Buffer.concat([Buffer.from(get("/", "Connection: Upgrade", "Upgrade: bytes")), body.subarray(0, 99)]),
    );
    const longest = PIECES[seed % PIECES.length] ?? 7;
    for (let at = 99; at < body.length;) {
      const early = at < 20_000;
      const to = at + (early ? 1000 : longest + 2000);
      client.send(body.subarray(at, to));
      at = to;
      await drained(client.socket);
      if (early && at >= 20_000) await client.until("\r\n\r\n");
    }
    const came = (): Buffer =>
      Buffer.from(client.text().split("\r\n\r\n").slice(1).join("\r\n\r\n"), "latin1");
    await eventually(() => client.text().length >= body.length + switching.length);
    assert.ok(came().subarray(-body.length).equals(body));
    client.socket.end();
  };
  await Promise.all(Array.from({ length: 12 }, (_, number) => talk(number)));
});

test("a short read is lent, a long one given; whoever knew the accepted socket ends the connection by it, and hears of its end", async (t) => {
  const reads = new ClientReads(ReadingClock.of(systemClock));
  const seen: { readonly length: number; readonly lent: boolean }[] = [];
  const accepted: Socket[] = [];
  const standing: Socket[] = [];
  const server = createServer((socket) => {
    accepted.push(socket);
    const onRead: OnRead = (_bytes, length, lent) => {
      seen.push({ length, lent });
      return false;
    };
    standing.push(reads.read(socket, onRead).socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const total = (): number => seen.reduce((sum, { length }) => sum + length, 0);
  const client = connect(port, "127.0.0.1");
  client.write("short");
  await eventually(() => total() === 5);
  assert.deepEqual(seen, [{ length: 5, lent: true }]);
  client.write(Buffer.alloc(40 * READ_BYTES));
  await eventually(() => total() === 5 + 40 * READ_BYTES);
  const longOnes = seen.filter(({ length }) => length >= READ_BYTES / 2);
  // Into the shared buffer goes the first long one behind a short one, no other.
  const shorts = seen.length - longOnes.length;
  assert.ok(longOnes.filter(({ lent }) => lent).length <= shorts);
  assert.ok(seen.every(({ length, lent }) => lent || length >= READ_BYTES / 2));
  const closed = new Promise((resolve) => accepted[0]?.once("close", resolve));
  client.end();
  standing[0]?.end();
  await closed;
  const other = connect(port, "127.0.0.1");
  await eventually(() => accepted.length === 2);
  const ended = new Promise((resolve) => other.once("close", resolve));
  other.resume();
  accepted[1]?.destroy();
  await ended;
  await eventually(() => standing[1]?.destroyed === true);
  const count = await new Promise((resolve) => server.getConnections((_error, open) => resolve(open)));
  assert.equal(count, 0);
});

for (const kept of [true, false]) {
  test(`long reads that somebody ${kept ? "keeps go into a block each" : "is done with go into one block"}`, async (t) => {
    const reads = new ClientReads(ReadingClock.of(systemClock));
    const blocks: ArrayBufferLike[] = [];
    let total = 0;
    const server = createServer((socket) => {
      reads.read(socket, (bytes, length, lent) => {
        total += length;
        if (!lent) blocks.push(bytes.buffer);
        return kept;
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const address = server.address();
    const client = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1");
    for (let i = 1; blocks.length < 20; i++) {
      client.write(Buffer.alloc(4 * READ_BYTES));
      await eventually(() => total === i * 4 * READ_BYTES);
    }
    client.destroy();
    assert.equal(new Set(blocks).size, kept ? blocks.length : 1);
  });
}
