// Spans from the whole program: ids as the model server saw them, the caller's trace continued, nothing for what is not sampled.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { postJson, startSidecar, until } from "../support/sidecar.ts";

interface Attribute {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: number;
    readonly doubleValue?: number;
  };
}
interface Span {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly Attribute[];
}
interface TraceRequest {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly Span[] }[] }[];
}

async function listen(handle: (path: string, body: string, traceparent: string) => string) {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(handle(request.url ?? "", body, String(request.headers["traceparent"] ?? "")));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

test("one span per sampled exchange, with the ids that went upstream and what was predicted", async () => {
  const upstreamSaw: string[] = [];
  const model = await listen((_path, _body, traceparent) => {
    // What the sidecar asks on its own account (its metrics page, for one) belongs to no trace.
    if (traceparent !== "") upstreamSaw.push(traceparent);
    return JSON.stringify({ predictions: [1.5], model_version: "7" });
  });
  const spans: Span[] = [];
  const collector = await listen((path, body) => {
    if (path === "/v1/traces") {
      for (const { scopeSpans } of (JSON.parse(body) as TraceRequest).resourceSpans)
        spans.push(...scopeSpans.flatMap((scope) => scope.spans));
    }
    return "{}";
  });
  const sidecar = await startSidecar({
    upstream: model.url,
    args: ["--otlp-endpoint", collector.url, "--set", "otlp.protocol=http/json", "otlp.traces.sampleRatio=0"],
  });
  const parent = { trace: "4bf92f3577b34da6a3ce929d0e0e4736", span: "00f067aa0ba902b7" };
  const headers = { traceparent: `00-${parent.trace}-${parent.span}-01`, "x-prediction-id": "p-1" };
  await postJson(`${sidecar.traffic}/v2/models/credit/infer`, { x: 1 }, headers);
  // Begun here, and the ratio is 0: not sampled.
  await postJson(`${sidecar.traffic}/v2/models/credit/infer`, { x: 2 });
  // How long the last push may take at a stop is another test's matter.
  await until(() => spans.length === 1);
  assert.equal(await sidecar.stop(), 0);
  model.close();
  collector.close();
  assert.equal(spans.length, 1);
  const [span] = spans;
  const [, trace, sent] = upstreamSaw[0]?.split("-") ?? [];
  assert.deepEqual([span?.traceId, span?.spanId, span?.parentSpanId], [trace, sent, parent.span]);
  assert.equal(trace, parent.trace);
  assert.match(upstreamSaw[1] ?? "", /-00$/);
  const attributes = new Map(span?.attributes.map(({ key, value }) => [key, value]));
  assert.equal(attributes.get("outrider.prediction.id")?.stringValue, "p-1");
  assert.equal(attributes.get("version")?.stringValue, "7");
  assert.equal(attributes.get("http.response.status_code")?.intValue, 200);
  assert.equal((attributes.get("outrider.time_to_first_byte")?.doubleValue ?? 0) > 0, true);
  assert.equal(span?.kind, 2);
});
