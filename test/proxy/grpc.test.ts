import assert from "node:assert/strict";
import test from "node:test";
import { ask, connectStreams, streamOrigin, wholeAnswer } from "./http2-support.ts";
import { httpOrigin, startProxy } from "./support.ts";

const CALL = { "content-type": "application/grpc", te: "trailers" };
const message = (text: string): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(text.length, 1);
  return Buffer.concat([head, Buffer.from(text)]);
};

test("gRPC goes to its own upstream, everything else to the other; the status comes in trailers", async (t) => {
  const http = await httpOrigin(t, (_request, response) => response.end("http"));
  let seen: readonly string[] = [];
  const grpc = await streamOrigin(t, (stream, raw) => {
    seen = raw;
    stream.resume().on("end", () => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "ce-id": "m-1" }));
      stream.end(message("answer"));
    });
  });
  const { port, delivered } = await startProxy(t, http.url, { grpcUrl: grpc.url });
  const session = await connectStreams(t, port);
  const path = "/inference.GRPCInferenceService/ModelInfer";
  const headers = { ...CALL, "grpc-timeout": "5S", "x-prediction-id": "p-1" };
  const answer = await ask(session, { path, headers, body: message("ask") });
  assert.deepEqual(answer.trailers.slice(), ["grpc-status", "0", "ce-id", "m-1"]);
  assert.equal(answer.headers["x-prediction-id"], "p-1");
  assert.deepEqual(answer.body, message("answer"));
  for (const [name, value] of [
    ["te", "trailers"],
    ["grpc-timeout", "5S"],
    ["content-type", "application/grpc"],
  ]) {
    assert.equal(seen[seen.indexOf(name ?? "") + 1], value);
  }
  assert.equal((await ask(session)).body.toString(), "http");
  const web = await ask(session, { headers: { "content-type": "application/grpc-web+proto" }, body: "" });
  assert.equal(web.body.toString(), "http");
  const [exchange] = await delivered(3);
  assert.deepEqual([exchange?.id, exchange?.outcome], ["p-1", "ok"]);
  assert.equal(exchange?.request.total, 8);
  assert.deepEqual(exchange?.responseTrailers, ["grpc-status", "0", "ce-id", "m-1"]);
});

test("an answer of trailers alone stays one frame, and its status decides the outcome", async (t) => {
  const grpc = await streamOrigin(t, (stream, raw) => {
    const status = raw[raw.indexOf(":path") + 1]?.slice(1) ?? "0";
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": status, "grpc-message": "why" },
      { endStream: true },
    );
  });
  const { port, delivered } = await startProxy(t, "http://127.0.0.1:1", { grpcUrl: grpc.url });
  const session = await connectStreams(t, port);
  for (const status of ["14", "5"]) {
    const stream = session.request({ ":path": `/${status}`, ":method": "POST", ...CALL });
    let flagsSeen = 0;
    stream.on("response", (_headers, flags) => (flagsSeen = flags));
    const answering = wholeAnswer(stream);
    stream.end(message("ask"));
    const answer = await answering;
    assert.deepEqual([answer.headers["grpc-status"], answer.headers["grpc-message"]], [status, "why"]);
    assert.equal(flagsSeen & 1, 1, "END_STREAM on the head");
  }
  const exchanges = await delivered(2);
  assert.deepEqual(
    exchanges.map(({ outcome, status }) => [outcome, status]),
    [
      ["server_error", 200],
      ["client_error", 200],
    ],
  );
});

test("the sidecar's own errors are gRPC statuses", async (t) => {
  const silent = await streamOrigin(t, (stream) => stream.resume());
  const slow = await startProxy(t, silent.url, { responseTimeoutMs: 50 });
  const gone = await startProxy(t, "h2c://127.0.0.1:1");
  const asked = async (port: number): Promise<(string | undefined)[]> => {
    const answer = await ask(await connectStreams(t, port), { headers: CALL, body: message("ask") });
    const { headers } = answer;
    assert.equal(answer.status, 200);
    assert.equal(headers["content-type"], "application/grpc");
    assert.notEqual(headers["x-prediction-id"], undefined);
    assert.match(headers["grpc-message"] ?? "", /^The upstream h2c:\/\/127\.0\.0\.1:\d+ /);
    return [headers["grpc-status"], headers["x-outrider-error"]];
  };
  assert.deepEqual(await asked(gone.port), ["14", "connection_refused"]);
  assert.deepEqual(await asked(slow.port), ["4", "response_timeout"]);
  assert.equal((await slow.delivered(1))[0]?.outcome, "timeout");
});

test("messages of both directions cross while both are open", async (t) => {
  const grpc = await streamOrigin(t, (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.on("data", (chunk: Buffer) => stream.write(chunk));
    stream.on("end", () => stream.end());
  });
  const { port } = await startProxy(t, "http://127.0.0.1:1", { grpcUrl: grpc.url });
  const session = await connectStreams(t, port);
  const stream = session.request({
    ":path": "/inference.GRPCInferenceService/ModelStreamInfer",
    ":method": "POST",
    ...CALL,
  });
  const answering = wholeAnswer(stream);
  for (const word of ["one", "two", "three"]) {
    const echoed = new Promise<string>((resolve) =>
      stream.once("data", (chunk: Buffer) => resolve(chunk.subarray(5).toString())),
    );
    stream.write(message(word));
    assert.equal(await echoed, word);
  }
  stream.end();
  assert.deepEqual((await answering).trailers.slice(), ["grpc-status", "0"]);
});
