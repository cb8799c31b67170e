import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { FrameShare } from "../../src/proxy/http2/frame-share.ts";
import { TurnShare } from "../../src/proxy/turn-share.ts";
import { handClock } from "../support/hand-clock.ts";
import { eventually, pause } from "./support.ts";

const KIB = 1024;

test("full reads in a row use up a share of 256 KiB, and the connection goes on in the next turn", async () => {
  let went = 0;
  const share = new TurnShare(() => went++);
  assert.deepEqual(
    Array.from({ length: 5 }, () => share.usedUp(64 * KIB)),
    [false, false, false, true, false],
  );
  assert.equal(went, 0, "not within this turn");
  await eventually(() => went === 1);
});

test("a read that was not full ended the row: nothing more was there", () => {
  const share = new TurnShare(() => assert.fail("nothing was stopped"));
  for (let at = 0; at < 10; at++) {
    for (let full = 0; full < 3; full++) assert.equal(share.usedUp(64 * KIB), false);
    assert.equal(share.usedUp(300), false);
  }
});

test("records of TLS count, too", () => {
  const share = new TurnShare(() => {});
  const used = Array.from({ length: 16 }, () => share.usedUp(16 * KIB));
  assert.equal(used.indexOf(true), 15);
});

test("a connection of HTTP/2 that has used up its share is not read on before its client has taken what was written", async (t) => {
  const clock = handClock();
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const accepted = once(server, "connection");
  const client = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1");
  const [socket]: Socket[] = await accepted;
  assert.ok(socket !== undefined);
  t.after(() => {
    client.destroy();
    socket.destroy();
    server.close();
  });
  let read = 0;
  socket.on("data", (bytes: Buffer) => (read += bytes.length));
  // More than the system's buffers take.
  socket.write(Buffer.alloc(32 * 1024 * 1024));
  const share = new FrameShare(socket, clock);
  for (let i = 0; i < 1000; i++) share.came(1);
  client.write("more");
  for (let i = 0; i < 10; i++) {
    await pause(5);
    clock.advance(1000);
  }
  assert.equal(read, 0);
  client.resume();
  await eventually(() => {
    clock.advance(1000);
    return read === 4;
  });
});
