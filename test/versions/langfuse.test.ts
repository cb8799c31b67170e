// The Langfuse adapter: every request and every answer fits the published description.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Langfuse } from "../../src/versions/registries/langfuse.ts";
import { http, LABEL, NOTE, recorded } from "./adapter-support.ts";
import { contract } from "./contract.ts";
import { registryServer, type Asked, type Said } from "./registry-server.ts";

const check = contract("langfuse.json", "");

function checked(answer: (asked: Asked) => Said): (asked: Asked) => Said {
  return (asked) => {
    const said = answer(asked);
    check(asked, said);
    return said;
  };
}

/** As the real server answered. */
function real({ method, path }: Asked): Said {
  if (path.endsWith("/otel/v1/traces"))
    return recorded("langfuse", "otel traces JSON (body: langfuse/otel.json)");
  return method === "DELETE" ? { status: 204 } : recorded("langfuse", "score on that trace");
}

interface Score {
  readonly id: string;
  readonly value: unknown;
  readonly dataType: string;
}

function scoresOf(asked: readonly Asked[]): Score[] {
  return asked.filter(({ path }) => path === "/api/public/scores").map(({ body }) => body as Score);
}

test("quality becomes scores on one evaluation trace per version, window and day, each sent once", async (t) => {
  const server = await registryServer(t, checked(real));
  const registry = new Langfuse(http(server.url));
  assert.equal((await registry.writeQuality("m", NOTE)).kind, "ok");
  const traces = server.asked.filter(({ path }) => path.endsWith("/otel/v1/traces"));
  assert.equal(traces.length, 2);
  assert.equal(traces[0]?.headers["x-langfuse-ingestion-version"], "4");
  assert.match(traces[0]?.text ?? "", /"langfuse.version","value":\{"stringValue":"1"\}/);
  assert.equal(scoresOf(server.asked).length, 2);
  const before = server.asked.length;
  await registry.writeQuality("m", { ...NOTE, at: NOTE.at + 1000 });
  assert.equal(server.asked.length, before, "nothing has changed");
  const [first] = NOTE.figures;
  assert.ok(first);
  await registry.writeQuality("m", { ...NOTE, figures: [{ ...first, value: 60 }] });
  const again = scoresOf(server.asked).at(-1);
  assert.deepEqual([again?.id, again?.value], [scoresOf(server.asked)[0]?.id, 60]);
  // After a start nothing is remembered: the same ids and the same start make it a replacement.
  await new Langfuse(http(server.url)).writeQuality("m", { ...NOTE, at: NOTE.at + 5000 });
  const spans = server.asked.filter(({ path }) => path.endsWith("/otel/v1/traces")).map(({ text }) => text);
  assert.equal(spans[2], spans[0]);
});

test("a note cut short by a rate limit goes on where it stopped", async (t) => {
  let allowed = 3;
  const server = await registryServer(t, (asked) =>
    allowed-- > 0
      ? real(asked)
      : { status: 429, headers: { "retry-after": "5" }, json: { message: "limit" } },
  );
  const registry = new Langfuse(http(server.url));
  const limited = await registry.writeQuality("m", NOTE);
  assert.deepEqual(limited.kind === "failed" && [limited.retry, limited.retryAfterMs], [true, 5000]);
  allowed = 100;
  assert.equal((await registry.writeQuality("m", NOTE)).kind, "ok");
  assert.equal(server.asked.length, 3 + 1 + 1, "two traces and two scores, one of them refused once");
});

test("ground truth is a score on the prediction's trace: corrected under its id, deleted when taken back", async (t) => {
  const server = await registryServer(t, checked(real));
  const registry = new Langfuse(http(server.url));
  for (const value of [1, "churned", null]) await registry.writeLabel("m", { ...LABEL, value });
  const scores = scoresOf(server.asked);
  assert.deepEqual(
    scores.map(({ value, dataType }) => [value, dataType]),
    [
      [1, "NUMERIC"],
      ["churned", "CATEGORICAL"],
    ],
  );
  assert.equal(new Set(scores.map(({ id }) => id)).size, 1);
  assert.equal(server.asked[2]?.path, `/api/public/scores/${scores[0]?.id}`);
  server.answer = () => ({
    status: 404,
    json: { message: "Score not found", error: "LangfuseNotFoundError" },
  });
  assert.equal((await registry.writeLabel("m", { ...LABEL, value: null })).kind, "ok");
});

test("what it holds is read back by version", async (t) => {
  const server = await registryServer(
    t,
    checked(() => ({
      json: {
        data: [
          { name: "rmse 24h", traceVersion: "1", avg_value: 51.5, count_count: "3" },
          { name: "rmse 24h", traceVersion: "2", avg_value: "48.25", count_count: 2 },
          { name: "rmse 24h", traceVersion: null, avg_value: 1, count_count: 1 },
        ],
      },
    })),
  );
  const reply = await new Langfuse(http(server.url)).readBack("m", NOTE.at);
  assert.deepEqual(reply.kind === "ok" && reply.value, [
    { version: "1", name: "rmse 24h", value: 51.5, count: 3 },
    { version: "2", name: "rmse 24h", value: 48.25, count: 2 },
  ]);
  const query = JSON.parse(server.asked[0]?.query["query"] ?? "") as Record<string, unknown>;
  assert.deepEqual(query["dimensions"], [{ field: "name" }, { field: "traceVersion" }]);
  assert.equal(query["toTimestamp"], "2026-01-15T12:00:00.000Z");
  server.answer = () => ({ json: { data: "rubbish" } });
  assert.equal((await new Langfuse(http(server.url)).readBack("m", NOTE.at)).kind, "failed");
});

test("a wrong key and a bad score are refusals that are not tried again", async (t) => {
  const server = await registryServer(t, () => recorded("langfuse", "wrong key"));
  const registry = new Langfuse(http(server.url));
  const wrong = await registry.writeLabel("m", LABEL);
  assert.deepEqual(wrong.kind === "failed" && [wrong.retry, /401.*Invalid credentials/.test(wrong.message)], [
    false,
    true,
  ]);
  server.answer = () => recorded("langfuse", "bad score");
  const bad = await registry.writeLabel("m", LABEL);
  assert.match(bad.kind === "failed" ? bad.message : "", /400 Invalid request data.*"path":\["name"\]/);
  assert.equal((await registry.promote("m", "1")).kind, "unsupported");
  assert.equal((await registry.versions("m")).kind, "unsupported");
});
