// What is refused, and in which words: the path, what is wrong, the fix.

import assert from "node:assert/strict";
import { test } from "node:test";
import { refused, UPSTREAM, type Given } from "./support.ts";

/** Each: a configuration, and texts that its one problem must hold. */
const BAD: readonly (readonly [given: Given | string, path: string, ...parts: string[]])[] = [
  ["proxy: {}", "upstream", "is required", "http://host:port"],
  ["upstream: localhost:8000", "upstream", "http://127.0.0.1:8000", '"localhost:8000"'],
  ["upstream: http://127.0.0.1:8000/base", "upstream", "must end after the port"],
  ["upstream: http://me:secret-word@127.0.0.1:8000", "upstream", "must not carry a user name"],
  ["upstream: ftp://127.0.0.1:21", "upstream", "https"],
  ["upstream: unix:relative.sock", "upstream", "absolute path"],
  ["upstream: { http: http://a, grpc: http://a:1 }", "upstream.grpc", "h2c://127.0.0.1:8081"],
  ["upstream: { http: h2c://a:1/path }", "upstream.http", "end after the port"],
  ["upstream: { http: https://a, tls: { serverName: 'a b' } }", "upstream.tls.serverName", "host name"],
  ["upstream: h2c://a:1\nprobes: [{ name: x, url: '{upstream}/ready' }]", "probes[0].url", "tcp://host:port"],
  ["upstream: { http: http://a, tls: { certFile: a } }", "upstream.tls", "belong together"],
  ["upstream: { htpt: http://a, http: http://a }", "upstream.htpt", 'did you mean "http"?'],
  ["upstream: [http://a]", "upstream", "must be"],
  ["upstream: http://127.0.0.1:7070", "upstream.http", "must not be our own traffic listener"],
  [`${UPSTREAM}proxy: { threads: 65 }`, "proxy.threads", "64"],
  [`${UPSTREAM}proxy: { listen: 7070 }`, "proxy.listen", '"host:port"', "not 7070"],
  [`${UPSTREAM}proxy: { listen: ":7070" }`, "proxy.listen", '"[::]:7070"'],
  [`${UPSTREAM}proxy: { listen: "::1:7070" }`, "proxy.listen", '"[::]:7070"'],
  [`${UPSTREAM}proxy: { listen: "1.2.3.999:7070" }`, "proxy.listen", '"host:port"'],
  [`${UPSTREAM}proxy: { listen: "0.0.0.0:65536" }`, "proxy.listen", "from 0 to 65535"],
  [`${UPSTREAM}proxy: { listen: "0.0.0.0:7071" }`, "telemetry.listen", "same as proxy.listen"],
  [`${UPSTREAM}proxy: { drainTimeout: 25 }`, "proxy.drainTimeout", '"30s"', "not 25"],
  [`${UPSTREAM}proxy: { drainTimeout: 0.5ms }`, "proxy.drainTimeout", '"30s"'],
  [`${UPSTREAM}proxy: { drainTimeout: 1w }`, "proxy.drainTimeout", '"1w"'],
  [`${UPSTREAM}proxy: { drain_timout: 1s }`, "proxy.drain_timout", 'did you mean "drainTimeout"?'],
  [`${UPSTREAM}proxy: { host: preserv }`, "proxy.host", "preserve, upstream", '"preserv"'],
  [`${UPSTREAM}proxy: { maxConnections: 0 }`, "proxy.maxConnections", "from 1 to"],
  [`${UPSTREAM}proxy: { maxConnections: .inf }`, "proxy.maxConnections", "whole number"],
  [`${UPSTREAM}proxy: soon`, "proxy", "a map of keys"],
  [`${UPSTREAM}prox: {}`, "prox", 'did you mean "proxy"?'],
  [`${UPSTREAM}zzzzzzzzz: {}`, "zzzzzzzzz", "known here: upstream, proxy"],
  [`${UPSTREAM}"__proto__": { threads: 1 }`, "__proto__", "is not a known key"],
  [`${UPSTREAM}store: { url: "postgres://db" }`, "store.url", "a shared store is not supported yet"],
  [`${UPSTREAM}store: { maxSize: 8 gigs }`, "store.maxSize", '"8GiB"'],
  [`${UPSTREAM}store: { maxSize: 10 }`, "store.maxSize", "1048576"],
  [`${UPSTREAM}capture: { sampleRatio: 1.5 }`, "capture.sampleRatio", "from 0 to 1"],
  [`${UPSTREAM}capture: { sampleRatio: .nan }`, "capture.sampleRatio", "from 0 to 1"],
  [`${UPSTREAM}capture: { storeInputs: yes }`, "capture.storeInputs", "true or false"],
  [`${UPSTREAM}capture: { redact: ["$.a..b"] }`, "capture.redact[0]", "path into the JSON body"],
  [`${UPSTREAM}api: { listen: "0.0.0.0:7072" }`, "api.tokens", "openssl rand -hex 32", "sha256sum"],
  [
    `${UPSTREAM}api: { tokens: [{ name: ci, sha256: abc, scopes: [read] }] }`,
    "api.tokens[0].sha256",
    "64 hex digits",
  ],
  [`${UPSTREAM}api: { tokens: [{ name: ci, scopes: [read] }] }`, "api.tokens[0]", "exactly one of sha256"],
  [
    `${UPSTREAM}api: { tokens: [{ name: ci, sha256File: none, scopes: [read] }] }`,
    "api.tokens[0].sha256File",
    "there is no such file",
  ],
  [`${UPSTREAM}models: [{ name: "a b" }]`, "models[0].name", "1 to 128 characters"],
  [`${UPSTREAM}models: [{ name: ".." }]`, "models[0].name", "1 to 128 characters"],
  [`${UPSTREAM}models: [{ name: a }, { name: a }]`, "models[1].name", "not used twice"],
  [`${UPSTREAM}models: [{ task: binary }]`, "models[0].name", "is required"],
  [
    `${UPSTREAM}models: [{ name: a, task: clasification }]`,
    "models[0].task",
    "regression, binary, multiclass",
  ],
  [`${UPSTREAM}models: [{ name: a, task: binary, classes: [x, y] }]`, "models[0].positive", '"x", "y"'],
  [
    `${UPSTREAM}models: [{ name: a, task: binary, classes: [x, y], positive: z }]`,
    "models[0].positive",
    '"z"',
  ],
  [`${UPSTREAM}models: [{ name: a, task: binary, positive: bad }]`, "models[0].classes", "name both classes"],
  [`${UPSTREAM}models: [{ name: a, task: binary, classes: [0, 1, 2] }]`, "models[0].classes", "exactly two"],
  [
    `${UPSTREAM}models: [{ name: a, task: multiclass, classes: [1, true] }]`,
    "models[0].classes",
    "same class",
  ],
  [
    `${UPSTREAM}models: [{ name: a, task: regression, classes: [0, 1] }]`,
    "models[0].classes",
    "task: binary",
  ],
  [
    `${UPSTREAM}models: [{ name: a, task: regression, threshold: 0.5 }]`,
    "models[0].threshold",
    "task: binary",
  ],
  [
    `${UPSTREAM}models: [{ name: a, task: binary, threshold: 2 }]`,
    "models[0].threshold",
    "scoreKind: margin",
  ],
  [`${UPSTREAM}models: [{ name: a, version: { static: 1.4 } }]`, "models[0].version.static", "in quotes"],
  [`${UPSTREAM}models: [{ name: a, version: {} }]`, "models[0].version", "exactly one of static"],
  [
    `${UPSTREAM}models: [{ name: a, version: { static: "1", path: true } }]`,
    "models[0].version",
    "exactly one of static",
  ],
  [
    `${UPSTREAM}models: [{ name: a, version: { registry: mlflow } }]`,
    "models[0].version.registry",
    "entry of type mlflow",
  ],
  [`${UPSTREAM}models: [{ name: a, match: { path: v2 } }]`, "models[0].match.path", 'begins with "/"'],
  [`${UPSTREAM}models: [{ name: a, extract: { id: "$.a[" } }]`, "models[0].extract.id", '"$.a["'],
  [`${UPSTREAM}models: [{ name: a, windows: [1h, 1y] }]`, "models[0].windows[1]", '"24h"', '"1y"'],
  [`${UPSTREAM}models: [{ name: a, windows: [1d, 24h] }]`, "models[0].windows", "twice"],
  [`${UPSTREAM}models: [{ name: a, slices: [{ name: r }] }]`, "models[0].slices[0]", "header and body"],
  [`${UPSTREAM}models: [{ name: a, baseline: { rsme: 1 } }]`, "models[0].baseline.rsme", 'mean "rmse"?'],
  [`${UPSTREAM}models: [{ name: a, baseline: { margin: 110% } }]`, "models[0].baseline.margin", '"10%"'],
  [
    `${UPSTREAM}models: [{ name: a, task: binary, absentMeans: { value: 2, after: 1d } }]`,
    "models[0].absentMeans.value",
    '"0", "1"',
  ],
  [`${UPSTREAM}probes: [{ name: a, url: "ftp://x" }]`, "probes[0].url", "tcp://host:port", '"ftp://x"'],
  [`${UPSTREAM}probes: [{ name: a, url: "{upsteam}/x" }]`, "probes[0].url", "{upstream}"],
  [`${UPSTREAM}probes: [{ name: a, url: "http://x", every: 100ms }]`, "probes[0].every", "at least 1s"],
  [`${UPSTREAM}target: otto`, "target", '"auto"', '"otto"'],
  [`${UPSTREAM}target: { pid: 1, port: 2 }`, "target", "exactly one of pid"],
  [`${UPSTREAM}target: { metrics: "tcp://127.0.0.1:1" }`, "target.metrics", "page"],
  [`${UPSTREAM}target: { metrics: nothing }`, "target.metrics", "http://"],
  [`${UPSTREAM}target: { processName: "(" }`, "target.processName", "regular expression"],
  [`${UPSTREAM}otlp: { endpoint: "127.0.0.1:4317" }`, "otlp.endpoint", "http://"],
  [`${UPSTREAM}otlp: { protocol: grpc }`, "otlp.protocol", "http/protobuf"],
  [`${UPSTREAM}registries: [{ type: mlflow }]`, "registries[0].url", "is required"],
  [`a: 1\na: 2\n`, "outrider.yaml:2:1", "unique"],
  ["upstream: [1", "outrider.yaml:1:13", "end with a ]"],
  ["- upstream", "outrider.yaml", "a map of keys"],
  [{ env: { OUTRIDER_UPSTREM: "http://a" }, yaml: UPSTREAM }, "OUTRIDER_UPSTREM", '"OUTRIDER_UPSTREAM"'],
  [
    { env: { OUTRIDER_PROXY_DRAIN_TIMEOUT: "soon" }, yaml: UPSTREAM },
    "proxy.drainTimeout",
    '"soon"',
    "(from OUTRIDER_PROXY_DRAIN_TIMEOUT)",
  ],
  [{ env: { OUTRIDER_MODELS: "[{" }, yaml: UPSTREAM }, "models", "must be JSON", "(from OUTRIDER_MODELS)"],
  [{ flags: { "proxy.lisen": "x" }, yaml: UPSTREAM }, "proxy.lisen", 'did you mean "proxy.listen"?'],
  [{ flags: { "models[].name": "x" }, yaml: UPSTREAM }, "models[].name", "not a known key"],
  [{ env: { OUTRIDER_CONFIG: "absent.yaml" } }, "OUTRIDER_CONFIG", "there is no such file"],
];

