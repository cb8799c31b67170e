// The chart by Helm's own lint, and everything it renders decoded strictly into the Kubernetes API types, the Prometheus operator's and
// KServe's, and judged by the restricted Pod Security Standard. The sidecar's configuration in it is read by the sidecar.

import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { loadConfig } from "../../src/config/config.ts";
import { chart, render, rendered } from "../../deploy/helm/render.ts";
import { run } from "./support/command.ts";
import { helm, readKubernetes, readKubernetesText, type KubernetesObject } from "./support/deploy.ts";
import { ensureKserveTypes, pythonFolder } from "./support/install.ts";
import { temporaryFolder, type Owner } from "./support/process.ts";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");

const TOKEN = [
  "api.tokens[0].name=labeller",
  "api.tokens[0].scopes[0]=labels:write",
  "api.tokens[0].secret.name=outrider-token",
  "api.tokens[0].secret.key=sha256",
];
const CASES: Readonly<Record<string, readonly string[]>> = {
  "as it comes": [],
  "with everything": [
    ...TOKEN,
    "store.persistent=true",
    "store.storageClassName=fast",
    "monitor.kind=PodMonitor",
    "prometheusRule.enabled=true",
    "dashboards.enabled=true",
    "config.otlp.endpoint=http://collector:4318",
    "model.image=registry.example.com/credit:1",
    "model.port=8080",
    "workload.podLabels.team=risk",
    "networkPolicy.egress[0].ports[0].port=4318",
  ],
  "only what is around a workload": [
    "workload.enabled=false",
    "monitor.kind=ServiceMonitor",
    "selectorLabels.app=credit",
  ],
};

async function objectsOf(owner: Owner, settings: readonly string[]): Promise<readonly KubernetesObject[]> {
  const set = settings.flatMap((setting) => ["--set", setting]);
  const { stdout } = await helm(["template", "demo", chart, "--namespace", "models", ...set]);
  return await readKubernetesText(owner, stdout);
}

interface Container {
  readonly name: string;
  readonly restartPolicy?: string;
  readonly startupProbe?: object;
  readonly readinessProbe?: object;
  readonly livenessProbe?: object;
  readonly resources?: { readonly requests?: object; readonly limits?: object };
}

interface Workload {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly initContainers: readonly Container[];
        readonly containers: readonly Container[];
        readonly terminationGracePeriodSeconds: number;
      };
    };
  };
}

function workloadOf(objects: readonly KubernetesObject[]): Workload["spec"]["template"]["spec"] {
  const found = objects.find(({ pods }) => pods);
  assert.ok(found);
  return (found.object as unknown as Workload).spec.template.spec;
}

