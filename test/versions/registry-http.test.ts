// Answers of a registry, good, bad and hostile, become what they are; nothing that we sent is told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistryHttp } from "../../src/versions/registry-http.ts";
import { bounded, type RegistryVersion } from "../../src/versions/registry.ts";
import { verifyWebhook } from "../../src/versions/mlflow-webhook.ts";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/kernel/clock.ts";
import { authoriseOf } from "../../src/versions/registry-auth.ts";
import { registryServer } from "./registry-server.ts";

const SECRET = "dapi-4711-secret";

function caller(url: string): ReturnType<typeof createRegistryHttp> {
  const lines = { authorization: `Bearer ${SECRET}` };
  return createRegistryHttp(url, () => Promise.resolve({ kind: "ok", value: lines }));
}

test("401, 404, 429, 500, redirects, rubbish and silence become what they are", async (t) => {
  const server = await registryServer(t, () => ({ status: 401, json: { message: "no" } }));
  const look = async (): Promise<unknown> => {
    const reply = await caller(server.url).call({ method: "GET", path: "/x" });
    return reply.kind === "failed" ? [reply.retry, reply.retryAfterMs] : reply.kind;
  };
  assert.deepEqual(await look(), [false, null]);
  server.answer = () => ({ status: 404, json: { error_code: "NOT_FOUND" } });
  assert.equal(await look(), "none");
  server.answer = () => ({ status: 404, text: "<html>" });
  assert.deepEqual(await look(), [true, null]);
  server.answer = () => ({ status: 429, headers: { "retry-after": "7" } });
  assert.deepEqual(await look(), [true, 7000]);
  server.answer = () => ({
    status: 503,
    headers: { date: "Wed, 21 Oct 2026 07:28:00 GMT", "retry-after": "Wed, 21 Oct 2026 07:29:00 GMT" },
  });
  assert.deepEqual(await look(), [true, 60_000]);
  server.answer = () => ({ status: 500, text: "<html>" });
  assert.deepEqual(await look(), [true, null]);
  server.answer = () => ({ status: 302, headers: { location: "http://169.254.169.254/" } });
  assert.deepEqual(await look(), [false, null]);
  assert.equal(server.asked.length, 7, "no redirect was followed");
  const dead = await caller("http://127.0.0.1:1").call({ method: "GET", path: "/x" });
  assert.equal(dead.kind, "failed");
});

test("an answer that is too long, or nested without end, is trouble and no more", async (t) => {
  const server = await registryServer(t, () => ({ text: `"${"x".repeat(5e6)}"` }));
  const long = await caller(server.url).call({ method: "GET", path: "/x" });
  assert.match(long.kind === "failed" ? long.message : "", /longer than/);
  server.answer = () => ({ text: "[".repeat(2e6) });
  const deep = await caller(server.url).call({ method: "GET", path: "/x" });
  assert.equal(deep.kind, "ok");
  assert.equal(deep.kind === "ok" && deep.value.json, null);
});

test("a server that echoes our token does not bring it into the log", async (t) => {
  const server = await registryServer(t, ({ headers }) => ({
    status: 400,
    json: { message: `bad header: ${String(headers["authorization"])}` },
  }));
  const reply = await caller(server.url).call({ method: "GET", path: "/x" });
  assert.ok(reply.kind === "failed");
  assert.ok(!reply.message.includes(SECRET), reply.message);
  assert.match(reply.message, /bad header: \*\*\*/);
});

test("what a registry says of a version is kept in bounds, and an impossible name is refused", () => {
  const found = (parts: Partial<RegistryVersion>): RegistryVersion => ({
    version: "1",
    status: null,
    artifactUri: null,
    description: null,
    tags: {},
    parameters: {},
    evaluation: {},
    ...parts,
  });
  for (const version of ["", "x".repeat(129), "1\r\nx-evil: 1", "\u0000", "\ud800"])
    assert.equal(bounded(found({ version })), null);
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`k${i}`, "v".repeat(10_000)]));
  const cut = bounded(found({ description: "d".repeat(1e6), tags: many }));
  assert.equal(cut?.description?.length, 4096);
  assert.equal(Object.keys(cut?.tags ?? {}).length, 200);
  assert.equal(cut?.tags["k0"]?.length, 4096);
  assert.deepEqual(
    Object.keys(
      bounded(found({ tags: JSON.parse('{"__proto__":"x"}') as Record<string, string> }))?.tags ?? {},
    ),
    ["__proto__"],
  );
});

test("a webhook is genuine when its signature fits and it is recent", () => {
  const body = Buffer.from('{"entity":"model_version_alias"}');
  const [id, timestamp] = ["e218d711", "1795458021"];
  const sign = (secret: string): string =>
    `v1,${createHmac("sha256", secret).update(`${id}.${timestamp}.${body.toString()}`).digest("base64")}`;
  const now = 1795458021_000;
  const delivery = { id, timestamp, signature: sign("s"), body };
  assert.deepEqual(verifyWebhook("s", delivery, now), { kind: "genuine", id });
  assert.equal(verifyWebhook("s", delivery, now + 299_000).kind, "genuine");
  assert.equal(verifyWebhook("s", delivery, now + 301_000).kind, "refused");
  assert.equal(verifyWebhook("s", delivery, now - 301_000).kind, "refused");
  assert.equal(verifyWebhook("other", delivery, now).kind, "refused");
  assert.equal(verifyWebhook("s", { ...delivery, body: Buffer.from("{}") }, now).kind, "refused");
  for (const signature of ["", "v1,", "v1,AAAA", sign("s").replace("v1", "v2"), `${sign("s")}x`])
    assert.equal(verifyWebhook("s", { ...delivery, signature }, now).kind, "refused");
  assert.equal(verifyWebhook("s", { ...delivery, timestamp: "NaN" }, now).kind, "refused");
});

test("a token that was renewed in its file is used without a start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-token-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, "old\n");
  const valid = { is: "old" };
  const server = await registryServer(t, ({ headers }) =>
    headers["authorization"] === `Bearer ${valid.is}` ? {} : { status: 401 },
  );
  const credentials = { type: "mlflow", url: server.url, clientId: null, headers: {} } as const;
  const authorise = authoriseOf({ ...credentials, token: "old", tokenFile }, systemClock);
  const http = createRegistryHttp(server.url, authorise);
  const look = async (): Promise<string> => (await http.call({ method: "GET", path: "/x" })).kind;
  assert.equal(await look(), "ok");
  valid.is = "new";
  assert.equal(await look(), "failed");
  assert.equal(server.asked.length, 2, "the same token is not tried twice");
  writeFileSync(tokenFile, "new\n");
  assert.equal(await look(), "ok");
  rmSync(tokenFile);
  assert.equal(await look(), "ok", "while the file is replaced the last token holds");
});
