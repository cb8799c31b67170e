// How long idle connections to the model are kept and used: learnt from what the model does, always well below it.

import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer } from "node:tls";
import fc from "fast-check";
import { IdleTimes } from "../../src/proxy/idle-times.ts";
import { fuzzRun } from "../support/fuzz.ts";
import { certificate } from "../support/certificates.ts";
import {
  OK,
  eventually,
  get,
  heldClock,
  listening,
  pause,
  post,
  rawClient,
  rawOrigin,
  startProxy,
  type Origin,
  type Running,
} from "./support.ts";

const LONG_MS = 20_000;

interface One {
  readonly keepAliveMs: null;
  readonly idleSinceMs: number;
  /** When its server closes it. */
  readonly endsAtMs: number;
}

/** Connections that come and go as the pool has them, with a look once a second; gives the ages at which they were used again. */
function play(
  steps: readonly { readonly ms: number; readonly limitMs: number }[],
): { age: number; limitMs: number }[] {
  const times = new IdleTimes("long");
  const reused: { age: number; limitMs: number }[] = [];
  let idle: One[] = [];
  let now = 0;
  const settle = (): void => {
    for (const one of idle) if (one.endsAtMs <= now) times.closed(one, now);
    idle = idle.filter((one) => one.endsAtMs > now);
    if (idle.length === 0) times.gone();
  };
  const look = (): void => {
    for (const one of idle) times.alive(one, now);
    idle = idle.filter((one) => now - one.idleSinceMs < times.keptMs(one, now, true));
    times.looked(now);
  };
  for (const { ms, limitMs } of steps) {
    for (const end = now + ms; now < end;) {
      now = Math.min(end, Math.floor(now / 1000) * 1000 + 1000);
      settle();
      look();
    }
    const youngest = idle.at(-1);
    let limit = limitMs;
    if (youngest !== undefined && now - youngest.idleSinceMs < times.reuseMs(youngest, now)) {
      idle.pop();
      limit = youngest.endsAtMs - youngest.idleSinceMs;
      reused.push({ age: now - youngest.idleSinceMs, limitMs: limit });
    }
    times.answered(now, true);
    idle.push({ keepAliveMs: null, idleSinceMs: now, endsAtMs: now + limit });
  }
  return reused;
}

test("whenever requests come, none meets the moment in which a model closes its idle connections", (t) => {
  for (const { limits, pauseMs, young } of [
    { limits: { min: 100, max: 90_000 }, pauseMs: 25_000, young: false },
    { limits: { min: 16, max: 150 }, pauseMs: 120, young: true },
  ]) {
    let counted = 0;
    fc.assert(
      fc.property(
        fc.integer(limits),
        fc.array(fc.integer({ min: 1, max: pauseMs }), { minLength: 5, maxLength: 60 }),
        (limitMs, pauses) => {
          for (const { age } of play(pauses.map((ms) => ({ ms, limitMs })))) {
            assert.ok(age <= 0.7 * limitMs && age <= limitMs - 5, `used at ${age} of ${limitMs} ms`);
            if (young ? age < 50 : age > 4000) counted++;
          }
        },
      ),
      fuzzRun(t, 400),
    );
    assert.ok(counted > 100, `${counted} ${young ? "younger than 50 ms" : "older than 4 s"}`);
  }
});

test("behind one address with several limits, a connection closed young ends the long ones for ten minutes", () => {
  const times = new IdleTimes("long");
  times.answered(15_000, true);
  const long = { keepAliveMs: null, idleSinceMs: 0 };
  const short = { keepAliveMs: null, idleSinceMs: 10_000 };
  times.alive(long, 15_000);
  times.looked(15_000);
  assert.equal(times.reuseMs(short, 15_000), 10_500);
  assert.equal(times.keptMs(short, 15_000, true), LONG_MS);
  // Known to have been alive 5 s after it became idle.
  times.closed(short, 15_400);
  times.alive(long, 16_000);
  assert.equal(times.reuseMs(long, 16_000), 4000);
  assert.equal(times.keptMs(long, 16_000, true), 4000);
  times.answered(616_000, true);
  times.alive({ keepAliveMs: null, idleSinceMs: 600_000 }, 616_000);
  assert.equal(times.reuseMs(long, 615_000), 4000);
  assert.equal(times.reuseMs(long, 616_000), 11_200);
});

