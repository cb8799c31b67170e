// WebSockets through the sidecar against a server and a client that nobody here wrote: a matrix of some 240 cases, right and wrong ones, by
// raw frames (numbered as in Autobahn's suite), each with the same bytes from the server as without the sidecar; then a real client.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { deflateRawSync, constants } from "node:zlib";
import { sampleSum } from "../support/sidecar.ts";
import { frame, type FrameParts } from "../support/websocket.ts";
import { run } from "./support/command.ts";
import { pythonFolder } from "./support/install.ts";
import { startEcho } from "./support/websocket-server.ts";

const MASK = 0x37fa213d;
const QUIET_MS = 60_000;
const CALM_MS = 20;
const SILENT_MS = 150;
const ROUNDS_MAX = 20;

interface Case {
  readonly id: string;
  /** Sent ahead: the rest follows when the server has answered it. */
  readonly ahead?: Buffer;
  readonly bytes: Buffer;
  /** Whether the closing handshake follows, once the server has said what it has to say. */
  readonly end?: boolean;
  /** Bytes per write; default: all at once. */
  readonly chop?: number;
  readonly deflate?: boolean;
}

const raw = (parts: Partial<FrameParts> & { opcode: number }): Buffer =>
  frame({ payload: Buffer.alloc(0), mask: MASK, ...parts });
const text = (payload: string | Buffer, over: Partial<FrameParts> = {}): Buffer =>
  raw({ opcode: 1, payload: Buffer.from(payload), ...over });
const close = (code: number | null, reason: string | Buffer = ""): Buffer => {
  const head = code === null ? Buffer.alloc(0) : Buffer.from([code >> 8, code & 0xff]);
  return raw({ opcode: 8, payload: Buffer.concat([head, Buffer.from(reason)]) });
};
const ping = (payload: string | Buffer = "p", over: Partial<FrameParts> = {}): Buffer =>
  raw({ opcode: 9, payload: Buffer.from(payload), ...over });
const pong = (payload = "p"): Buffer => raw({ opcode: 10, payload: Buffer.from(payload) });
const more = (payload: string | Buffer, fin: boolean): Buffer =>
  raw({ opcode: 0, fin, payload: Buffer.from(payload) });
const begun = (payload: string | Buffer): Buffer => text(payload, { fin: false });
const END = close(1000);

/** `parts`, then the closing handshake. */
const ended = (id: string, parts: readonly Buffer[], over: Partial<Case> = {}): Case => ({
  id,
  bytes: Buffer.concat(parts),
  end: true,
  ...over,
});

function framing(): Case[] {
  const cases: Case[] = [];
  for (const [at, size] of [0, 125, 126, 127, 128, 65_535, 65_536].entries()) {
    cases.push(ended(`1.1.${at + 1}`, [text("*".repeat(size))]));
    cases.push(ended(`1.2.${at + 1}`, [raw({ opcode: 2, payload: Buffer.alloc(size, 0xfe) })]));
  }
  cases.push(ended("1.1.8", [text("*".repeat(65_536))], { chop: 997 }));
  cases.push(ended("1.2.8", [raw({ opcode: 2, payload: Buffer.alloc(65_536, 0xfe) })], { chop: 997 }));
  return cases;
}

function pings(): Case[] {
  const binary = Buffer.from([0, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0, 0xff]);
  return [
    ended("2.1", [ping("")]),
    ended("2.2", [ping("Hello, world!")]),
    ended("2.3", [ping(binary)]),
    ended("2.4", [ping(Buffer.alloc(125, 0xfe))]),
    ended("2.5", [ping(Buffer.alloc(126, 0xfe))]),
    ended("2.6", [ping(Buffer.alloc(125, 0xfe))], { chop: 1 }),
    ended("2.7", [pong("")]),
    ended("2.8", [pong("unsolicited pong payload")]),
    ended("2.9", [pong("unsolicited"), ping("ping payload")]),
    ended(
      "2.10",
      Array.from({ length: 10 }, (_, at) => ping(`payload-${at}`)),
    ),
    ended(
      "2.11",
      Array.from({ length: 10 }, (_, at) => ping(`payload-${at}`)),
      { chop: 1 },
    ),
  ];
}