suite("the chart", () => {
  test("has nothing that Helm's lint objects to", async () => {
    const { output } = await helm(["lint", chart, "--strict"]);
    assert.match(output, /0 chart\(s\) failed/);
    assert.doesNotMatch(output, /WARNING|ERROR/);
  });

  for (const [name, settings] of Object.entries(CASES)) {
    test(`${name}: every field is one of the API's, every pod is restricted`, async (t) => {
      const objects = await objectsOf(t, settings);
      assert.ok(objects.length >= 4);
      for (const { kind, name: own, violations } of objects)
        assert.deepEqual(violations, [], `${kind} ${own}`);
      const config = objects.find(({ kind, name: own }) => kind === "ConfigMap" && own === "demo-outrider");
      const text =
        (config?.object["data"] as { "outrider.yaml": string } | undefined)?.["outrider.yaml"] ?? "";
      const folder = temporaryFolder(t, "config");
      mkdirSync(join(folder, "tokens"));
      writeFileSync(join(folder, "tokens", "labeller"), "0".repeat(64), { mode: 0o600 });
      const file = join(folder, "outrider.yaml");
      writeFileSync(file, text.replaceAll("/etc/outrider/tokens", join(folder, "tokens")));
      assert.deepEqual(loadConfig({ file, flags: {}, env: {}, cwd: folder }).warnings, []);
    });
  }

  test("the sidecar is a native one, with its probes and limits, and has the time to end", async (t) => {
    const spec = workloadOf(await objectsOf(t, []));
    const [sidecar] = spec.initContainers;
    assert.equal(sidecar?.restartPolicy, "Always");
    assert.ok(sidecar.startupProbe && sidecar.readinessProbe && sidecar.livenessProbe);
    assert.ok(sidecar.resources?.requests && sidecar.resources.limits);
    // preStop of the model server, then drain and flush: see docs/deployment.md.
    assert.ok(spec.terminationGracePeriodSeconds >= 10 + 35);
  });

  test("rules, alerts and boards go in as they are generated", async (t) => {
    const objects = await objectsOf(t, CASES["with everything"] ?? []);
    const rules = objects.filter(({ kind }) => kind === "PrometheusRule");
    assert.deepEqual(rules.map(({ name }) => name).toSorted(), [
      "demo-outrider-alerts",
      "demo-outrider-rules",
    ]);
    for (const { object, name } of rules) {
      const { groups } = object["spec"] as {
        groups: { rules: { alert?: string; annotations?: object }[] }[];
      };
      assert.ok(groups.length > 0, name);
    }
    for (const { object, name } of objects) {
      const { data = {}, metadata } = object as {
        data?: Record<string, string>;
        metadata: { labels: object };
      };
      const boards = Object.entries(data).filter(([file]) => file.endsWith(".json"));
      for (const [, json] of boards) assert.ok((JSON.parse(json) as { uid: string }).uid, name);
      if (boards.length > 0) assert.ok("grafana_dashboard" in metadata.labels, name);
    }
  });

  test("another chart puts the sidecar into a Deployment of its own", async (t) => {
    const own = join(temporaryFolder(t, "own"), "own");
    cpSync(join(here, "charts", "own"), own, { recursive: true });
    cpSync(chart, join(own, "charts", "outrider"), { recursive: true });
    const { stdout } = await helm(["template", "prod", own]);
    const objects = await readKubernetesText(t, stdout);
    const spec = workloadOf(objects);
    assert.deepEqual([spec.initContainers[0]?.name, spec.containers[0]?.name], ["outrider", "credit"]);
    for (const { violations } of objects) assert.deepEqual(violations, []);
    const services = objects.filter(({ kind }) => kind === "Service");
    for (const { object } of services)
      assert.deepEqual((object["spec"] as { selector: object }).selector, { app: "credit" });
    assert.match(stdout, /upstream: http:\/\/127\.0\.0\.1:8080/);
  });

  for (const [name, settings, said] of [
    ["an unknown key", ["sotre.persistent=true"], /sotre/],
    ["a token that is no digest", [TOKEN[0], TOKEN[1], "api.tokens[0].sha256=abc"], /sha256/],
    ["a scope that is none", [TOKEN[0], "api.tokens[0].scopes[0]=all", TOKEN[2], TOKEN[3]], /scopes/],
    [
      "a grace period shorter than the drain",
      ["workload.terminationGracePeriodSeconds=30"],
      /terminationGrace/,
    ],
    ["a port that is none", ["model.port=70000"], /port/],
  ] as const) {
    test(`${name} is refused by its schema`, async () => {
      const set = settings.flatMap((setting) => ["--set", String(setting)]);
      const { ok, output } = await helm(["template", "demo", chart, ...set], true);
      assert.ok(!ok);
      assert.match(output, said);
    });
  }

  test("what it says after an install names services that it made", async (t) => {
    // Helm shows notes of an install only, for which it wants a cluster: here they are rendered as a template.
    const copy = join(temporaryFolder(t, "notes"), "outrider");
    cpSync(chart, copy, { recursive: true });
    cpSync(join(copy, "templates", "NOTES.txt"), join(copy, "notes.txt"));
    writeFileSync(
      join(copy, "templates", "notes.yaml"),
      'notes: {{ tpl (.Files.Get "notes.txt") . | quote }}\n',
    );
    const shown = ["--show-only", "templates/notes.yaml"];
    for (const settings of [TOKEN.join(","), "workload.enabled=false"]) {
      const { stdout } = await helm(["template", "demo", copy, ...shown, "--set", settings]);
      const [document] = parseAllDocuments(stdout);
      assert.ok(document);
      const { notes } = document.toJS() as { notes: string };
      assert.match(notes, /http:\/\/demo-outrider\.default\.svc:80/);
      if (settings !== TOKEN.join(",")) continue;
      assert.match(notes, /demo-outrider-replicas\.default\.svc/);
      t.diagnostic(notes);
    }
  });
});

