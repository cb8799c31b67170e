// The status page: one document that fetches nothing from elsewhere, and the figures behind it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { Problem } from "../../src/kernel/problem.ts";
import { readPage } from "../../src/api/page/page.ts";
import { statusAnswer } from "../../src/api/schemas.ts";
import { call, noStatus, running } from "./harness.ts";

const HTML = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

test("a browser gets the page at the root, a terminal the list of calls", async (t) => {
  const { port } = await running(t);
  const page = await call(port, { method: "GET", path: "/", headers: HTML });
  assert.match(String(page.headers["content-type"]), /^text\/html/);
  assert.equal(page.headers["vary"], "accept");
  const list = await call(port, { method: "GET", path: "/", headers: {} });
  assert.match(String(list.headers["content-type"]), /^text\/plain/);
  assert.match(list.text, /\/v1\/status/);
  const named = await call(port, { method: "GET", path: "/status", headers: {} });
  assert.equal(named.text, page.text);
});

test("the page carries everything, and its policy allows that and nothing else", () => {
  const { html, policy } = readPage();
  assert.doesNotMatch(
    html.replaceAll(/https?:\/\/(www\.w3\.org|github\.com)\S*/g, ""),
    /(src|href)="(https?:)?\/\//,
  );
  assert.doesNotMatch(html, /@import|url\(/);
  const hashes = [
    ...html.matchAll(/<script[^>]*>([\s\S]*?)<\/script>/g),
    ...html.matchAll(/<style>([\s\S]*?)<\/style>/g),
  ].map(([, text = ""]) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`);
  assert.equal(hashes.length, 3);
  for (const hash of hashes) assert.ok(policy.includes(hash), hash);
  assert.doesNotMatch(policy, /unsafe/);
  assert.match(policy, /default-src 'none'/);
  // The parts put together are one module: no name twice, nothing left of the seams.
  assert.doesNotMatch(html, /^\s*(import|export) /m);
});

test("the figures are asked for by window, and an unknown one is refused by name", async (t) => {
  const { port } = await running(t, {
    needs: {
      status: (window = "24h") => {
        if (window !== "1h" && window !== "24h")
          throw new Problem("unknown_window", "window is not measured", "window");
        return { ...noStatus(), window };
      },
    },
  });
  const day = await call(port, { method: "GET", path: "/v1/status", headers: {} });
  assert.equal(statusAnswer.parse(JSON.parse(day.text)).window, "24h");
  const hour = await call(port, { method: "GET", path: "/v1/status?window=1h", headers: {} });
  assert.equal(statusAnswer.parse(JSON.parse(hour.text)).window, "1h");
  const year = await call(port, { method: "GET", path: "/v1/status?window=1y", headers: {} });
  assert.equal(year.status, 404);
  assert.match(year.text, /unknown_window/);
});

test("with tokens the page is open and its figures are not", async (t) => {
  const sha256 = createHash("sha256").update("secret").digest("hex");
  const tokens = [{ name: "reader", sha256, scopes: ["read"] as const }];
  const { port } = await running(t, { options: { tokens } });
  assert.equal((await call(port, { method: "GET", path: "/status", headers: {} })).status, 200);
  assert.equal((await call(port, { method: "GET", path: "/v1/status", headers: {} })).status, 401);
  const headers = { authorization: "Bearer secret" };
  assert.equal((await call(port, { method: "GET", path: "/v1/status", headers })).status, 200);
});