function reserved(): Case[] {
  const cases: Case[] = [];
  for (let rsv = 1; rsv <= 7; rsv++) {
    const wrong = [text("Hello", { rsv }), ping()];
    cases.push(ended(`3.${rsv}`, wrong, { ahead: text("Hello"), ...(rsv % 2 === 0 ? { chop: 1 } : {}) }));
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    const id = `4.${opcode < 8 ? 1 : 2}.${opcode}`;
    cases.push(ended(id, [raw({ opcode }), ping()]));
    cases.push(ended(`${id}b`, [raw({ opcode, payload: Buffer.from("y") }), ping()], { ahead: text("x") }));
  }
  return cases;
}

function fragments(): Case[] {
  const two = [begun("fragment1"), more("fragment2", true)];
  const pinged = [begun("fragment1"), ping("between"), more("fragment2", true)];
  return [
    ended("5.1", [ping("a", { fin: false }), more("b", true)]),
    ended("5.2", [raw({ opcode: 10, fin: false, payload: Buffer.from("a") }), more("b", true)]),
    ended("5.3", two),
    ended("5.4", two, { chop: 7 }),
    ended("5.5", two, { chop: 1 }),
    ended("5.6", pinged),
    ended("5.7", pinged, { chop: 7 }),
    ended("5.8", pinged, { chop: 1 }),
    ended("5.9", [more("non-continuation payload", true), text("Hello, world!")]),
    ended("5.10", [more("non-continuation payload", true), text("Hello, world!")], { chop: 1 }),
    ended("5.12", [more("non-continuation payload", false), text("Hello, world!")]),
    ended("5.15", [more("fragment3", false), begun("fragment4")], { ahead: Buffer.concat(two) }),
    ended("5.16", [more("a", false), text("b", { fin: false }), more("c", true)]),
    ended("5.18", [begun("fragment1"), text("fragment2")]),
    ended("5.19", [
      begun("f1"),
      more("f2", false),
      ping("1"),
      more("f3", false),
      more("f4", false),
      ping("2"),
      more("f5", true),
    ]),
    ended(
      "5.20",
      [
        begun("f1"),
        more("f2", false),
        ping("1"),
        more("f3", false),
        more("f4", false),
        ping("2"),
        more("f5", true),
      ],
      { chop: 1 },
    ),
  ];
}

const VALID_UTF8 = [
  "\u03ba\u1f79\u03c3\u03bc\u03b5",
  "\u0000",
  "\u0080",
  "\u0800",
  "\u{10000}",
  "\u007f",
  "\u07ff",
  "\uffff",
  "\ud7ff",
  "\ue000",
  "\ufffd",
  "\u{10ffff}",
  "\ufeffx",
];
const INVALID_UTF8 = [
  "80",
  "bf",
  "80bf",
  "c0",
  "cebae1bdb9cf83cebcceb5eda080656469746564",
  "c080",
  "e08080",
  "f0808080",
  "f8888080",
  "fc84808080",
  "c1bf",
  "e09fbf",
  "f08fbfbf",
  "eda080",
  "edafbf",
  "edb080",
  "edbfbf",
  "eda080edb080",
  "f4908080",
  "fe",
  "ff",
  "fefeffff",
  "e2",
  "f09f98",
  "ce",
];

function utf8(): Case[] {
  const cases: Case[] = [];
  VALID_UTF8.forEach((valid, at) => {
    const bytes = Buffer.from(valid);
    const middle = Math.floor(bytes.length / 2);
    cases.push(ended(`6.2.${at}`, [text(bytes)]), ended(`6.2.${at}c`, [text(bytes)], { chop: 1 }));
    cases.push(ended(`6.2.${at}f`, [begun(bytes.subarray(0, middle)), more(bytes.subarray(middle), true)]));
  });
  INVALID_UTF8.forEach((hex, at) => {
    const bytes = Buffer.from(hex, "hex");
    cases.push(
      ended(`6.3.${at}`, [text(bytes)]),
      ended(`6.3.${at}f`, [begun(bytes.subarray(0, 1)), more(bytes.subarray(1), true)]),
    );
  });
  return cases;
}

