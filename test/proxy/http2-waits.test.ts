// Connections of HTTP/2 that wait: one that is worn out by its waits, and what waiting costs while nothing happens.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import test from "node:test";
import {
  PREFACE,
  TYPE,
  ask,
  connectStreams,
  frame,
  rawStreams,
  requestHead,
  setting,
  streamOrigin,
  wholeAnswer,
  windowUpdate,
} from "./http2-support.ts";
import { systemClock, type Clock } from "../../src/kernel/clock.ts";
import { LIMITS, eventually, pause, startProxy } from "./support.ts";

test("a connection whose uploads waited too often is told to go, counted once, and loses none of them", async (t) => {
  const streams: ServerHttp2Stream[] = [];
  const origin = await streamOrigin(t, (stream) => {
    let came = 0;
    stream.on("data", (chunk: Buffer) => (came += chunk.length));
    stream.on("end", () => {
      stream.respond({ ":status": 200 });
      stream.end(String(came));
    });
    streams.push(stream);
  });
  const waitsMax = 10;
  const running = await startProxy(t, origin.url, { limits: { ...LIMITS, waitsMax } });
  const session = await connectStreams(t, running.port);
  let told = 0;
  session.on("goaway", () => told++);
  const limited = (name: string): number => running.proxy.stats().limited[name] ?? 0;
  // None is over before the connection is, however few waits there are on a busy machine.
  const piece = Buffer.alloc(64 * 1024);
  const uploads = Array.from({ length: 100 }, async () => {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    const answering = wholeAnswer(stream);
    let sent = 0;
    while (limited("worn_out") === 0) {
      sent += piece.length;
      if (!stream.write(piece)) await once(stream, "drain");
    }
    stream.end();
    const { status, body } = await answering;
    return `${status}, ${Number(body.toString()) - sent} bytes too many`;
  });
  // The model takes some of all of them now and then, mostly once they wait.
  let reading = true;
  let seen = 0;
  let turns = 0;
  const toggling = setInterval(() => {
    const waits = limited("held_body");
    if (!reading && waits === seen && ++turns < 20) return;
    [reading, seen, turns] = [!reading, waits, 0];
    for (const stream of streams) {
      if (stream.destroyed) continue;
      if (reading) stream.resume();
      else stream.pause();
    }
  }, 10);
  t.after(() => clearInterval(toggling));
  await eventually(() => limited("worn_out") === 1, 300_000);
  clearInterval(toggling);
  for (const stream of streams) if (!stream.destroyed) stream.resume();
  assert.deepEqual(new Set(await Promise.all(uploads)), new Set(["200, 0 bytes too many"]));
  await eventually(() => told > 0 && session.destroyed);
  assert.equal(limited("worn_out"), 1);
  assert.ok(limited("held_body") >= waitsMax);
  // The next one begins anew.
  assert.equal((await ask(await connectStreams(t, running.port), { body: "x" })).body.toString(), "1");
  assert.ok(running.exchanges.every(({ outcome }) => outcome === "ok"));
});

interface CountingClock extends Clock {
  readonly calls: () => number;
}

/** Real timers; counts how often one of less than half a second, or of a repetition, came. */
function countingClock(): CountingClock {
  let calls = 0;
  const counted = (work: () => void) => (): void => {
    calls++;
    work();
  };
  return {
    ...systemClock,
    calls: () => calls,
    after: (ms, work) => systemClock.after(ms, counted(work)),
    every: (ms, work) => systemClock.every(ms, counted(work)),
  };
}

/** As many timers in two seconds: two looks, and a sweep, a second, and some to spare. Looks get rare after fifty, however long those take. */
async function untilQuiet(clock: CountingClock): Promise<void> {
  for (let calls = Infinity, tries = 0; calls > 20; tries++) {
    assert.ok(tries < 10, `${calls} timers in 2 s`);
    const before = clock.calls();
    await pause(2000);
    calls = clock.calls() - before;
  }
}

test("uploads that stand still are looked at rarely once nothing happens, and go on at once", async (t) => {
  const streams: ServerHttp2Stream[] = [];
  const origin = await streamOrigin(t, (stream) => void streams.push(stream.pause()));
  const clock = countingClock();
  const { port, proxy } = await startProxy(t, origin.url, { clock });
  const session = await connectStreams(t, port);
  const answers = Array.from({ length: 5 }, () => {
    const stream = session.request({ ":method": "POST", ":path": "/" });
    stream.end(Buffer.alloc(1024 * 1024));
    return wholeAnswer(stream);
  });
  await eventually(() => streams.length === 5 && proxy.stats().heldBytes > 50_000);
  await untilQuiet(clock);
  for (const held of streams)
    held.on("end", () => held.respond({ ":status": 200 }, { endStream: true })).resume();
  assert.ok((await Promise.all(answers)).every(({ status }) => status === 200));
});

test("a client that sends crumbs and reads nothing is looked at rarely, and its crumbs come whole in the end", async (t) => {
  let came = 0;
  const origin = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200 });
    stream.write(Buffer.alloc(8 * 1024 * 1024));
    stream.on("data", (chunk: Buffer) => (came += chunk.length));
  });
  const clock = countingClock();
  const { port, proxy } = await startProxy(t, origin.url, { clock });
  const client = await rawStreams(t, port);
  client.socket.pause();
  client.socket.write(
    Buffer.concat([
      PREFACE,
      frame(TYPE.settings, 0, { stream: 0, payload: setting(4, 2 ** 31 - 1) }),
      windowUpdate(0, 2 ** 30),
      frame(TYPE.settings, 1, { stream: 0 }),
      requestHead(1),
    ]),
  );
  // What waits for the client fills the system's buffers, and then ours.
  await eventually(() => proxy.stats().heldBytes > 0);
  const crumbs = 30_000;
  const crumb = frame(TYPE.data, 0, { stream: 1, payload: Buffer.alloc(1) });
  const sent = Buffer.concat(Array.from({ length: crumbs }, () => crumb));
  if (!client.socket.write(sent)) void once(client.socket, "drain").catch(() => {});
  await untilQuiet(clock);
  client.socket.resume();
  await eventually(() => came === crumbs);
});
