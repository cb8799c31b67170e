// What a configuration becomes: precedence, defaults, spelled-out forms, secrets, generated descriptions.

import assert from "node:assert/strict";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse, stringify } from "yaml";
import { configJsonSchema, configTable, loadConfig, redactedConfig } from "../../src/config/config.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import { certificate } from "../support/certificates.ts";
import { folder, load, refused, UPSTREAM } from "./support.ts";

const FULL = `
upstream: { http: "http://127.0.0.1:8000" }
proxy: { listen: "[::]:7070", threads: 1, host: upstream, connectTimeout: 3s, responseTimeout: 1m, drainTimeout: 500ms, maxConnections: 5, tls: null }
telemetry: { listen: "localhost:0" }
api: { listen: "127.0.0.1:0", tokens: [] }
store: { path: ./data, retention: 90d, maxSize: 65536KiB }
capture: { maxBodySize: 4096, sampleRatio: 0.5, storeInputs: true, redact: ["$.a[0].b"] }
models:
  - name: credit
    task: binary
    classes: [no, 1]
    positive: 1
    threshold: 0.25
    match: { path: "/v2/models/credit/**" }
    extract: { reader: oip-v2, prediction: predict, score: predict_proba, id: "$.id", version: "$.model_version" }
    version: { poll: { path: /v2, every: 1m, at: "$.versions[0]" } }
    slices: [{ name: region, header: X-Region, maxValues: 5 }, { name: kind, body: "$.kind" }]
    windows: [all, 7d, 1h]
    labelHorizon: 12h
    absentMeans: { value: "no", after: 30d }
    minSamples: 3
    labelOffset: -2.5
    maxClasses: 4
    baseline: { f1: 0.8, margin: 5% }
  - { name: price, task: regression, version: { static: "1.4.2" }, baseline: { rmse: 55.2, margin: 0.2 } }
  - { name: margin, task: binary, scoreKind: margin }
probes: [{ name: ready, url: "{upstream}/v2/health/ready", every: 15s, timeout: 2s, expectStatus: 200 }]
target: { processName: "^mlserver" }
otlp: { endpoint: "http://127.0.0.1:4318/", protocol: http/json, metrics: false, traces: {}, every: 10s }
registries: [{ type: mlflow, url: "http://mlflow:5000/", model: credit, registeredName: Credit, write: [metrics] }]
`;

test("an upstream on the command line is enough", (t) => {
  const { config, file, warnings } = load(t, { flags: { upstream: "http://127.0.0.1:8000" } });
  assert.equal(file, null);
  assert.deepEqual(warnings, []);
  assert.equal(config.upstream.http, "http://127.0.0.1:8000");
  assert.deepEqual(config.proxy.listen, { host: "0.0.0.0", port: 7070 });
  assert.deepEqual(config.telemetry.listen, { host: "0.0.0.0", port: 7071 });
  assert.deepEqual(config.api, { listen: { host: "127.0.0.1", port: 7072 }, tokens: [] });
  assert.equal(config.proxy.drainTimeoutMs, 25_000);
  assert.equal(config.capture.maxBodySizeBytes, 65_536);
  assert.equal(config.store.maxSizeBytes, 8 * 2 ** 30);
  const page = { url: "http://127.0.0.1:8000/metrics", tls: null };
  assert.deepEqual(config.target, { kind: "auto", port: 8000, host: "127.0.0.1", page });
  const [probe, ...others] = config.probes;
  assert.equal(others.length, 0);
  assert.deepEqual(probe, {
    name: "upstream",
    url: "tcp://127.0.0.1:8000",
    everyMs: 15_000,
    timeoutMs: 2000,
    expectStatus: null,
    tls: null,
  });
});

test("a flag wins over a variable, a variable over the file, the file over the default", (t) => {
  const yaml = `${UPSTREAM}proxy: { drainTimeout: 1s, connectTimeout: 1s, responseTimeout: 1s }\n`;
  const env = {
    OUTRIDER_PROXY_DRAIN_TIMEOUT: "2s",
    OUTRIDER_PROXY_CONNECT_TIMEOUT: "2s",
    OUTRIDER_PROXY_TLS: "",
  };
  const { config } = load(t, { yaml, env, flags: { "proxy.drainTimeout": "3s", "proxy.host": undefined } });
  assert.equal(config.proxy.drainTimeoutMs, 3000);
  assert.equal(config.proxy.connectTimeoutMs, 2000);
  assert.equal(config.proxy.responseTimeoutMs, 1000);
  assert.equal(config.proxy.maxConnections, 10_000);
});