test("what the model announces holds, less two seconds; a model that never served two at a time gets no long ones", () => {
  const times = new IdleTimes("long");
  const told = { keepAliveMs: 20_000, idleSinceMs: 0 };
  const silent = { keepAliveMs: null, idleSinceMs: 0 };
  assert.deepEqual([times.reuseMs(told, 0), times.keptMs(told, 0, false)], [18_000, 18_000]);
  assert.equal(times.keptMs({ ...told, keepAliveMs: 600_000 }, 0, true), 60_000);
  assert.equal(times.reuseMs(silent, 0), 10);
  assert.equal(times.keptMs(silent, 0, true), 4000);
  times.answered(0, true);
  assert.equal(times.keptMs(silent, 0, true), LONG_MS);
  assert.equal(times.keptMs(silent, 0, false), 4000);
});

test("a model that stands still shows nothing: what it could not close does not count as kept", () => {
  const times = new IdleTimes("long");
  const first = { keepAliveMs: null, idleSinceMs: 0 };
  const second = { keepAliveMs: null, idleSinceMs: 7000 };
  times.answered(0, false);
  times.answered(7000, true);
  for (const now of [8000, 12_000, 15_000]) times.alive(first, now);
  // Not 0.7 of 15 s.
  assert.equal(times.reuseMs(second, 15_000), 4900);
  times.answered(15_500, true);
  times.alive(first, 16_000);
  assert.equal(times.reuseMs(second, 16_000), 10_850);
});

test("nor does one that stands still for a moment show what it would close by then", () => {
  const times = new IdleTimes("short");
  const one = { keepAliveMs: null, idleSinceMs: 0 };
  times.answered(0, false);
  times.alive(one, 40);
  assert.equal(times.reuseMs(one, 40), 10, "it may have stood still since its answer");
  times.answered(40, true);
  times.alive(one, 41);
  assert.equal(times.reuseMs(one, 41), 28);
  times.alive(one, 3500);
  assert.equal(times.reuseMs(one, 3500), 2100);
});

test("a model that has closed a connection within moments is trusted with nothing that it has not shown", () => {
  const times = new IdleTimes("short");
  const one = { keepAliveMs: null, idleSinceMs: 0 };
  times.closed(one, 25);
  assert.equal(times.reuseMs(one, 25), 10);
  times.closed({ ...one, idleSinceMs: 30 }, 32);
  assert.equal(times.reuseMs(one, 32), 0);
  times.alive({ ...one, idleSinceMs: 40 }, 48);
  assert.equal(times.reuseMs(one, 48), 0);
  times.answered(60, true);
  times.alive({ ...one, idleSinceMs: 40 }, 60);
  assert.equal(times.reuseMs(one, 60), 14);
});

test("once a request has met a closing connection, four seconds are the most for ten minutes", () => {
  const times = new IdleTimes("long");
  const one = { keepAliveMs: null, idleSinceMs: 0 };
  times.answered(15_000, true);
  times.alive(one, 15_000);
  times.looked(15_000);
  times.closed({ keepAliveMs: null, idleSinceMs: 1000 }, 15_100, true);
  times.answered(18_000, true);
  times.alive(one, 18_000);
  assert.deepEqual([times.reuseMs(one, 18_000), times.keptMs(one, 18_000, true)], [4000, 4000]);
  assert.deepEqual([times.reuseMs(one, 615_100), times.keptMs(one, 615_100, true)], [12_600, LONG_MS]);
});

/** A model behind TLS, and the relay before it. */
async function secure(
  t: TestContext,
  onConnection: (socket: Socket) => void,
  clock: ReturnType<typeof heldClock>,
): Promise<{ origin: Origin; running: Running }> {
  const host = await certificate("localhost");
  const origin = await listening(t, createServer({ key: host.key, cert: host.cert }, onConnection));
  const tls = { ca: host.cert };
  return { origin, running: await startProxy(t, `https://localhost:${origin.port}`, { clock, tls }) };
}