function closes(): Case[] {
  const cases: Case[] = [
    { id: "7.1.1", bytes: Buffer.concat([text("Hello World!"), close(1000)]) },
    { id: "7.1.2", bytes: Buffer.concat([close(1000), close(1000)]) },
    { id: "7.1.3", bytes: Buffer.concat([close(1000), ping()]) },
    { id: "7.1.4", bytes: Buffer.concat([close(1000), text("Hello World!")]) },
    { id: "7.1.5", bytes: Buffer.concat([begun("f1"), close(1000), more("f2", true)]) },
    { id: "7.3.1", bytes: close(null) },
    { id: "7.3.2", bytes: raw({ opcode: 8, payload: Buffer.from("a") }) },
    { id: "7.3.4", bytes: close(1000, "Hello World!") },
    { id: "7.3.5", bytes: close(1000, "*".repeat(123)) },
    { id: "7.3.6", bytes: close(1000, "*".repeat(124)) },
    { id: "7.5.1", bytes: close(1000, Buffer.from("cebae1bdb9cf83cebcceb5eda080656469746564", "hex")) },
    { id: "7.x", bytes: raw({ opcode: 8, fin: false, payload: Buffer.from([3, 232]) }) },
    { id: "7.y", bytes: frame({ opcode: 1, payload: Buffer.from("unmasked") }) },
  ];
  const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
  const invalid = [0, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
  for (const code of valid) cases.push({ id: `7.7.${code}`, bytes: close(code) });
  for (const code of invalid) cases.push({ id: `7.9.${code}`, bytes: close(code) });
  return cases;
}

function limits(): Case[] {
  const cases: Case[] = [];
  for (const kib of [64, 256, 1024]) {
    cases.push(
      ended(`9.1.${kib}`, [text("*".repeat(kib * 1024))]),
      ended(`9.2.${kib}`, [raw({ opcode: 2, payload: Buffer.alloc(kib * 1024, 0xfe) })]),
    );
  }
  for (const bytes of [256, 4096, 65_536]) {
    const whole = Buffer.alloc(512 * 1024, "*");
    const parts: Buffer[] = [];
    for (let at = 0; at < whole.length; at += bytes) {
      const piece = whole.subarray(at, at + bytes);
      parts.push(raw({ opcode: at === 0 ? 1 : 0, fin: at + bytes >= whole.length, payload: piece }));
    }
    cases.push(ended(`9.3.${bytes}`, parts));
  }
  for (const chop of [64, 128, 512, 1024, 2048])
    cases.push(ended(`9.5.${chop}`, [text("*".repeat(128 * 1024))], { chop }));
  cases.push(
    ended(
      "9.7",
      Array.from({ length: 1000 }, (_, at) => text("*".repeat(at % 130))),
    ),
  );
  cases.push(
    ended(
      "10.1",
      Array.from({ length: 51 }, (_, at) =>
        raw({ opcode: at === 0 ? 1 : 0, fin: at === 50, payload: Buffer.alloc(1300, "*") }),
      ),
    ),
  );
  return cases;
}

/** One message by permessage-deflate without context (RFC 7692, section 7.2.1). */
function deflated(message: Buffer): Buffer {
  const bytes = deflateRawSync(message, { finishFlush: constants.Z_SYNC_FLUSH });
  return raw({ opcode: 2, rsv: 4, payload: bytes.subarray(0, bytes.length - 4) });
}

function compression(): Case[] {
  const cases: Case[] = [];
  for (const [at, size] of [0, 16, 64, 256, 1024, 4096, 65_536, 131_072].entries()) {
    const pattern = Buffer.from(Array.from({ length: size }, (_, k) => (k * k) % 251));
    cases.push(
      ended(`12.1.${at}`, [deflated(pattern)], { deflate: true }),
      ended(`12.1.${at}c`, [deflated(pattern)], { deflate: true, chop: 301 }),
    );
    cases.push(ended(`12.2.${at}`, [deflated(pattern), text("plain"), deflated(pattern)], { deflate: true }));
  }
  cases.push(
    ended("12.9", [raw({ opcode: 2, rsv: 4, payload: Buffer.from([7, 7, 7, 7]) })], { deflate: true }),
  );
  return cases;
}

const CASES: readonly Case[] = [
  ...framing(),
  ...pings(),
  ...reserved(),
  ...fragments(),
  ...utf8(),
  ...closes(),
  ...limits(),
  ...compression(),
];

function handshake({ deflate = false }: Case): string {
  const lines = [
    "GET /echo HTTP/1.1",
    "Host: model.example",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: v1.predict",
  ];
  if (deflate)
    lines.push(
      "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover",
    );
  return `${lines.join("\r\n")}\r\n\r\n`;
}

interface Heard {
  readonly lines: readonly string[];
  /** What the server sent behind the 101. */
  readonly bytes: Buffer;
}

const OWN = /^(?:date|x-prediction-id|via|connection|upgrade):/i;

/** Runs one case over one connection, to the connection's end. */
function play(port: number, one: Case): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let got: Buffer = Buffer.alloc(0);
    let asked = false;
    let lastAt = 0;
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`${one.id}: the connection did not end; ${got.length} bytes came`));
    }, QUIET_MS);
    /** Until something came and nothing follows it, or nothing comes at all. */
    const calm = async (): Promise<void> => {
      const before = got.length;
      const from = performance.now();
      lastAt = from;
      const waits = (): boolean =>
        performance.now() - lastAt < CALM_MS ||
        (got.length === before && performance.now() - from < SILENT_MS);
      while (socket.writable && waits()) await new Promise((done) => setTimeout(done, 2));
    };
    const ask = async (): Promise<void> => {
      if (one.ahead !== undefined) {
        socket.write(one.ahead);
        await calm();
      }
      const size = one.chop ?? one.bytes.length;
      for (let at = 0; at < one.bytes.length && socket.writable; at += size) {
        socket.write(one.bytes.subarray(at, at + size));
        if (one.chop !== undefined) await new Promise((done) => setImmediate(done));
      }
      if (one.end !== true) return;
      await calm();
      if (socket.writable) socket.write(END);
    };
    socket.on("data", (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      lastAt = performance.now();
      if (asked || !got.includes("\r\n\r\n")) return;
      asked = true;
      void ask();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(late);
      const end = got.indexOf("\r\n\r\n");
      const lines = got
        .toString("latin1", 0, end)
        .split("\r\n")
        .filter((line) => !OWN.test(line));
      resolve({ lines: lines.toSorted(), bytes: got.subarray(end + 4) });
    });
    socket.write(handshake(one));
  });
}

