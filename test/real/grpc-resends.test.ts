// grpcio against models that send connections away or refuse streams: what was not processed is sent again, and nothing twice.

import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { test, type TestContext } from "node:test";
import { streamOrigin } from "../proxy/http2-support.ts";
import { startSidecar, until, type Sidecar } from "../support/sidecar.ts";
import { grpcCalls, startAgingServer, type GrpcCalls, type GrpcCallsTold } from "./support/grpc-calls.ts";

const RESENDS = "outrider_upstream_resends_total";
const REFUSED_STREAM = 7;

async function before(t: TestContext, port: number): Promise<{ sidecar: Sidecar; calls: Calls }> {
  const sidecar = await startSidecar({ upstream: `h2c://127.0.0.1:${port}` });
  t.after(() => sidecar.stop());
  const target = new URL(sidecar.traffic).host;
  return { sidecar, calls: (work) => grpcCalls({ target, ...work }) };
}

type Calls = (work: Omit<GrpcCalls, "target">) => Promise<GrpcCallsTold>;

test("a grpcio server that sends each connection away (max_connection_age): every call is answered, each is processed once, and a stream that is open meanwhile goes on", async (t) => {
  const server = await startAgingServer(t, 300);
  const { sidecar, calls } = await before(t, server.port);
  const told = await calls({ atOnce: 8, calls: 200_000, answers: 6, chat: true });
  assert.deepEqual(told.failed, []);
  assert.ok(told.answers >= 6, `${told.answers} connections`);
  // Its connection was sent away, and left to it.
  assert.equal(told.chat.length, 2);
  assert.equal(told.chat[0], told.chat[1]);
  assert.equal(told.chatEnded, true);
  assert.deepEqual(await server.processed(), { calls: told.calls + 2, most: 1 });
  await sidecar.metricIs("outrider_requests_total", told.calls + 1, { outcome: "ok" });
  const opened = { network_protocol_version: "2", outcome: "opened" };
  await until(
    async () => (await sidecar.metric("outrider_upstream_connections_total", opened)) >= told.answers,
  );
  for (const outcome of ["failed", "given_up"]) assert.equal(await sidecar.metric(RESENDS, { outcome }), 0);
});

/** What becomes of stream `count` of a connection (1, 2, 3, ...): it is answered with its body, or not processed. */
type Takes = (stream: ServerHttp2Stream, count: number) => "process" | "turn away";

interface Scripted {
  readonly port: number;
  /** Bodies, in order. */
  readonly processed: string[];
  readonly turnedAway: () => number;
}

/** A gRPC model by node:http2 that turns streams away as it is told. */
async function scripted(t: TestContext, takes: Takes): Promise<Scripted> {
  const processed: string[] = [];
  const counts = new WeakMap<object, number>();
  let turnedAway = 0;
  const { port } = await streamOrigin(t, (stream) => {
    const session = stream.session ?? {};
    const count = (counts.get(session) ?? 0) + 1;
    counts.set(session, count);
    if (takes(stream, count) === "turn away") turnedAway++;
    else void answer(stream, processed);
  });
  return { port, processed, turnedAway: () => turnedAway };
}

async function answer(stream: ServerHttp2Stream, processed: string[]): Promise<void> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  const message = Buffer.concat(chunks);
  processed.push(message.subarray(5).toString().trim());
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(message);
}

/** A GOAWAY whose last stream is the fifth: said once, and those that come behind it are left, too. */
function leave(stream: ServerHttp2Stream, count: number): "turn away" {
  if (count === 6) stream.session?.goaway(0, (stream.id ?? 0) - 2);
  return "turn away";
}

function refuse(stream: ServerHttp2Stream): "turn away" {
  stream.close(REFUSED_STREAM);
  return "turn away";
}

const WAYS: Readonly<Record<string, { takes: Takes; reason: string; atOnce: number }>> = {
  "leaves a stream behind with GOAWAY, the sixth of each connection": {
    takes: (stream, count) => (count > 5 ? leave(stream, count) : "process"),
    reason: "goaway",
    atOnce: 8,
  },
  // Of two at a time none is refused as often as it is sent.
  "refuses every third stream": {
    takes: (stream, count) => (count % 3 === 0 ? refuse(stream) : "process"),
    reason: "refused_stream",
    atOnce: 2,
  },
};

for (const [what, { takes, reason, atOnce }] of Object.entries(WAYS)) {
  test(`a model that ${what}: every call of grpcio is answered, and each is processed once`, async (t) => {
    const model = await scripted(t, takes);
    const { sidecar, calls } = await before(t, model.port);
    const told = await calls({ atOnce, calls: 300 });
    assert.deepEqual(told.failed, []);
    assert.deepEqual([told.calls, told.answers], [300, 300]);
    assert.deepEqual([model.processed.length, new Set(model.processed).size], [300, 300]);
    assert.ok(model.turnedAway() > 10, `${model.turnedAway()} turned away`);
    await sidecar.metricIs("outrider_requests_total", 300, { outcome: "ok" });
    await until(async () => (await sidecar.metric(RESENDS, { reason, outcome: "answered" })) > 10);
    for (const outcome of ["failed", "given_up"]) assert.equal(await sidecar.metric(RESENDS, { outcome }), 0);
  });
}

test("calls that may not be sent again, or not once more, end with UNAVAILABLE at grpcio, and nothing is processed", async (t) => {
  const long = 200_000;
  /** What the model reads of a stream before it refuses it, in bytes. */
  for (const [reads, padding, unprocessed] of [
    [0, 0, 3],
    // More than is kept to be sent again.
    [100_000, long, 0],
  ] as const) {
    const model = await scripted(t, (stream) => {
      let read = 0;
      if (reads === 0) return refuse(stream);
      stream.on("data", (chunk: Buffer) => {
        read += chunk.length;
        if (read >= reads) stream.close(REFUSED_STREAM);
      });
      return "turn away";
    });
    const { sidecar, calls } = await before(t, model.port);
    const told = await calls({ atOnce: 1, calls: 5, padding });
    assert.deepEqual(new Set(told.failed.map(({ code }) => code)), new Set(["UNAVAILABLE"]));
    assert.deepEqual([told.calls, told.failed.length, model.processed], [5, 5, []]);
    await sidecar.metricIs(RESENDS, model.turnedAway() / (unprocessed + 1), { outcome: "given_up" });
    const again = (unprocessed * model.turnedAway()) / (unprocessed + 1);
    await sidecar.metricIs(RESENDS, again, { reason: "refused_stream", outcome: "unprocessed" });
  }
});
