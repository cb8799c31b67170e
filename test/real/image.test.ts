// The image without a Docker engine: BuildKit's own parser and lint rules read the Dockerfile, its steps are carried out in a folder,
// and the result runs as the image's user on a read-only file system. The compose file is held against its published schema.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { request } from "undici";
import { until } from "../support/sidecar.ts";
import { readCompose, readDockerfile } from "./support/deploy.ts";
import { imitate, type Image } from "./support/dockerfile.ts";
import { freePort, startProcess, temporaryFolder, type RealProcess } from "./support/process.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");

test("the compose file is what its published schema wants, with every service and its conditions", async () => {
  const { services } = await readCompose(join(root, "docker-compose.yml"));
  assert.deepEqual(Object.keys(services).toSorted(), [
    "alertmanager",
    "collector",
    "grafana",
    "model",
    "outrider",
    "prometheus",
    "traffic",
  ]);
});

interface Built {
  readonly folder: string;
  readonly image: Image;
  readonly store: string;
}

async function build(t: TestContext): Promise<Built> {
  const { stages, warnings } = await readDockerfile(join(root, "deploy", "Dockerfile"));
  assert.deepEqual(warnings, []);
  for (const { base } of stages) assert.match(base, /^node:26\.\d+\.\d+-trixie-slim$/);
  const folder = temporaryFolder(t, "image");
  chmodSync(folder, 0o755);
  // The base image's node, where its user can reach it.
  const nodeFolder = join(folder, "usr", "local", "bin");
  mkdirSync(nodeFolder, { recursive: true });
  copyFileSync(process.execPath, join(nodeFolder, "node"));
  const image = await imitate(stages, { context: root, folder, nodeFolder });
  const store = join(folder, "var", "lib", "outrider");
  const [uid = 0, gid = 0] = image.user.split(":").map(Number);
  chownSync(store, uid, gid);
  return { folder, image, store };
}

/** A command of the image: nothing writable but the store, no capability, no way to get one. */
function contained(
  { folder, image, store }: Built,
  argv: readonly string[],
): { command: string; args: string[] } {
  const [uid, gid] = image.user.split(":");
  const inside = argv.map((word) => (word.startsWith("/opt/") ? join(folder, word) : word));
  inside[0] = join(folder, "usr", "local", "bin", inside[0] ?? "");
  const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro / && cd "$0" && exec setpriv "$@"';
  const privileges = [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    "--clear-groups",
    "--no-new-privs",
    "--bounding-set=-all",
  ];
  return { command: "unshare", args: ["--mount", "sh", "-ec", script, store, ...privileges, ...inside] };
}

function runOnce(built: Built, argv: readonly string[]): { status: number | null; output: string } {
  const { command, args } = contained(built, argv);
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 300_000 });
  return { status, output: stdout + stderr };
}

function bytesBelow(folder: string): number {
  const { stdout } = spawnSync("du", ["-sb", folder], { encoding: "utf8" });
  return Number(stdout.split("\t")[0]);
}

const textOf = async (url: string): Promise<string> => await (await request(url)).body.text();

function rssOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

test(
  "the image builds from the context, is small, and runs as nobody on a read-only file system",
  { timeout: 900_000 },
  async (t) => {
    const built = await build(t);
    const { folder, image, store } = built;
    assert.deepEqual(
      [image.user, image.workdir, image.command],
      ["65532:65532", "/var/lib/outrider", ["run"]],
    );
    const megabytes = bytesBelow(join(folder, "opt", "outrider")) / 1e6;
    t.diagnostic(`the program and its dependencies: ${megabytes.toFixed(1)} MB, beside Node's own`);
    assert.ok(megabytes < 120, `${megabytes} MB`);
    const packages = readdirSync(join(folder, "opt", "outrider", "node_modules"));
    for (const absent of ["typescript", "oxlint", "node", "ajv"])
      assert.ok(!packages.includes(absent), absent);

    const start = (name: string, words: readonly string[], readyUrl: string): Promise<RealProcess> =>
      startProcess(t, {
        name,
        ...contained(built, [...image.entrypoint, ...words]),
        env: { ...image.env, OUTRIDER_STORE_PATH: store },
        readyUrl,
      });
    const ports = { model: await freePort(), traffic: await freePort(), telemetry: await freePort() };
    const model = `http://127.0.0.1:${ports.model}`;
    await start("model", ["demo-server", "--listen", `127.0.0.1:${ports.model}`], `${model}/v2/health/ready`);
    const flags = [
      "--upstream",
      model,
      "--api-listen",
      "127.0.0.1:0",
      "--listen",
      `127.0.0.1:${ports.traffic}`,
    ];
    flags.push("--telemetry-listen", `127.0.0.1:${ports.telemetry}`);
    const ready = `http://127.0.0.1:${ports.telemetry}/readyz`;
    const sidecar = await start("outrider", [...image.command, ...flags], ready);

    await until(async () =>
      /^outrider_store_size_bytes [1-9]/m.test(await textOf(ready.replace("readyz", "metrics"))),
    );
    const health = image.health.map((word) => (word.includes("/readyz") ? ready : word));
    // It waits two seconds for an answer, as in an image: on a machine that hardly runs it is asked again, as there.
    await until(() => runOnce(built, health).status === 0);
    assert.equal(
      runOnce(built, [...health.slice(0, -1), `${ready}-not`]).status,
      1,
      "a health check that fails",
    );
    const write = `require("node:fs").writeFileSync(${JSON.stringify(join(folder, "opt", "outrider", "x"))}, "")`;
    assert.match(runOnce(built, ["node", "-e", write]).output, /EROFS/);
    const answered = await request(`http://127.0.0.1:${ports.traffic}/v2/models/diabetes`);
    assert.equal(answered.statusCode, 200);
    await answered.body.dump();
    assert.deepEqual(
      readFileSync(`/proc/${sidecar.pid}/status`, "utf8").match(/^(?:Uid|CapBnd|NoNewPrivs):.*$/gm),
      ["Uid:\t65532\t65532\t65532\t65532", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1"],
    );
    t.diagnostic(`the traffic process holds ${rssOf(sidecar.pid).toFixed(0)} MiB at rest`);
    await sidecar.stop();
    assert.match(sidecar.output(), /"stopped"/);
    assert.ok(readdirSync(store).length > 0, "the store was written");
  },
);