for (const [given, path, ...parts] of BAD) {
  const shown = typeof given === "string" ? given.replace(UPSTREAM, "") : JSON.stringify(given);
  test(`refused at ${path}: ${shown.slice(0, 100)}`, (t) => {
    const problems = refused(t, typeof given === "string" ? { yaml: given } : given);
    assert.equal(problems.length, 1, problems.join("\n"));
    const [problem = ""] = problems;
    const at = problem.slice(0, problem.indexOf(": "));
    assert.ok(at === path || at.endsWith(`/${path}`), problem);
    for (const part of parts) assert.ok(problem.includes(part), `${problem}\nlacks ${part}`);
  });
}

test("every mistake is told at once, in whatever section, file or variable it is", (t) => {
  const problems = refused(t, {
    yaml: `proxy: { listen: x, threads: 0 }\napi: { listen: "0.0.0.0:1" }\nmodels: [{ name: a, task: binary, classes: [x, y], labelHorizon: 7 }]\n`,
    env: { OUTRIDER_STORE_RETENTION: "-1d", OUTRIDER_NONSENSE_HERE: "1" },
    flags: { "capture.sampleRatio": "2" },
  });
  assert.deepEqual(problems.map((text) => text.slice(0, text.indexOf(":"))).toSorted(), [
    "OUTRIDER_NONSENSE_HERE",
    "api.tokens",
    "capture.sampleRatio",
    "models[0].labelHorizon",
    "models[0].positive",
    "proxy.listen",
    "proxy.threads",
    "store.retention",
    "upstream",
  ]);
});

test("no refusal repeats a secret", (t) => {
  const canary = "s3cr3t-canary";
  const problems = refused(t, {
    yaml: `upstream: http://me:${canary}@model\napi: { tokens: [{ name: ci, sha256: ${canary}, scopes: [read] }] }\nregistries: [{ type: x, url: "http://r", token: [${canary}] }]\notlp: { headers: { "bad name": ${canary} } }\n`,
    env: { OUTRIDER_OTLP_HEADERS: `{"authorization": "${canary}` },
  });
  assert.ok(problems.length >= 3, problems.join("\n"));
  assert.ok(!problems.join("\n").includes(canary), problems.join("\n"));
});
