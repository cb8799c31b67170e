import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import type { ApiNeeds, ModelView, PredictionView } from "../../src/api/api.ts";
import { PROBLEM_STATUS } from "../../src/api/problems.ts";
import { ROUTES } from "../../src/api/routes.ts";
import * as shapes from "../../src/api/schemas.ts";
import type { Group } from "../../src/facts/group.ts";
import { Problem } from "../../src/kernel/problem.ts";
import { JSON_TYPE, call, running } from "./harness.ts";

const prediction = (over: Partial<PredictionView> = {}): PredictionView => ({
  id: "p1",
  aliases: ["req/1"],
  model: "credit",
  version: "1",
  slice: { region: "north" },
  ts: 1_768_345_800_000,
  prediction: "1",
  score: 0.75,
  scores: null,
  traceId: "0af7651916cd43dd8448eb211c80319c",
  exchange: { method: "POST", route: "/predict", status: 200, durationMs: 12.5, ttfbMs: null },
  labels: [{ label: 1, ts: 1_768_345_900_000, receivedAt: 1_768_345_900_001, state: "current" }],
  registered: false,
  ...over,
});

const group = (over: Partial<Group> = {}): Group => ({
  model: "credit",
  version: "1",
  slice: "",
  window: "1h",
  n_predictions: 3,
  n_labeled: 0,
  coverage: 0,
  metrics: { auc: null },
  undefined: { auc: "no_labels" },
  extra: {},
  ...over,
});

const credit: ModelView = {
  name: "credit",
  task: "binary",
  versions: [
    {
      version: "1",
      firstSeen: 1_768_345_800_000,
      lastSeen: 1_768_345_800_000,
      predictions: 3,
      labels: 0,
      registered: false,
      stage: null,
      metadata: null,
      registries: [],
    },
    {
      version: "2/rc",
      firstSeen: null,
      lastSeen: null,
      predictions: 0,
      labels: 0,
      registered: true,
      stage: "staging",
      metadata: {
        artifact: null,
        trainingData: { a: 1 },
        parameters: {},
        evaluation: {},
        tags: {},
        description: null,
      },
      registries: [],
    },
  ],
};

const knowing = (found: readonly PredictionView[]): Partial<ApiNeeds> => ({
  prediction: (id) => found.filter((view) => view.id === id || view.aliases.includes(id)),
});

