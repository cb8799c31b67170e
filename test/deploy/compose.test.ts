// docker-compose.yml and what it mounts agree with one another and with the program; no Docker needed.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/config.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

interface Service {
  readonly image: string;
  readonly read_only?: boolean;
  readonly privileged?: boolean;
  readonly cap_drop?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks: readonly string[];
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: object;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

const compose = parse(read("docker-compose.yml"), { merge: true }) as Compose;
const services = Object.entries(compose.services);

test("every image is named with a version, and the sidecar's is this package's", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  for (const [name, { image }] of services) assert.match(image, /:v?\d+\.\d+\.\d+$/, name);
  assert.equal(compose.services["outrider"]?.image, `outrider:${version}`);
  const chart = parse(read("deploy/helm/outrider/Chart.yaml")) as { version: string; appVersion: string };
  assert.deepEqual([chart.version, chart.appVersion], [version, version]);
});

test("nothing runs with privileges, writes to its root file system, or is reached from another machine", () => {
  for (const [name, service] of services) {
    assert.ok(service.read_only === true && service.privileged !== true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/, name);
  }
});

test("what is mounted is there, and a service waits for the health only of one that has a check", () => {
  const mounted = services.flatMap(([, { volumes = [] }]) =>
    volumes.map((volume) => volume.split(":")[0] ?? ""),
  );
  for (const path of [...mounted, ...Object.values(compose.secrets).map(({ file }) => file)]) {
    if (path.startsWith("./")) assert.ok(existsSync(join(root, path)), path);
    else assert.ok(Object.hasOwn(compose.volumes, path), path);
  }
  for (const [name, { depends_on = {} }] of services) {
    for (const [other, { condition }] of Object.entries(depends_on)) {
      const checked = compose.services[other]?.healthcheck?.test !== undefined;
      assert.equal(condition, checked ? "service_healthy" : "service_started", `${name} -> ${other}`);
    }
  }
});

test("the sidecar's configuration is accepted, and its token is the one that the callers are given", () => {
  const file = join(root, "deploy", "compose", "outrider.yaml");
  const { config, warnings } = loadConfig({ file, flags: {}, env: {}, cwd: root });
  assert.deepEqual(warnings, []);
  const token = read("deploy/compose/api-token").trim();
  assert.equal(config.api.tokens[0]?.sha256, createHash("sha256").update(token).digest("hex"));
  assert.equal(config.upstream.http, "http://model:8000");
});

test("what Prometheus scrapes and tells are services of the stack", () => {
  const text = read("deploy/prometheus/prometheus.yml");
  const settings = parse(text) as { rule_files: string[]; scrape_configs: { job_name: string }[] };
  for (const [, name] of text.matchAll(/"(\w+):\d+"/g))
    assert.ok(Object.hasOwn(compose.services, name ?? ""), text);
  assert.ok(settings.scrape_configs.some(({ job_name }) => job_name === "outrider"));
  assert.deepEqual(settings.rule_files, ["outrider.*.yml"]);
});

test("the image is built from what the package holds", () => {
  const { files } = JSON.parse(read("package.json")) as { files: string[] };
  const allowed = new Set(
    read(".dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1)),
  );
  const covered = (path: string): boolean =>
    path === "dist" || [...allowed].some((each) => path === each || path.startsWith(`${each}/`));
  assert.deepEqual(
    files.filter((path) => !covered(path)),
    [],
  );
  for (const path of allowed) assert.ok(existsSync(join(root, path)), path);
});