suite("plain manifests", () => {
  test("are what the chart renders", async () => {
    assert.equal(readFileSync(rendered, "utf8"), await render(), "run node deploy/helm/render.ts");
  });

  test("and the example of a Deployment that was there before: of the API's types, restricted", async () => {
    const files = [
      "outrider.yaml",
      "prometheusrule.yaml",
      "dashboards.yaml",
      "examples/existing-deployment.yaml",
    ];
    const objects = await readKubernetes(files.map((file) => join(root, "deploy", "kubernetes", file)));
    for (const { kind, name, violations } of objects) assert.deepEqual(violations, [], `${kind} ${name}`);
    assert.equal(objects.filter(({ pods }) => pods).length, 2);
  });

  test("the sidecar of each example understands the variables that it is given", async (t) => {
    const token = join(temporaryFolder(t, "token"), "token");
    writeFileSync(token, "0".repeat(64), { mode: 0o600 });
    for (const name of ["existing-deployment", "kserve-inferenceservice"]) {
      const text = readFileSync(join(root, "deploy", "kubernetes", "examples", `${name}.yaml`), "utf8");
      const variables = [
        ...text.matchAll(/name: "?(OUTRIDER_\w+)"?,? *\n? *value: (?:"([^"\n]*)"|'([^'\n]*)'|([^\s}]+))/g),
      ];
      assert.ok(variables.length >= 3, name);
      const env = Object.fromEntries(
        variables.map(([, key, ...values]) => [key, values.find((one) => one !== undefined)]),
      );
      if (env["OUTRIDER_API_TOKENS"] !== undefined)
        env["OUTRIDER_API_TOKENS"] = env["OUTRIDER_API_TOKENS"].replace("/etc/outrider/token", token);
      const { config, warnings } = loadConfig({ file: null, flags: {}, env, cwd: dirname(token) });
      assert.deepEqual(warnings, [], name);
      assert.match(config.upstream.http, /^http:\/\/127\.0\.0\.1:808[01]$/);
    }
  });

  test("a field that no type has is refused", async (t) => {
    const text = "apiVersion: v1\nkind: Service\nmetadata: { name: x }\nspec: { port: 80 }\n";
    await assert.rejects(readKubernetesText(t, text), /unknown field "spec\.port"/);
  });

  test("the InferenceService is of KServe's published types, and its pod is restricted", async (t) => {
    const file = join(root, "deploy", "kubernetes", "examples", "kserve-inferenceservice.yaml");
    const [service, monitor] = parseAllDocuments(readFileSync(file, "utf8")).map(
      (document) => document.toJS() as Record<string, unknown>,
    );
    const { python, site } = await ensureKserveTypes();
    const check = (value: unknown): Promise<{ ok: boolean; output: string }> =>
      run(python, [join(pythonFolder, "kserve_types.py"), site], {
        stdin: JSON.stringify(value),
        mayFail: true,
      });
    assert.deepEqual(await check(service).then(({ output }) => output.trim()), "");
    assert.match((await check({ ...service, spec: { predictor: { conatiners: [] } } })).output, /conatiners/);

    assert.ok(service);
    const { predictor } = service["spec"] as { predictor: Record<string, unknown> };
    const { minReplicas: _replicas, timeout: _timeout, ...spec } = predictor;
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "credit" }, spec };
    const objects = await readKubernetesText(t, `${JSON.stringify(pod)}\n---\n${JSON.stringify(monitor)}\n`);
    assert.deepEqual(
      objects.map(({ kind, violations }) => [kind, violations]),
      [
        ["Pod", []],
        ["PodMonitor", []],
      ],
    );
  });
});