suite("what the API tells", () => {
  test("one prediction, by id and by an alias with a slash, in the documented shape", async (t) => {
    const { port } = await running(t, { needs: knowing([prediction()]) });
    const reply = await call(port, { path: "/v1/predictions/p1" });
    assert.equal(reply.status, 200);
    shapes.predictionAnswer.parse(reply.json);
    assert.equal(reply.json.ts, "2026-01-13T23:10:00.000Z");
    assert.equal(reply.json.labels[0]?.receivedAt, "2026-01-13T23:11:40.001Z");
    assert.deepEqual(reply.json.others, []);
    assert.equal((await call(port, { path: "/v1/predictions/req%2F1" })).json.id, "p1");
    const unknown = await call(port, { path: "/v1/predictions/nope" });
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json.code, "unknown_prediction");
  });

  test("of several versions the newest, of several models none, of several ids their names", async (t) => {
    const found = [
      prediction(),
      prediction({ version: "2", ts: 1_768_345_900_000 }),
      prediction({ id: "m", aliases: [] }),
      prediction({ id: "m", aliases: [], model: "churn" }),
      prediction({ id: "x:0", aliases: ["x"] }),
      prediction({ id: "x:1", aliases: ["x"] }),
    ];
    const { port } = await running(t, { needs: knowing(found) });
    const newest = await call(port, { path: "/v1/predictions/p1" });
    assert.equal(newest.json.version, "2");
    assert.deepEqual(newest.json.others, [{ version: "1", ts: "2026-01-13T23:10:00.000Z" }]);
    assert.equal((await call(port, { path: "/v1/predictions/p1?version=1" })).json.version, "1");
    assert.equal((await call(port, { path: "/v1/predictions/p1?version=9" })).status, 404);
    const models = await call(port, { path: "/v1/predictions/m" });
    assert.equal(models.status, 409);
    assert.equal(models.json.code, "ambiguous_model");
    assert.deepEqual(models.json.models, ["credit", "churn"]);
    assert.equal((await call(port, { path: "/v1/predictions/m?model=churn" })).json.model, "churn");
    const ids = await call(port, { path: "/v1/predictions/x" });
    assert.equal(ids.json.code, "ambiguous_id");
    assert.deepEqual(ids.json.ids, ["x:0", "x:1"]);
  });

  test("the revisions of a label, and 404 when there is none", async (t) => {
    const base = { id: "p1", ts: 5, receivedAt: 6 };
    const labelsOf: ApiNeeds["labelsOf"] = (id) =>
      id === "p1"
        ? [
            { ...base, model: null, label: 0, state: "superseded" },
            { ...base, model: "credit", label: [1, null], state: "current" },
          ]
        : [];
    const { port } = await running(t, { needs: { labelsOf } });
    const reply = await call(port, { path: "/v1/labels/p1" });
    shapes.labelHistoryAnswer.parse(reply.json);
    assert.equal(reply.json.labels.length, 2);
    assert.equal((await call(port, { path: "/v1/labels/p1?model=credit" })).json.labels.length, 1);
    assert.equal((await call(port, { path: "/v1/labels/other" })).json.code, "unknown_label");
  });

  test("quality passes the query on, and what it refuses comes back with its code", async (t) => {
    const asked: unknown[] = [];
    const quality: ApiNeeds["quality"] = (query) => {
      asked.push(query);
      if (query.window === "3h") throw new Problem("unknown_window", "window 3h is not configured");
      if (query.basis === "odd") throw new Problem("invalid_basis", "no such basis");
      return { at: 0, groups: [group()] };
    };
    const { port } = await running(t, { needs: { quality } });
    const reply = await call(port, { path: "/v1/quality?model=credit&window=1h&slice=region%3Dnorth" });
    shapes.qualityAnswer.parse(reply.json);
    assert.deepEqual(asked, [{ model: "credit", window: "1h", slice: "region=north" }]);
    assert.deepEqual(reply.json, { at: "1970-01-01T00:00:00.000Z", groups: [group()] });
    assert.equal((await call(port, { path: "/v1/quality?window=3h" })).status, 404);
    assert.equal((await call(port, { path: "/v1/quality?basis=odd" })).json.code, "invalid_basis");
    for (const query of [
      "windw=1h",
      "model=a&model=b",
      "model=",
      `model=${"x".repeat(600)}`,
      "__proto__=1",
      "constructor=x",
    ]) {
      const refused = await call(port, { path: `/v1/quality?${query}` });
      assert.equal(refused.status, 400, query);
      assert.equal(refused.json.code, "invalid_parameter");
    }
  });

  test("a comparison passes the pair on; its times are RFC 3339", async (t) => {
    const asked: unknown[] = [];
    const metric = {
      metric: "error_rate",
      difference: 0.1,
      lower: 0.02,
      upper: 0.18,
      interval: "always-valid" as const,
      p: 0.001,
      rows: { baseline: 900, candidate: 300 },
      paired: false,
      verdict: "worse" as const,
    };
    const compare: ApiNeeds["compare"] = (query) => {
      asked.push(query);
      if (query.candidate === "9") throw new Problem("unknown_version", "no such version");
      const countedUntil = 1_768_345_800_000;
      return {
        at: 1_768_345_900_000,
        model: "credit",
        baseline: "1",
        candidate: "2",
        countedUntil,
        metrics: [metric],
      };
    };
    const { port } = await running(t, { needs: { compare } });
    const reply = await call(port, { path: "/v1/compare?model=credit&baseline=1&candidate=2" });
    shapes.comparisonAnswer.parse(reply.json);
    assert.equal(reply.json.countedUntil, "2026-01-13T23:10:00.000Z");
    assert.deepEqual(asked, [{ model: "credit", baseline: "1", candidate: "2" }]);
    assert.equal((await call(port, { path: "/v1/compare?candidate=9" })).status, 404);
    assert.equal((await call(port, { path: "/v1/compare?window=1h" })).status, 400);
  });

  test("models and versions, with the quality of each version", async (t) => {
    const quality: ApiNeeds["quality"] = () => ({
      at: 0,
      groups: [group(), group({ version: "2/rc" }), group({ slice: "region=north" })],
    });
    const { port } = await running(t, { needs: { quality, models: () => [credit] } });
    shapes.modelsAnswer.parse((await call(port, { path: "/v1/models" })).json);
    const versions = await call(port, { path: "/v1/models/credit/versions" });
    shapes.versionsAnswer.parse(versions.json);
    assert.equal(versions.json.versions[0]?.quality.length, 1);
    const one = await call(port, { path: "/v1/models/credit/versions/2%2Frc" });
    shapes.versionAnswer.parse(one.json);
    assert.deepEqual(one.json.metadata.trainingData, { a: 1 });
    assert.equal(one.json.firstSeen, null);
    assert.equal((await call(port, { path: "/v1/models/nope/versions" })).json.code, "unknown_model");
    assert.equal((await call(port, { path: "/v1/models/credit/versions/9" })).json.code, "unknown_version");
  });

  test("health, versions and the overview", async (t) => {
    let live = true;
    const health: ApiNeeds["health"] = () => ({ live, ready: live, body: { store: "ok" } });
    const { port } = await running(t, { needs: { health } });
    assert.deepEqual((await call(port, { path: "/readyz" })).json, { store: "ok" });
    assert.equal((await call(port, { path: "/livez" })).status, 200);
    live = false;
    assert.equal((await call(port, { path: "/livez" })).status, 503);
    assert.equal((await call(port, { path: "/readyz" })).status, 503);
    assert.deepEqual((await call(port, { path: "/version" })).json, { outrider: "0.0.0-test", models: [] });
    const overview = await call(port, { path: "/" });
    for (const route of ROUTES) assert.ok(overview.text.includes(route.path), route.path);
    const head = await call(port, { method: "HEAD", path: "/version" });
    assert.equal(head.status, 200);
    assert.equal(head.text, "");
  });

  test("unknown paths, other methods, bad encoding and a bug are problems without a stack trace", async (t) => {
    const models = (): never => {
      throw new Error("secret detail");
    };
    const { port } = await running(t, { needs: { models } });
    const cases = [
      [{ path: "/nope" }, 404, "not_found"],
      [{ path: "/V1/models" }, 404, "not_found"],
      [{ path: "/v1/predictions/%ff" }, 400, "invalid_path"],
      [{ path: "/v1/predictions/%" }, 400, "invalid_path"],
      [{ path: "/v1/labels" }, 405, "method_not_allowed"],
      [{ path: "/v1/models", method: "DELETE" }, 405, "method_not_allowed"],
      [{ path: "/v1/models", method: "POST", headers: JSON_TYPE, body: "{}" }, 405, "method_not_allowed"],
      [{ path: "/v1/models" }, 500, "internal"],
    ] as const;
    for (const [asked, status, code] of cases) {
      const reply = await call(port, asked);
      assert.equal(reply.status, status, JSON.stringify(asked));
      shapes.problemAnswer.parse(reply.json);
      assert.equal(reply.json.code, code);
      assert.equal(reply.headers["content-type"], "application/problem+json");
      assert.doesNotMatch(reply.text, /secret|node_modules|\.ts/);
      assert.equal(reply.headers["x-powered-by"], undefined);
      assert.equal(reply.headers["x-content-type-options"], "nosniff");
    }
    assert.equal((await call(port, { path: "/v1/labels" })).headers["allow"], "POST");
    assert.equal((await call(port, { path: "/v1/models", method: "PUT" })).headers["allow"], "GET, HEAD");
  });

  test("a head that never ends or is too large is cut off, and others are still served", async (t) => {
    const { port } = await running(t);
    const large = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", reject);
      socket.once("data", (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(40_000)}\r\n\r\n`);
    });
    assert.match(large, /^HTTP\/1.1 431 /);
    const idle = Array.from({ length: 50 }, () => connect(port, "127.0.0.1"));
    for (const socket of idle) socket.on("error", () => {}).write("GET / HTTP/1.1\r\nHost: localhost\r\nX-");
    assert.equal((await call(port, { path: "/livez" })).status, 200);
    for (const socket of idle) socket.destroy();
  });
});

suite("the description", () => {
  test("lists every call with its parameters, scopes and refusals", async (t) => {
    const { port } = await running(t);
    const { json } = await call(port, { path: "/openapi.json" });
    assert.equal(json.openapi, "3.1.0");
    for (const route of ROUTES) {
      const operation = json.paths[route.path]?.[route.method];
      assert.ok(operation, route.path);
      assert.equal(operation.operationId, route.operation);
      assert.ok(operation.responses["200"]);
      for (const status of route.refusals)
        assert.ok(operation.responses[String(status)], `${route.path} ${status}`);
      assert.deepEqual(operation.security, route.scope === null ? [] : [{ token: [route.scope] }, {}]);
    }
    assert.deepEqual(
      json.paths["/v1/quality"]?.["get"]?.parameters.map((p) => p.name),
      ["model", "version", "window", "slice", "basis"],
    );
    const posted = json.paths["/v1/labels"]?.["post"];
    assert.deepEqual(Object.keys(posted?.requestBody.content ?? {}), [
      "application/json",
      "application/x-ndjson",
      "text/csv",
    ]);
    assert.match(posted?.responses["503"]?.description ?? "", /store_unavailable/);
    assert.doesNotMatch(JSON.stringify(json), /\$schema|"\$ref":"#\/\$defs/);
  });

  test("every code has one status that the table of titles knows", () => {
    for (const [code, status] of Object.entries(PROBLEM_STATUS)) {
      assert.match(code, /^[a-z][a-z0-9_]*$/);
      assert.ok(status >= 400 && status < 600);
    }
  });
});
