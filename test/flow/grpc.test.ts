// A gRPC call through the whole program: relayed, read, counted by its status, and joined by a label.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ask, connectStreams, streamOrigin } from "../proxy/http2-support.ts";
import { encoded, framed } from "../support/grpc-messages.ts";
import { postJson, startSidecar, until } from "../support/sidecar.ts";

const INFER = "/inference.GRPCInferenceService/ModelInfer";
const CALL = { "content-type": "application/grpc", te: "trailers" };

test("a gRPC prediction is counted under its model, and a label joins it by the id of its metadata", async (t) => {
  const answer = encoded("ModelInferResponse", {
    model_name: "churn",
    model_version: "3",
    id: "own",
    outputs: [{ name: "predict", datatype: "INT64", shape: [1], contents: { int64_contents: [1] } }],
  });
  let served = 0;
  const model = await streamOrigin(t, (stream) => {
    stream.resume().on("end", () => {
      const status = ++served === 3 ? "5" : "0";
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
      if (status === "0") stream.write(framed(answer));
      stream.end();
    });
  });
  const folder = mkdtempSync(join(tmpdir(), "outrider-grpc-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "outrider.yaml");
  writeFileSync(
    file,
    `upstream: { http: http://127.0.0.1:1, grpc: ${model.url} }\nmodels: [{ name: churn, task: binary, classes: ["0", "1"], match: { path: /v2/models/churn/** } }]\n`,
  );
  const sidecar = await startSidecar({ upstream: null, args: ["--config", file] });
  t.after(() => sidecar.stop());
  const session = await connectStreams(t, Number(new URL(sidecar.traffic).port));
  const body = framed(encoded("ModelInferRequest", { model_name: "churn" }));
  const first = await ask(session, { path: INFER, headers: { ...CALL, "x-prediction-id": "p-1" }, body });
  assert.equal(first.headers["x-prediction-id"], "p-1");
  for (let i = 0; i < 2; i++) await ask(session, { path: INFER, headers: CALL, body });
  const where = { model: "churn", version: "3" };
  await sidecar.metricIs("outrider_predictions_total", 2, where);
  const label = await postJson(`${sidecar.api}/v1/labels`, [{ id: "p-1", label: 1 }]);
  assert.equal(label.body["joined"], 1, JSON.stringify(label.body));
  const calls = async (status: string): Promise<number> =>
    await sidecar.metric("http_server_request_duration_seconds_count", {
      http_route: INFER,
      rpc_grpc_status_code: status,
    });
  await until(async () => (await calls("0")) === 2 && (await calls("5")) === 1);
  await sidecar.metricIs("outrider_requests_total", 1, { outcome: "client_error" });
});