test("variables hold numbers, booleans, lists as JSON, and keys inside short forms", (t) => {
  const { config } = load(t, {
    yaml: `${UPSTREAM}target: { pidFile: a.pid }\n`,
    env: {
      OUTRIDER_PROXY_MAX_CONNECTIONS: "7",
      OUTRIDER_CAPTURE_STORE_INPUTS: "true",
      OUTRIDER_CAPTURE_MAX_BODY_SIZE: "1024",
      OUTRIDER_MODELS: '[{"name":"a","task":"binary","classes":["x","y"],"positive":"y"}]',
      OUTRIDER_TARGET_PORT: "9000",
      OUTRIDER_OTLP_ENDPOINT: "http://collector:4318",
      OUTRIDER_OTLP_TRACES_SAMPLE_RATIO: "0.25",
      OUTRIDER_PROBES: "[]",
    },
  });
  assert.equal(config.proxy.maxConnections, 7);
  assert.equal(config.capture.storeInputs, true);
  assert.equal(config.capture.maxBodySizeBytes, 1024);
  assert.equal(config.models[0]?.positive, "y");
  assert.deepEqual(config.target, { kind: "port", port: 9000 });
  assert.equal(config.upstream.http, "http://127.0.0.1:8000");
  assert.equal(config.otlp?.traces?.sampleRatio, 0.25);
  assert.equal(config.otlp?.metrics, true);
  assert.deepEqual(config.probes, []);
});

test("the file is --config, else OUTRIDER_CONFIG, else ./outrider.yaml", (t) => {
  const cwd = folder(t);
  for (const name of ["a.yaml", "b.yaml", "outrider.yaml"]) {
    writeFileSync(join(cwd, name), `upstream: http://${name.replace(".yaml", "")}\n`);
  }
  const env = { OUTRIDER_CONFIG: "b.yaml" };
  const http = (file: string | null, variables: Record<string, string>): string =>
    loadConfig({ flags: {}, env: variables, file, cwd }).config.upstream.http;
  assert.equal(http("a.yaml", env), "http://a:80");
  assert.equal(http(null, env), "http://b:80");
  assert.equal(http(null, {}), "http://outrider:80");
});

test("variables that Kubernetes sets for a service of our name are no mistakes", (t) => {
  const env = {
    OUTRIDER_SERVICE_HOST: "10.0.0.1",
    OUTRIDER_SERVICE_PORT: "7070",
    OUTRIDER_SERVICE_PORT_HTTP: "7070",
    OUTRIDER_PORT: "tcp://10.0.0.1:7070",
    OUTRIDER_PORT_7070_TCP: "tcp://10.0.0.1:7070",
    OUTRIDER_PORT_7070_TCP_ADDR: "10.0.0.1",
    OUTRIDER_API: "http://127.0.0.1:7072",
    OUTRIDER_TOKEN: "x",
  };
  assert.equal(load(t, { yaml: UPSTREAM, env }).config.models.length, 0);
});

test("everything the documentation shows is understood", (t) => {
  const { config } = load(t, { yaml: FULL });
  const [credit, price, margin] = config.models;
  assert.ok(credit && price && margin);
  assert.deepEqual([credit.classes, credit.positive, credit.threshold], [["no", "1"], "1", 0.25]);
  assert.deepEqual(credit.version, { poll: { path: "/v2", everyMs: 60_000, at: "$.versions[0]" } });
  assert.deepEqual(credit.windows, ["1h", "7d", "all"]);
  assert.deepEqual(credit.absentMeans, { value: "no", afterMs: 30 * 86_400_000 });
  assert.deepEqual(credit.baseline, { metrics: { f1: 0.8 }, margin: 0.05 });
  assert.deepEqual(
    credit.slices.map(({ header, body }) => [header, body]),
    [
      ["x-region", null],
      [null, "$.kind"],
    ],
  );
  assert.deepEqual([price.classes, price.positive], [null, null]);
  assert.deepEqual([margin.classes, margin.positive, margin.threshold], [["0", "1"], "1", 0]);
  assert.equal(config.probes[0]?.url, "http://127.0.0.1:8000/v2/health/ready");
  assert.equal(config.otlp?.intervalMs, 10_000);
  assert.equal(config.otlp?.traces?.sampleRatio, 0.05);
  assert.equal(config.otlp?.endpoint, "http://127.0.0.1:4318");
  assert.equal(config.registries[0]?.everyMs, 30_000);
  const spec: ModelSpec = credit;
  assert.equal(spec.labelHorizonMs, 43_200_000);
});

