// SIGHUP: certificates are read again, those shown to clients and those of the way to the model server, by every process that uses them.

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { certificate, type Pair } from "../support/certificates.ts";
import { startSidecar, until } from "../support/sidecar.ts";

/** A model server over TLS whose certificate can be changed. */
async function secureModel(t: TestContext, pair: Pair): Promise<{ port: number; renew(pair: Pair): void }> {
  const server = createServer(pair, (request, response) => {
    request.resume().on("end", () => response.setHeader("connection", "close").end("ok"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { port, renew: (renewed) => server.setSecureContext(renewed) };
}

async function statusOf(port: number): Promise<number> {
  const request = httpsRequest({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    rejectUnauthorized: false,
    agent: false,
  });
  request.end();
  const [response] = await once(request, "response");
  response.resume();
  return Number(response.statusCode);
}

async function shownAt(port: number): Promise<string> {
  const socket = connectTls({ port, host: "127.0.0.1", servername: "localhost", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

for (const threads of [1, 2]) {
  test(`with proxy.threads ${threads}, SIGHUP takes renewed certificates and the process goes on`, async (t) => {
    const [shown, model] = await Promise.all([certificate("localhost"), certificate("localhost")]);
    const folder = mkdtempSync(join(tmpdir(), "outrider-hangup-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const put = (name: string, text: string): void =>
      writeFileSync(join(folder, name), text, { mode: 0o600 });
    put("cert.pem", shown.cert);
    put("key.pem", shown.key);
    put("ca.pem", model.cert);
    const server = await secureModel(t, model);
    put(
      "outrider.yaml",
      `upstream: { http: "https://127.0.0.1:${server.port}", tls: { caFile: "${join(folder, "ca.pem")}", serverName: localhost } }
proxy: { threads: ${threads}, tls: { certFile: "${join(folder, "cert.pem")}", keyFile: "${join(folder, "key.pem")}" } }
`,
    );
    const sidecar = await startSidecar({ upstream: null, args: ["--config", join(folder, "outrider.yaml")] });
    t.after(() => sidecar.stop());
    const port = Number(new URL(sidecar.traffic).port);
    assert.equal(await statusOf(port), 200);
    const before = await shownAt(port);

    const [renewed, renewedModel] = await Promise.all([certificate("localhost"), certificate("localhost")]);
    server.renew(renewedModel);
    put("cert.pem", renewed.cert);
    put("key.pem", renewed.key);
    put("ca.pem", renewedModel.cert);
    sidecar.child.kill("SIGHUP");
    await until(() => (sidecar.log().match(/certificates were read again/g) ?? []).length >= 2);
    // Each worker has its own: asked often enough that both answer.
    await until(async () => {
      const seen = await Promise.all(Array.from({ length: 8 }, () => shownAt(port)));
      return seen.every((one) => one !== before);
    });
    await until(async () => {
      const statuses = await Promise.all(Array.from({ length: 8 }, () => statusOf(port)));
      return statuses.every((status) => status === 200);
    });
    assert.equal(sidecar.child.exitCode, null);
  });
}
