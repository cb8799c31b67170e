// WebSocket frames counted as they pass: whatever pieces they come in, whatever nonsense they are.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameMeter } from "../../src/proxy/frames.ts";
import { frame, type FrameParts } from "../support/websocket.ts";
import { get, rawClient, rawOrigin, startProxy } from "./support.ts";

const SWITCH =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n";
const HANDSHAKE = get(
  "/v2/models/m/stream",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Key: k",
);
const text = (payload: string, over: Partial<FrameParts> = {}): Buffer =>
  frame({ opcode: 1, payload: Buffer.from(payload), ...over });
const masked = { mask: 0x1a2b3c4d };

const message = fc.record({
  kind: fc.constantFrom(1, 2),
  parts: fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 4 }),
  ping: fc.boolean(),
});

/** The frames of messages, with pings between their fragments. */
function framesOf(
  messages: readonly { kind: number; parts: readonly Uint8Array[]; ping: boolean }[],
  mask: number | null,
): Buffer {
  const out: Buffer[] = [];
  for (const { kind, parts, ping } of messages) {
    parts.forEach((payload, at) => {
      out.push(frame({ opcode: at === 0 ? kind : 0, fin: at === parts.length - 1, payload, mask }));
      if (ping) out.push(frame({ opcode: 9, payload: Buffer.from("p"), mask }));
    });
  }
  return Buffer.concat(out);
}

test("messages, fragments and control frames are counted whatever pieces they come in", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 6 }), fc.integer({ min: 1, max: 500 }), (messages, size) => {
      const meter = new FrameMeter(5);
      const bytes = Buffer.concat([
        framesOf(messages, 0x01020304),
        frame({ opcode: 8, payload: Buffer.from([0x0f, 0xa1]), mask: 7 }),
      ]);
      for (let at = 0; at < bytes.length; at += size) meter.fromClient(bytes.subarray(at, at + size), at);
      meter.fromUpstream(framesOf(messages, null), 1e6);
      const facts = meter.facts();
      assert.deepEqual(
        [facts.requestMessages, facts.responseMessages, facts.measured, facts.closedBy, facts.closeCode],
        [messages.length, messages.length, true, "client", 4001],
      );
    }),
    { numRuns: 200 },
  );
});

test("lengths of every form are skipped, also those longer than what is left in memory", () => {
  for (const bytes of [0, 125, 126, 65_535, 65_536, 200_000]) {
    const meter = new FrameMeter(0);
    meter.fromUpstream(
      Buffer.concat([frame({ opcode: 2, payload: Buffer.alloc(bytes, 0x81) }), text("x")]),
      1,
    );
    assert.deepEqual([meter.facts().responseMessages, meter.facts().measured], [2, true], String(bytes));
  }
  const meter = new FrameMeter(0);
  meter.fromUpstream(Buffer.from([0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3]), 1);
  assert.deepEqual([meter.facts().responseMessages, meter.facts().measured], [0, true]);
});

test("what is not RFC 6455 is given up, and what was counted before it stays", () => {
  const nonsense: readonly Buffer[] = [
    text("unmasked"),
    frame({ opcode: 3, payload: Buffer.alloc(0), ...masked }),
    frame({ opcode: 11, payload: Buffer.alloc(0), ...masked }),
    frame({ opcode: 9, fin: false, payload: Buffer.alloc(0), ...masked }),
    frame({ opcode: 9, payload: Buffer.alloc(126), ...masked }),
    frame({ opcode: 0, payload: Buffer.alloc(1), ...masked }),
    Buffer.concat([text("a", { fin: false, ...masked }), text("b", masked)]),
    Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
  ];
  for (const bytes of nonsense) {
    const meter = new FrameMeter(0);
    meter.fromClient(Buffer.concat([text("good", masked), bytes, text("more", masked)]), 1);
    assert.deepEqual(
      [meter.facts().requestMessages, meter.facts().measured],
      [1, false],
      bytes.toString("hex"),
    );
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const meter = new FrameMeter(0);
      meter.fromUpstream(bytes, 1);
      assert.ok(meter.facts().responseMessages <= bytes.length);
    }),
  );
});

test("the wait for the first message counts from the client's first, or from the upgrade", () => {
  const asked = new FrameMeter(5);
  asked.fromClient(text("q", masked), 100);
  asked.fromUpstream(text("a"), 140);
  asked.fromUpstream(text("b"), 500);
  assert.equal(asked.facts().firstMessageMs, 40);
  const greeted = new FrameMeter(5);
  greeted.fromUpstream(text("hello"), 25);
  assert.equal(greeted.facts().firstMessageMs, 20);
  assert.equal(new FrameMeter(5).facts().firstMessageMs, null);
});

test("through the proxy: frames glued to either side of the 101 count, and the bytes are the same", async (t) => {
  const hello = text("hello");
  const closing = frame({ opcode: 8, payload: Buffer.from([0x03, 0xe9, 0x62, 0x79, 0x65]) });
  let received = Buffer.alloc(0);
  const origin = await rawOrigin(t, (socket) => {
    let open = false;
    socket.on("data", (chunk: Buffer) => {
      if (!open) {
        open = true;
        const end = chunk.indexOf("\r\n\r\n") + 4;
        received = Buffer.concat([received, chunk.subarray(end)]);
        socket.write(Buffer.concat([Buffer.from(SWITCH), hello]));
      } else received = Buffer.concat([received, chunk]);
      if (received.includes("last")) socket.end(closing);
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  const client = await rawClient(t, port);
  const first = text("first", masked);
  const last = frame({ opcode: 2, payload: Buffer.from("last"), mask: 0 });
  client.send(Buffer.concat([Buffer.from(HANDSHAKE, "latin1"), first]));
  await client.until("hello");
  client.send(last);
  const got = await client.closed();
  assert.ok(got.endsWith(Buffer.concat([hello, closing]).toString("latin1")));
  assert.ok(received.equals(Buffer.concat([first, last])));
  const [exchange] = await delivered(1);
  const facts = exchange?.webSocket;
  assert.deepEqual(
    [facts?.requestMessages, facts?.responseMessages, facts?.closedBy, facts?.closeCode, facts?.measured],
    [2, 1, "upstream", 1001, true],
  );
});

test("a tunnel that is no WebSocket, and one that lies about being one, pass unmeasured", async (t) => {
  const origin = await rawOrigin(t, (socket) => {
    socket.once("data", (chunk) => {
      const kind = chunk.toString("latin1").includes("/other") ? "tcp" : "websocket";
      socket.write(SWITCH.replace("websocket", kind));
      socket.on("data", (more) => socket.write(more));
    });
  });
  const { port, delivered } = await startProxy(t, origin.url);
  for (const path of ["/other", "/lie"]) {
    const client = await rawClient(t, port);
    client.send(HANDSHAKE.replace("/v2/models/m/stream", path));
    await client.until("\r\n\r\n");
    client.send("no frames at all");
    await client.until("no frames at all");
    client.socket.end();
  }
  const exchanges = await delivered(2);
  const byPath = Object.fromEntries(exchanges.map((one) => [one.target, one.webSocket]));
  assert.equal(byPath["/other"], undefined);
  assert.deepEqual([byPath["/lie"]?.measured, byPath["/lie"]?.requestMessages], [false, 0]);
});