test("the configuration is frozen to its depth and survives the road to the observer", (t) => {
  const { config } = load(t, { yaml: FULL });
  assert.ok(Object.isFrozen(config.models[0]?.match));
  assert.ok(Object.isFrozen(config.proxy.listen));
  assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
});

test("a model server behind a socket file is probed through it", (t) => {
  const yaml = `upstream: unix:/run/model.sock\nprobes: [{ name: a, url: "{upstream}" }, { name: b, url: "{upstream}/ready" }]\n`;
  const { config } = load(t, { yaml });
  assert.deepEqual(
    config.probes.map(({ url }) => url),
    ["unix:/run/model.sock", "unix:/run/model.sock:/ready"],
  );
  assert.equal(config.upstream.address, null);
  const page = { url: "unix:/run/model.sock:/metrics", tls: null };
  assert.deepEqual(config.target, { kind: "auto", port: null, host: null, page });
});

test("secrets come from files, and a file that everybody may read is warned about", (t) => {
  const digest = "Ab".repeat(32);
  const { config, warnings } = load(t, {
    yaml: `${UPSTREAM}api:
  listen: "0.0.0.0:7072"
  tokens: [{ name: ci, sha256File: digest, scopes: ["labels:write"] }, { name: open, sha256File: open-digest, scopes: [read] }]
otlp: { headers: { x-a: "1" }, headersFile: headers }
registries: [{ type: langfuse, url: "https://lf", tokenFile: token }]
`,
    files: {
      digest: `${digest}  -\n`,
      "open-digest": digest,
      headers: "# ours\nAuthorization: Basic c2VjcmV0\n\n",
      token: "pk:sk\n",
    },
  });
  assert.equal(config.api.tokens[0]?.sha256, digest.toLowerCase());
  assert.deepEqual(config.otlp?.headers, { "x-a": "1", authorization: "Basic c2VjcmV0" });
  assert.equal(config.registries[0]?.token, "pk:sk");
  const chmod = warnings.filter((warning) => warning.includes("chmod"));
  assert.equal(chmod.length, 1);
  assert.match(chmod[0] ?? "", /api\.tokens\[1\]\.sha256File.*chmod 600/);
});

test("the model server can speak HTTP/2, for everything or for gRPC alone", (t) => {
  const all = load(t, { yaml: "upstream: h2c://model:8081" }).config;
  assert.deepEqual([all.upstream.http, all.upstream.grpc], ["h2c://model:8081", null]);
  assert.equal(all.probes[0]?.url, "tcp://model:8081");
  const both = load(t, { yaml: "upstream: { http: http://model:8080, grpc: h2c://model }" }).config;
  assert.deepEqual([both.upstream.http, both.upstream.grpc], ["http://model:8080", "h2c://model:80"]);
  const local = load(t, { yaml: "upstream: { http: http://model, grpc: unix:/run/grpc.sock }" }).config;
  assert.equal(local.upstream.grpc, "unix:/run/grpc.sock");
});

test("a listener's certificate and key have to belong together", async (t) => {
  const [one, other] = await Promise.all([certificate("a"), certificate("b")]);
  const yaml = "upstream: http://model\nproxy: { tls: { certFile: cert.pem, keyFile: key.pem } }";
  const { config } = load(t, { yaml, files: { "cert.pem": one.cert, "key.pem": one.key } });
  assert.equal(config.proxy.tls?.cert, one.cert.trim());
  assert.ok(!JSON.stringify(redactedConfig(config)).includes("PRIVATE KEY"));
  const wrong = refused(t, { yaml, files: { "cert.pem": one.cert, "key.pem": other.key } });
  assert.match(wrong.join("\n"), /proxy\.tls.*certificate and its key/s);
});