test("over TLS, after a pause a burst finds the connections of the one before; a model that begins anew is learnt anew", async (t) => {
  const sockets: Socket[] = [];
  let held: Socket[] | null = null;
  const clock = heldClock();
  const take = (socket: Socket): void => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.on("data", () => {
      if (held === null) socket.write(OK);
      else held.push(socket);
    });
  };
  const { origin, running } = await secure(t, take, clock);
  const { port } = running;
  const clients = await Promise.all(Array.from({ length: 8 }, () => rawClient(t, port)));
  let rounds = 0;
  /** All eight at one time. */
  const burst = async (): Promise<number> => {
    const before = origin.connections();
    const asking: Socket[] = [];
    held = asking;
    rounds++;
    for (const client of clients) client.send(post("/", "x"));
    await eventually(() => asking.length === 8);
    held = null;
    for (const socket of asking) socket.write(OK);
    await eventually(() => clients.every((one) => one.text().split("\r\n\r\nok").length === rounds + 1));
    return origin.connections() - before;
  };
  assert.equal(await burst(), 8);
  clock.pass(12_000);
  // Nothing is shown yet: eight more, and the first eight are seen to be alive.
  assert.equal(await burst(), 8);
  clock.pass(8000);
  assert.equal(await burst(), 0, "they are used again after 8 s");
  // The look once a second: those of the first burst are still there, to be seen.
  clock.pass(12_000);
  await pause(1500);
  clock.pass(1000);
  assert.equal(await burst(), 0, "and after 13 s");
  clock.pass(20_000);
  await eventually(() => sockets.every((socket) => socket.destroyed));
  assert.equal(await burst(), 8, "after 20 s they are gone");
  const ended = sockets.splice(0);
  for (const socket of ended) socket.end();
  await eventually(() => ended.every((socket) => socket.destroyed));
  const client = await rawClient(t, port);
  client.send(get("/"));
  await client.until("ok");
  clock.pass(3000);
  assert.equal(await burst(), 8, "what the model showed before is worth nothing");
});

test("where all threads of a model are held by idle connections, a call on a new one waits for four seconds, not for twenty", async (t) => {
  let free = 2;
  const waiting: Socket[] = [];
  const asking: Socket[] = [];
  const take = (socket: Socket): void => {
    free--;
    socket.on("data", () => asking.push(socket));
    socket.resume();
  };
  const clock = heldClock();
  const came = (socket: Socket): void => {
    socket.pause();
    socket.on("error", () => {});
    socket.once("close", () => {
      free++;
      const next = waiting.shift();
      if (next !== undefined) take(next);
    });
    if (free > 0) take(socket);
    else waiting.push(socket);
  };
  const { port } = (await secure(t, came, clock)).running;
  const clients = await Promise.all([rawClient(t, port), rawClient(t, port), rawClient(t, port)]);
  for (const client of clients) client.send(post("/", "x"));
  await eventually(() => asking.length === 2 && waiting.length === 1);
  for (const socket of asking.splice(0)) socket.write(OK);
  await eventually(() => clients.filter((one) => one.text().includes("ok")).length === 2);
  clock.pass(5000);
  await eventually(() => asking.length === 1);
  for (const socket of asking) socket.write(OK);
  await eventually(() => clients.every((one) => one.text().includes("ok")));
});

test("without TLS a connection costs little, and none is kept for longer than four seconds", async (t) => {
  const sockets: Socket[] = [];
  const origin = await rawOrigin(t, (socket) => {
    sockets.push(socket);
    socket.on("data", () => socket.write(OK));
  });
  const clock = heldClock();
  const { port } = await startProxy(t, origin.url, { clock });
  const clients = await Promise.all(Array.from({ length: 4 }, () => rawClient(t, port)));
  for (let round = 1; round <= 3; round++) {
    for (const client of clients) client.send(post("/", "x"));
    await eventually(() => clients.every((one) => one.text().split("\r\n\r\nok").length === round + 1));
    clock.pass(3900);
    await pause(20);
    assert.ok(sockets.some((socket) => !socket.destroyed));
    clock.pass(1200);
    await eventually(() => sockets.every((socket) => socket.destroyed));
  }
});
