// Probes against real servers: what each trouble is called, and that slow ones neither pile up nor outlive us.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { systemClock, type Clock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { NO_HOST } from "../support/nowhere.ts";
import { attemptProbe, type Verdict } from "../../src/watch/attempt.ts";
import type { UpstreamTls } from "../../src/watch/way.ts";
import { createProbes, type JobResult, type ProbeOptions, type ProbeResult } from "../../src/watch/probes.ts";
import { createTicker } from "../../src/watch/ticker.ts";
import { until } from "../support/sidecar.ts";
import { selfSigned } from "./certificate.ts";

async function listen(t: TestContext, server: Server, path?: string): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return path === undefined ? (server.address() as AddressInfo).port : 0;
}

const serve = async (t: TestContext, listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(t, createServer(listener))}`;

interface Extra {
  readonly expectStatus?: number;
  readonly tls?: UpstreamTls;
  readonly timeoutMs?: number;
}

async function attempt(url: string, extra: Extra = {}): Promise<Verdict> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), extra.timeoutMs ?? 60_000);
  const { expectStatus = null, tls = null } = extra;
  const verdict = await attemptProbe({ url, expectStatus, tls }, abort.signal);
  clearTimeout(timer);
  return verdict;
}

const short = ({ up, reason, status }: Verdict): unknown[] => [up, reason, status];

suite("one probe", { concurrency: true }, () => {
  test("an answer of 200 to 399 is up, or the one status that is expected", async (t) => {
    const agents: unknown[] = [];
    const url = await serve(t, (request, response) => {
      agents.push(request.headers["user-agent"]);
      response.writeHead(Number(request.url?.slice(1)), { location: "http://127.0.0.1:1/" }).end("x");
    });
    assert.deepEqual(short(await attempt(`${url}/200`)), [true, "ok", 200]);
    // Not followed: where it points to is not what we were told to ask.
    assert.deepEqual(short(await attempt(`${url}/302`)), [true, "ok", 302]);
    assert.deepEqual(short(await attempt(`${url}/404`)), [false, "status", 404]);
    assert.deepEqual(short(await attempt(`${url}/500`)), [false, "status", 500]);
    assert.deepEqual(short(await attempt(`${url}/404`, { expectStatus: 404 })), [true, "ok", 404]);
    assert.deepEqual(short(await attempt(`${url}/204`, { expectStatus: 200 })), [false, "status", 204]);
    assert.deepEqual(new Set(agents), new Set(["outrider-probe"]));
  });

  test("a port nobody listens on is refused, by request and by connection", async () => {
    assert.deepEqual(short(await attempt("http://127.0.0.1:9/")), [false, "refused", null]);
    assert.deepEqual(short(await attempt("tcp://127.0.0.1:9")), [false, "refused", null]);
    assert.deepEqual(short(await attempt("unix:/nowhere/at/all.sock")), [false, "refused", null]);
  });

  test("a server that accepts and says nothing times out; to be connected to is enough for tcp", async (t) => {
    const port = await listen(t, createTcpServer());
    assert.deepEqual(short(await attempt(`http://127.0.0.1:${port}/`, { timeoutMs: 50 })), [
      false,
      "timeout",
      null,
    ]);
    assert.deepEqual(short(await attempt(`tcp://127.0.0.1:${port}`)), [true, "ok", null]);
  });

  test("a body that breaks off or never ends is no answer, a long one is cut short", async (t) => {
    const url = await serve(t, (request, response) => {
      response.writeHead(200, request.url === "/long" ? {} : { "content-length": "10" });
      if (request.url === "/long") {
        const pour = (): void => {
          while (response.write("x".repeat(16_384)));
        };
        response.on("drain", pour);
        pour();
      } else response.write("x");
      if (request.url === "/cut") setImmediate(() => response.destroy());
    });
    assert.deepEqual(short(await attempt(`${url}/cut`)), [false, "reset", null]);
    assert.deepEqual(short(await attempt(`${url}/half`, { timeoutMs: 50 })), [false, "timeout", null]);
    assert.deepEqual(short(await attempt(`${url}/long`)), [true, "ok", 200]);
  });

  test("a connection that is reset, an answer that is no HTTP, a name that does not exist", async (t) => {
    const reset = await listen(
      t,
      createTcpServer((socket) => socket.on("data", () => socket.resetAndDestroy())),
    );
    const nonsense = await listen(
      t,
      createTcpServer((socket) => socket.end("SSH-2.0-x\r\n\r\n")),
    );
    assert.deepEqual(short(await attempt(`http://127.0.0.1:${reset}/`)), [false, "reset", null]);
    assert.deepEqual(short(await attempt(`http://127.0.0.1:${nonsense}/`)), [false, "invalid", null]);
    assert.deepEqual(short(await attempt(`http://${NO_HOST}/`)), [false, "dns", null]);
  });

  test("a request over a socket file", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "outrider-probe-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const path = join(folder, "model.sock");
    await listen(
      t,
      createServer((request, response) => response.end(request.url)),
      path,
    );
    assert.deepEqual(short(await attempt(`unix:${path}:/ready`)), [true, "ok", 200]);
    assert.deepEqual(short(await attempt(`unix:${path}`)), [true, "ok", null]);
  });

  test("certificates are verified, and their end is told", async (t) => {
    const endsMs = Math.floor(Date.now() / 1000) * 1000 + 30 * 86_400_000;
    const { cert, key } = selfSigned(endsMs);
    const port = await listen(
      t,
      createTlsServer({ cert, key }, (_request, response) => response.end()),
    );
    const url = `https://127.0.0.1:${port}/`;
    assert.deepEqual(await attempt(url), { up: false, reason: "tls", status: null, certExpiresAtMs: null });
    assert.deepEqual(await attempt(url, { tls: { ca: cert } }), {
      up: true,
      reason: "ok",
      status: 200,
      certExpiresAtMs: endsMs,
    });
    const plain = await serve(t, (_request, response) => response.end());
    assert.equal((await attempt(plain.replace("http:", "https:"))).reason, "tls");
    const ended = selfSigned(Math.floor(Date.now() / 1000) * 1000 - 86_400_000);
    const late = await listen(
      t,
      createTlsServer(ended, (_request, response) => response.end()),
    );
    assert.equal((await attempt(`https://127.0.0.1:${late}/`, { tls: { ca: ended.cert } })).reason, "tls");
  });
});