test("what is printed hides every secret", (t) => {
  const canary = "canary-4711";
  const { config } = load(t, {
    yaml: `upstream: { http: https://model, tls: { caFile: ca, certFile: cert, keyFile: key } }
api: { tokens: [{ name: ci, sha256: "${"ab".repeat(32)}", scopes: [read] }] }
otlp: { endpoint: "http://user:${canary}@collector:4318", headers: { authorization: "${canary}" } }
registries: [{ type: langfuse, url: "https://user:${canary}@lf", token: ${canary} }]
`,
    files: { ca: "CA", cert: "CERT", key: canary },
  });
  assert.deepEqual(config.upstream.tls, { ca: "CA", cert: "CERT", key: canary });
  const text = JSON.stringify(redactedConfig(config));
  assert.ok(!text.includes(canary), text);
  assert.ok(!text.includes("abab"), text);
  assert.ok(text.includes("[hidden]"));
});

test("what is printed is a configuration file that means the same", (t) => {
  const { config } = load(t, { yaml: FULL });
  const again = load(t, { yaml: stringify(redactedConfig(config)) });
  assert.deepEqual(again.config, config);
});

test("windows and horizons longer than the retention are warned about", (t) => {
  const { warnings } = load(t, { yaml: `${UPSTREAM}store: { retention: 2d }\nmodels: [{ name: a }]\n` });
  assert.equal(warnings.length, 2);
  assert.match(warnings.join("\n"), /labelHorizon 7d is longer than store\.retention \(2d\)/);
});

test("a file is read through a symbolic link, as Kubernetes mounts them", (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "real"), UPSTREAM);
  symlinkSync(join(cwd, "real"), join(cwd, "outrider.yaml"));
  assert.equal(loadConfig({ flags: {}, env: {}, file: null, cwd }).config.models.length, 0);
  rmSync(join(cwd, "real"));
  assert.throws(() => loadConfig({ flags: {}, env: {}, file: "outrider.yaml", cwd }), /no such file/);
});

test("every key is described, and only keys inside lists have no variable", () => {
  const rows = configTable();
  assert.deepEqual(
    rows.filter(({ description }) => description.length < 8).map(({ key }) => key),
    [],
  );
  for (const { key, env } of rows) assert.equal(env === null, key.includes("[]"), key);
  assert.equal(new Set(rows.map(({ key }) => key)).size, rows.length);
  const row = rows.find(({ key }) => key === "proxy.drainTimeout");
  assert.deepEqual([row?.env, row?.default], ["OUTRIDER_PROXY_DRAIN_TIMEOUT", "25s"]);
  assert.ok(rows.some(({ key }) => key === "models[].version.poll.every"));
});

test("the JSON Schema accepts what is documented and refuses unknown keys", () => {
  const schema = configJsonSchema();
  assert.ok(typeof schema === "object" && schema !== null);
  const validate = new Ajv2020({ strict: false }).compile(schema);
  assert.ok(validate(parse(FULL)), JSON.stringify(validate.errors));
  assert.ok(validate(parse(UPSTREAM)));
  assert.ok(!validate(parse(`${UPSTREAM}proxi: {}`)));
  assert.ok(!validate(parse("proxy: {}")));
});

test("no key is accepted without effect", (t) => {
  const yaml = `${UPSTREAM}capture: { storeInputs: true, redact: ["$.a"] }\nmodels: [{ name: a, baseline: { rmse: 1, margin: 10% }, inputs: [age], drift: { reference: { rows: 500 } } }]\n`;
  const { warnings, config } = load(t, { yaml });
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.models[0]?.drift.reference, { rows: 500 });
});

test("a span of reference that ends before it begins is refused, as is one without a time", (t) => {
  for (const reference of [
    "{ from: 2026-01-02T00:00:00Z, to: 2026-01-01T00:00:00Z }",
    "{ from: yesterday, to: 2026-01-01T00:00:00Z }",
    "{ rows: 3 }",
  ]) {
    const yaml = `${UPSTREAM}models: [{ name: a, drift: { reference: ${reference} } }]\n`;
    assert.throws(() => load(t, { yaml }), /models\[0\]\.drift\.reference/);
  }
});
