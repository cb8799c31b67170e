import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { type ApiToken, DEFAULT_LIMITS, type Scope, createApi } from "../../src/api/api.ts";
import { isLoopbackHost } from "../../src/api/guard.ts";
import { Problem } from "../../src/kernel/problem.ts";
import { JSON_TYPE, call, createStore, labelsInto, running, noStatus, noVersions } from "./harness.ts";

const token = (name: string, ...scopes: Scope[]): ApiToken => ({
  name,
  sha256: createHash("sha256").update(`${name}-secret`).digest("hex"),
  scopes,
});
const bearer = (name: string): Record<string, string> => ({ authorization: `Bearer ${name}-secret` });
const label = '{"id":"a","label":1}';

suite("who may use the API", () => {
  test("tokens open what their scopes name, and nothing else", async (t) => {
    const tokens = [
      token("writer", "labels:write"),
      token("reader", "read"),
      token("both", "read", "labels:write"),
      token("none"),
    ];
    const { port } = await running(t, { options: { tokens } });
    const matrix = [
      ["writer", 200, 403],
      ["reader", 403, 200],
      ["both", 200, 200],
      ["none", 403, 403],
      ["wrong", 401, 401],
    ] as const;
    for (const [name, write, read] of matrix) {
      const wrote = await call(port, { headers: { ...JSON_TYPE, ...bearer(name) }, body: label });
      assert.equal(wrote.status, write, name);
      const got = await call(port, { path: "/v1/models", headers: bearer(name) });
      assert.equal(got.status, read, name);
    }
    for (const headers of [
      {},
      { authorization: "Basic eDp5" },
      { authorization: "Bearer" },
      { authorization: "Bearer " },
    ]) {
      const reply = await call(port, { path: "/version", headers });
      assert.equal(reply.status, 401);
      assert.equal(reply.json.code, "unauthorized");
      assert.equal(reply.headers["www-authenticate"], 'Bearer realm="outrider"');
    }
    const lacking = await call(port, { path: "/v1/quality", headers: bearer("writer") });
    assert.match(String(lacking.headers["www-authenticate"]), /insufficient_scope.*scope="read"/);
    for (const path of ["/livez", "/readyz", "/openapi.json", "/"]) {
      assert.equal((await call(port, { path })).status, 200, path);
    }
    // With tokens any Host may be used: the token is the proof.
    const named = await call(port, {
      path: "/v1/models",
      headers: { ...bearer("reader"), host: "labels.example" },
    });
    assert.equal(named.status, 200);
  });

  test("a token in the query, and a name that is __proto__, open nothing", async (t) => {
    const { port } = await running(t, { options: { tokens: [token("reader", "read")] } });
    const paths = [
      "/v1/models?token=reader-secret",
      "/v1/models?access_token=reader-secret",
      "/v1/models?__proto__=x",
    ];
    for (const path of paths) assert.equal((await call(port, { path })).status, 401);
  });

  test("without tokens only the machine's own names are answered (DNS rebinding)", async (t) => {
    const { port } = await running(t);
    const fine = [
      "localhost",
      `localhost:${port}`,
      `127.0.0.1:${port}`,
      "127.9.9.9",
      "[::1]",
      `[::1]:${port}`,
      "LOCALHOST",
    ];
    for (const host of fine)
      assert.equal((await call(port, { path: "/v1/models", headers: { host } })).status, 200, host);
    const foreign = [
      "evil.example",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "10.0.0.5:7072",
      "2130706433",
      "x:1:2",
      "a@localhost",
    ];
    for (const host of foreign) {
      const reply = await call(port, { path: "/v1/models", headers: { host } });
      assert.equal(reply.status, 403, host);
      assert.equal(reply.json.code, "host_not_allowed");
    }
  });

  test("pages of other sites may not write (CSRF), programs and our own pages may", async (t) => {
    const { port, store } = await running(t);
    const host = `localhost:${port}`;
    const refused = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: `http://localhost:${port + 1}` },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "cross-site", origin: `http://${host}` },
    ];
    for (const extra of refused) {
      const reply = await call(port, { headers: { ...JSON_TYPE, host, ...extra }, body: label });
      assert.equal(reply.status, 403, JSON.stringify(extra));
      assert.equal(reply.json.code, "cross_site");
    }
    assert.equal(store.events.length, 0);
    for (const extra of [
      {},
      { origin: `http://${host}`, "sec-fetch-site": "same-origin" },
      { "sec-fetch-site": "none" },
    ]) {
      assert.equal(
        (await call(port, { headers: { ...JSON_TYPE, host, ...extra }, body: label })).status,
        200,
      );
    }
    const preflight = await call(port, {
      method: "OPTIONS",
      headers: { host, "access-control-request-method": "POST" },
    });
    assert.equal(preflight.status, 405);
    assert.equal(preflight.headers["access-control-allow-origin"], undefined);
  });

  test("an address others can reach needs tokens, and tokens need a digest", async () => {
    const build = (host: string, tokens: readonly ApiToken[]): ReturnType<typeof createApi> =>
      createApi(
        { listen: { host, port: 0 }, tokens, limits: DEFAULT_LIMITS, softwareVersion: "0" },
        { ...unused, labels: labelsInto(createStore()) },
      );
    for (const host of ["0.0.0.0", "::", "", "10.1.2.3", "example.org"]) {
      await assert.rejects(build(host, []).start(), (thrown: unknown) => {
        assert.ok(thrown instanceof Problem);
        assert.equal(thrown.code, "api_tokens_required");
        assert.equal(thrown.path, "api.tokens");
        return true;
      });
    }
    const plain = [{ name: "x", sha256: "my-password", scopes: ["read" as const] }];
    await assert.rejects(build("127.0.0.1", plain).start(), (thrown: unknown) => {
      assert.ok(thrown instanceof Problem && thrown.code === "invalid_token_digest");
      assert.doesNotMatch(thrown.message, /my-password/);
      return true;
    });
    const open = build("0.0.0.0", [token("a", "read")]);
    await open.start();
    await open.stop(100);
    await open.stop(100);
  });

  test("a port in use is told with the key's name", async (t) => {
    const { port } = await running(t);
    const listen = { host: "127.0.0.1", port };
    await assert.rejects(running(t, { options: { listen } }), (thrown: unknown) => {
      assert.ok(thrown instanceof Problem && thrown.code === "listen_failed" && thrown.path === "api.listen");
      return true;
    });
  });

  test("knows this machine's names", () => {
    for (const host of ["127.0.0.1", "127.255.0.1", "::1", "[::1]", "localhost", "::ffff:127.0.0.1"]) {
      assert.ok(isLoopbackHost(host), host);
    }
    for (const host of ["", "0.0.0.0", "::", "128.0.0.1", "127.1", "localhost."])
      assert.ok(!isLoopbackHost(host), host);
  });
});

const unused = {
  versions: noVersions,
  status: noStatus,
  clock: {
    wallMs: () => 0,
    monotonicMs: () => 0,
    after: () => ({ cancel() {} }),
    every: () => ({ cancel() {} }),
  },
  log: { debug() {}, info() {}, warn() {}, error() {} },
  countLabel() {},
  prediction: () => [],
  labelsOf: () => [],
  quality: () => ({ at: 0, groups: [] }),
  estimates: () => ({ at: "", estimates: [] }),
  drift: () => ({ at: "", versions: [] }),
  compare: () => {
    throw new Problem("unknown_model", "unused");
  },
  models: () => [],
  version: () => null,
  health: () => ({ live: true, ready: true, body: null }),
};
