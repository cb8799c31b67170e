// The rules that no linter knows: who may import whom, what documents may name, what may not be said.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const sources = tracked.filter((file) => file.startsWith("src/") && file.endsWith(".ts"));

interface Rule {
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
}

const roads = ["proxy", "observe", "ledger", "measure", "versions", "watch", "telemetry", "api"];
const RULES: Readonly<Record<string, Rule>> = {
  kernel: { rooms: [], packages: [] },
  facts: { rooms: ["kernel"], packages: [] },
  catalogue: { rooms: ["kernel"], packages: [] },
  config: { rooms: ["kernel"], packages: ["zod", "yaml"] },
  proxy: { rooms: ["kernel", "facts"], packages: [] },
  observe: { rooms: ["kernel", "facts"], packages: ["protobufjs"] },
  ledger: { rooms: ["kernel", "facts"], packages: [] },
  measure: { rooms: ["kernel", "facts"], packages: [] },
  versions: { rooms: ["kernel", "facts"], packages: ["undici", "zod"] },
  watch: { rooms: ["kernel", "facts"], packages: ["pidusage", "node-cron"] },
  telemetry: { rooms: ["kernel", "facts", "catalogue"], packages: ["prom-client", "@opentelemetry"] },
  api: { rooms: ["kernel", "facts", "catalogue"], packages: ["express", "zod", "csv-parse", "uplot"] },
  app: { rooms: ["kernel", "facts", "config", "catalogue", "proxy"], packages: ["pino"] },
  observer: {
    // The logger is shared by both processes.
    rooms: ["kernel", "facts", "app", "config", "catalogue", ...roads.filter((r) => r !== "proxy")],
    packages: ["pino"],
  },
  dashboards: { rooms: ["kernel", "catalogue", "config"], packages: [] },
  demo: { rooms: ["kernel", "facts"], packages: ["undici"] },
  cli: {
    rooms: [
      "kernel",
      "facts",
      "app",
      "config",
      "catalogue",
      "ledger",
      "measure",
      "demo",
      "observer",
      "api",
      "dashboards",
    ],
    packages: ["commander", "undici", "pino"],
  },
  main: { rooms: ["cli", "kernel"], packages: [] },
};

/** `src/proxy/relay.ts` -> proxy; `src/app.ts` -> app. */
function roomOf(file: string): string {
  return (
    file
      .replace(/^src\//, "")
      .replace(/\.(ts|json)$/, "")
      .split("/")[0] ?? ""
  );
}

function importsOf(text: string): string[] {
  const named = [...text.matchAll(/^(?:import|export|\})[^"\n]*from\s+"([^"]+)";$/gm)];
  const bare = [...text.matchAll(/^import\s+"([^"]+)";$|\bimport\(\s*"([^"]+)"\s*\)/gm)];
  return [...named, ...bare].map((match) => match[1] ?? match[2] ?? "");
}

test("each room imports only what the map allows", () => {
  const wrong: string[] = [];
  for (const file of sources) {
    const room = roomOf(file);
    const rule = RULES[room];
    assert.ok(rule, `${file}: no rule for room ${room}`);
    for (const target of importsOf(read(file))) {
      if (target.startsWith("node:")) {
        if (target === "node:sqlite" && room !== "ledger") wrong.push(`${file} -> ${target}`);
      } else if (target.startsWith(".")) {
        const to = roomOf(normalize(join(dirname(file), target)));
        if (to !== room && !rule.rooms.includes(to)) wrong.push(`${file} -> ${to}`);
      } else if (!rule.packages.some((name) => target === name || target.startsWith(`${name}/`))) {
        wrong.push(`${file} -> ${target}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

test("no source file is longer than 400 lines", () => {
  const long = sources.filter((file) => read(file).split("\n").length > 400);
  assert.deepEqual(long, []);
});

test("every source file opens by saying what it is for", () => {
  assert.deepEqual(
    sources.filter((file) => !/^(#!.*\n)?\/\//.test(read(file))),
    [],
  );
});

test("no source file is dead: each is imported, or is where a process starts", () => {
  const roots = new Set(["src/main.ts"]);
  const named = new Set(
    tracked
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => importsOf(read(file)).map((target) => normalize(join(dirname(file), target)))),
  );
  assert.deepEqual(
    sources.filter((file) => !roots.has(file) && !named.has(file)),
    [],
  );
});

test("every path and npm script that a document names exists", () => {
  const scripts = Object.keys(
    (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts,
  );
  const wrong: string[] = [];
  for (const file of tracked.filter((name) => name.endsWith(".md") && !name.startsWith("test/"))) {
    const text = read(file);
    for (const match of text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)) {
      const path = normalize(join(dirname(file), match[1] ?? ""));
      if (!existsSync(join(root, path))) wrong.push(`${file}: ${match[1]}`);
    }
    for (const match of text.matchAll(/`((?:src|test|docs|bench|deploy|grafana|bin|\.ci)\/[\w./-]*)`/g)) {
      if (!existsSync(join(root, match[1] ?? ""))) wrong.push(`${file}: ${match[1]}`);
    }
    for (const match of text.matchAll(/npm run ([\w:-]+)/g)) {
      if (!scripts.includes(match[1] ?? "")) wrong.push(`${file}: npm run ${match[1]}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("nothing names a machine's paths, and no test is skipped or left alone", () => {
  const wrong: string[] = [];
  for (const file of tracked.filter(
    (name) => /\.(ts|md|json|yaml|yml|py|sh)$/.test(name) && name !== "test/tidy.test.ts",
  )) {
    const text = read(file);
    if (/\/(?:work|home\/[a-z]+|root)\//.test(text) && !file.startsWith("test/recordings/"))
      wrong.push(`${file}: machine path`);
    if (/\b(?:TODO|FIXME|XXX)\b/.test(text)) wrong.push(`${file}: unfinished`);
    if (/\.(?:skip|only)\(|@ts-(?:ignore|expect-error)|(?:eslint|oxlint)-disable/.test(text))
      wrong.push(`${file}: silenced`);
  }
  assert.deepEqual(wrong, []);
});
