// A sidecar that clients reach over TLS: what is under way and what took how long is told under `https`.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectStreams } from "node:http2";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { httpOrigin } from "../proxy/support.ts";
import { certificate, type Pair } from "../support/certificates.ts";
import { sampleSum, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

const HTTPS = { url_scheme: "https" };

async function secureSidecar(t: TestContext, upstream: string): Promise<{ sidecar: Sidecar; shown: Pair }> {
  const shown = await certificate("localhost");
  const folder = mkdtempSync(join(tmpdir(), "outrider-https-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const put = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const tls = `{ certFile: "${put("cert.pem", shown.cert)}", keyFile: "${put("key.pem", shown.key)}" }`;
  const config = put("outrider.yaml", `upstream: ${upstream}\nproxy: { tls: ${tls} }\n`);
  const sidecar = await startSidecar({ upstream: null, args: ["--config", config] });
  t.after(() => sidecar.stop());
  return { sidecar, shown };
}

test("requests under way over TLS count as active in https, in both versions, and as none when they are over", async (t) => {
  const release: (() => void)[] = [];
  const model = await httpOrigin(t, ({ method }, response) => {
    // The sidecar's own probe is not held up.
    if (method === "POST") release.push(() => response.end('{"predictions":[1.5]}'));
    else response.end();
  });
  const { sidecar, shown } = await secureSidecar(t, model.url);
  const port = Number(new URL(sidecar.traffic).port);
  const active = (): Promise<number> => sidecar.metric("http_server_active_requests", HTTPS);

  const plain = httpsRequest({ port, host: "localhost", ca: shown.cert, method: "POST", agent: false });
  plain.end('{"x":1}');
  const session = connectStreams(`https://localhost:${port}`, { ca: shown.cert });
  t.after(() => session.destroy());
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.end('{"x":1}');
  await until(() => release.length === 2);
  await until(async () => (await active()) === 2);

  const answers = Promise.all([once(plain, "response"), once(stream, "response")]);
  for (const answer of release) answer();
  const [[response]] = await answers;
  response.resume();
  stream.resume();
  await until(async () => (await active()) === 0);
  await until(
    async () => sampleSum(await sidecar.scrape(), "http_server_request_duration_seconds_count", HTTPS) === 2,
  );
  const text = await sidecar.scrape();
  assert.doesNotMatch(text, /http_server_active_requests\{[^}]*url_scheme="http"/);
});

test("SIGTERM with HTTP/2 over TLS: the stream under way is answered, a new connection is refused, and the process ends with 0", async (t) => {
  const held: ServerResponse[] = [];
  const model = await httpOrigin(t, ({ method }, response) => {
    if (method === "POST") held.push(response);
    else response.end();
  });
  const { sidecar, shown } = await secureSidecar(t, model.url);
  const session = connectStreams(
    sidecar.traffic.replace("http:", "https:").replace("127.0.0.1", "localhost"),
    {
      ca: shown.cert,
    },
  );
  t.after(() => session.destroy());
  let told = false;
  session.on("goaway", () => (told = true));
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.end('{"x":1}');
  const answering = once(stream, "response");
  await until(() => held.length === 1);
  const ending = sidecar.stop("SIGTERM");
  await until(() => told);
  const late = httpsRequest({
    port: Number(new URL(sidecar.traffic).port),
    host: "localhost",
    ca: shown.cert,
  });
  const [refused] = await once(late, "error");
  assert.equal(refused.code, "ECONNREFUSED");
  held[0]?.end('{"predictions":[1.5]}');
  const [headers] = await answering;
  assert.equal(headers[":status"], 200);
  stream.resume();
  assert.equal(await ending, 0, sidecar.log().slice(-1000));
});