const probe = (name: string, url: string, timeoutMs = 500): ProbeOptions => ({
  name,
  url,
  everyMs: 1000,
  timeoutMs,
  expectStatus: null,
});

interface Seen {
  readonly results: ProbeResult[];
  readonly jobs: [name: string, result: JobResult][];
}

function watch(t: TestContext, probes: readonly ProbeOptions[], clock: Clock = systemClock) {
  const seen: Seen = { results: [], jobs: [] };
  const part = createProbes(probes, {
    clock,
    log: silentLog,
    onResult: (result) => seen.results.push(result),
    onJob: (name, result) => seen.jobs.push([name, result]),
  });
  t.after(() => part.stop(1000));
  return { ...seen, part };
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const missed = (jobs: Seen["jobs"]): number => jobs.filter(([, result]) => result === "missed").length;

suite("probes on their schedule", { concurrency: true }, () => {
  test("a quick one runs every second, a slow one is skipped while it runs, and both begin at once", async (t) => {
    const quick = await serve(t, (_request, response) => response.end());
    let open = 0;
    let openMax = 0;
    const slow = await serve(t, (_request, response) => {
      openMax = Math.max(openMax, ++open);
      response.on("close", () => open--);
      setTimeout(() => response.end(), 1700);
    });
    const { part, results, jobs } = watch(t, [probe("quick", quick, 30_000), probe("slow", slow, 30_000)]);
    const began = performance.now();
    await part.start();
    const runs = (of: string): number => results.filter(({ name, up }) => name === of && up).length;
    const overlaps = (): boolean =>
      jobs.some(([name, result]) => name === "probe:slow" && result === "overlap");
    await until(() => runs("quick") >= 3 && runs("slow") >= 1 && overlaps());
    const seconds = Math.ceil((performance.now() - began) / 1000);
    await part.stop(1000);
    assert.ok(runs("quick") <= seconds + 1, `${runs("quick")} quick runs in ${seconds} s`);
    assert.equal(openMax, 1);
    const took = results.find(({ name }) => name === "slow")?.durationMs ?? 0;
    assert.ok(took > 1600, `slow took ${took} ms`);
  });

  test("stopping cuts what runs, tells nothing more, and can be done twice, or before the start", async (t) => {
    const mute = createTcpServer();
    const asked = once(mute, "connection");
    const port = await listen(t, mute);
    const { part, results } = watch(t, [probe("mute", `http://127.0.0.1:${port}/`, 60_000)]);
    await part.start();
    await asked;
    const before = performance.now();
    await part.stop(50_000);
    await part.stop(50_000);
    assert.ok(performance.now() - before < 40_000, "it waited for its deadline");
    assert.deepEqual(results, []);
    const never = watch(t, [probe("never", "tcp://127.0.0.1:1")]);
    await never.part.stop(0);
    await never.part.start();
    await wait(1200);
    assert.deepEqual(never.results, []);
  });

  test("times at which the loop was blocked are told as missed, and one probe catches up for all", async (t) => {
    const url = await serve(t, (_request, response) => response.end());
    let lostMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + lostMs };
    const { part, results, jobs } = watch(t, [probe("a", url, 30_000)], clock);
    await part.start();
    await until(() => results.length > 0);
    const [before, missedBefore, from] = [results.length, missed(jobs), performance.now()];
    lostMs = 4000;
    await until(() => missed(jobs) - missedBefore >= 3 && results.length > before);
    await part.stop(1000);
    // What the machine itself lost meanwhile may be missed too.
    const seconds = Math.ceil((performance.now() - from) / 1000);
    const lost = missed(jobs) - missedBefore;
    assert.ok(lost <= 4 + seconds, `${lost} missed`);
    // One catches up for the four that were missed; the others came due since, or were under way at the count before.
    const runs = results.length - before;
    assert.ok(runs <= seconds + 2, `${runs} runs within ${seconds} s of the block`);
  });

  test("a wall clock that is set, back or forth, does not stop the ticks", async () => {
    let offsetMs = 0;
    let ticks = 0;
    const warnings: string[] = [];
    const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + offsetMs };
    const log = { ...silentLog, warn: (_fields: unknown, message: string) => void warnings.push(message) };
    const ticker = createTicker({ clock, log, onTick: () => ticks++ });
    ticker.start();
    for (const jumpMs of [-2 * 86_400_000, 365 * 86_400_000]) {
      const told = warnings.length;
      offsetMs = jumpMs;
      ticks = 0;
      const from = performance.now();
      await until(() => ticks >= 2 && warnings.length > told);
      const seconds = Math.ceil((performance.now() - from) / 1000);
      assert.ok(ticks <= seconds + 1, `${ticks} ticks in ${seconds} s`);
    }
    ticker.stop();
    ticks = 0;
    await wait(1100);
    assert.equal(ticks, 0);
    assert.equal(warnings.length, 2);
  });
});
