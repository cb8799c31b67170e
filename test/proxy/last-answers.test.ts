// Clients that do not read their last answer, the one behind which their connection ends: they have the time of any answer, and are counted.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import test, { type TestContext } from "node:test";
import { PREFACE, TYPE, frame, requestHead, setting, windowUpdate } from "./http2-support.ts";
import { LIMITS, eventually, get, heldClock, httpOrigin, pause, startProxy } from "./support.ts";

const KIB = 1024;
const SEND_MS = 60_000;
/** More than a client has that has been sent all. */
const GOODBYE_MS = 6000;
const LARGEST = 2 ** 31 - 1;

const ASKS: Readonly<Record<string, (path: string) => Buffer>> = {
  // A short one behind a long one: it waits whole where that has left less room.
  "HTTP/1.1": (path) => Buffer.from(get(path) + get("/last", "Connection: close")),
  "HTTP/2": (path) =>
    Buffer.concat([
      PREFACE,
      frame(TYPE.settings, 0, { stream: 0, payload: setting(4, LARGEST) }),
      windowUpdate(0, 2 ** 30),
      requestHead(1, { method: "GET", path, flags: 5 }),
    ]),
};

/** Asks, and reads nothing. */
function deaf(t: TestContext, port: number, request: Buffer): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  socket.write(request);
  t.after(() => socket.destroy());
  return socket;
}

for (const [version, asking] of Object.entries(ASKS)) {
  test(`over ${version}, last answers of all lengths that their clients do not read end at the time for sending, each counted`, async (t) => {
    const held = new Map<string, ServerResponse>();
    let written = 0;
    const origin = await httpOrigin(t, (request, response) => {
      if (request.url === "/last") response.end(Buffer.alloc(12 * KIB));
      else held.set(request.url ?? "", response);
    });
    const clock = heldClock();
    const limits = { ...LIMITS, sendMs: SEND_MS };
    const running = await startProxy(t, origin.url, { clock, limits });
    const { proxy, port } = running;
    // What the system takes for a client that reads nothing.
    const first = deaf(t, port, asking("/endless"));
    await eventually(() => held.has("/endless"));
    const more = (): void => {
      written += 64 * KIB;
      held.get("/endless")?.write(Buffer.alloc(64 * KIB), (error) => {
        if (error == null) more();
      });
    };
    more();
    await eventually(() => proxy.stats().heldBytes > 0);
    for (let before = -1; before !== written; await pause(300)) before = written;
    first.destroy();
    const [{ response: taken } = { response: { total: 0 } }] = await running.delivered(1);
    assert.ok(taken.total > 256 * KIB);

    // So long that some leave whole, some wait whole in our buffers, and some are not even read to their ends.
    const lengths = Array.from({ length: 16 }, (_, i) => taken.total + (i - 11) * 8 * KIB);
    lengths.forEach((length) => deaf(t, port, asking(`/${length}`)));
    await eventually(() => held.size === 1 + lengths.length);
    const stopped = version === "HTTP/2" ? proxy.stop(10 * SEND_MS) : null;
    for (const length of lengths) {
      const response = held.get(`/${length}`);
      response?.setHeader("Content-Length", length);
      response?.end(Buffer.alloc(length));
    }
    const aborted = (): number =>
      running.exchanges.filter(({ outcome }) => outcome === "client_abort").length;
    const limited = (): number => proxy.stats().limited["send_timeout"] ?? 0;
    // As often as it takes the sweep to see that nothing moves, and then that time has passed.
    await pause(2500);
    clock.pass(GOODBYE_MS);
    await pause(2500);
    assert.deepEqual([limited(), aborted()], [0, 1], "those that have not got all have more time");
    // Over HTTP/2 a stream is reset first: for the reset to leave, the client would have to read, and has as long again for that.
    await eventually(() => {
      clock.pass(SEND_MS / 20);
      return proxy.stats().activeRequests === 0;
    });
    await stopped;
    assert.ok(limited() > 0);
    assert.ok(aborted() - 1 >= limited());
    assert.equal(running.exchanges.length, proxy.stats().seen);
    await eventually(() => proxy.stats().openConnections === 0);
  });
}