const { venv, server, sidecar } = await startEcho();

/**
 * Both ways until they agree. Where a right message is followed by a wrong frame, whether the server's echo still goes out before
 * it hangs up is a race within the server, with and without the sidecar: then each side is asked again, a few times.
 */
async function agree(one: Case, through: number): Promise<{ bytes: number; rounds: number }> {
  const direct = new Set<string>();
  const relayed = new Set<string>();
  for (let rounds = 1; rounds <= ROUNDS_MAX; rounds++) {
    const heard = await play(server, one);
    const heardThrough = await play(through, one);
    assert.deepEqual(heardThrough.lines, heard.lines, one.id);
    direct.add(heard.bytes.toString("base64"));
    relayed.add(heardThrough.bytes.toString("base64"));
    if ([...relayed].some((bytes) => direct.has(bytes))) return { bytes: heard.bytes.length, rounds };
  }
  const show = (set: ReadonlySet<string>): string => [...set].map((bytes) => bytes.slice(0, 80)).join(" | ");
  throw new Error(`${one.id}: ${show(relayed)} instead of ${show(direct)}`);
}

test(`${CASES.length} cases: the server says the same bytes through the sidecar as without it`, async (t) => {
  const through = Number(new URL(sidecar.traffic).port);
  const again: string[] = [];
  let connections = 0;
  for (const one of CASES) {
    const { bytes, rounds } = await agree(one, through);
    connections += rounds;
    if (rounds > 1) again.push(one.id);
    assert.ok(bytes > 0, `${one.id}: the server said something`);
  }
  t.diagnostic(`${CASES.length} cases; asked more than once: ${again.join(", ") || "none"}`);
  assert.ok(again.length < CASES.length / 10, `agreed late: ${again.join(", ")}`);
  await sidecar.metricIs("outrider_websocket_closes_total", connections);
});

test("the library's own client: subprotocol, compression, 60 messages and its close code", async () => {
  const before = await sidecar.metrics();
  const url = sidecar.traffic.replace("http:", "ws:");
  const { stdout } = await run(venv, [join(pythonFolder, "websocket_client.py"), `${url}/client`, "60"], {
    withinMs: 300_000,
  });
  assert.deepEqual(JSON.parse(stdout), {
    wrong: 0,
    protocol: "v1.predict",
    extensions: ["permessage-deflate"],
    code: 4001,
  });
  const more = async (name: string, count: number, labels: Record<string, string>): Promise<void> =>
    await sidecar.metricIs(name, sampleSum(before, name, labels) + count, labels);
  await more("outrider_websocket_messages_total", 60, { direction: "response" });
  await more("outrider_websocket_messages_total", 60, { direction: "request" });
  await more("outrider_websocket_closes_total", 1, { side: "client", code: "4xxx" });
  await more("outrider_websocket_time_to_first_message_seconds_count", 1, {});
});
