// Puts the real third-party systems below .real/ in the repository: once per pinned version, stamped when complete, never skipped.
// Needs Python 3.11 and Go (or, without Go, Debian's packages) and their ordinary package sources.

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, runFetching, say, type CommandOptions } from "./command.ts";
import { withLock } from "./lock.ts";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..", "..");
export const realFolder = join(root, ".real");
export const pythonFolder = join(root, "test", "real", "python");

const PROMETHEUS = { version: "3.16.0", module: "v0.316.0" };
const ALERTMANAGER = { version: "0.34.2" };
const COLLECTOR = { version: "0.165.0" };
const H2SPEC = { version: "v2.2.1+incompatible" };
const KSERVE = { version: "0.21.0" };
const HELM = { version: "3.22.0", kubernetes: { major: 1, minor: 37 } };
/** For all tries of one command together. */
export const INSTALL_MS = 25 * 60_000;
/** Another run may be installing: longer than its own limit, so that it has failed before we give up. */
const LOCK_MS = INSTALL_MS + 60_000;

export interface PythonInstall {
  readonly python: string;
  /** The folder of `mlserver`, `mlflow`, `uvicorn`: goes first on PATH. */
  readonly bin: string;
}

export interface PrometheusInstall {
  readonly prometheus: string;
  readonly promtool: string;
  readonly version: string;
  readonly from: "go" | "apt";
}

export interface AlertmanagerInstall {
  readonly alertmanager: string;
  readonly amtool: string;
}

const running = new Map<string, Promise<void>>();

/**
 * Runs `install` unless the stamp of this `version` is there and so are `files`. The stamp is written last.
 * One process at a time installs a thing: several worktrees may share one .real folder.
 */
export async function once(
  what: { readonly name: string; readonly version: string; readonly files: readonly string[] },
  install: () => Promise<void>,
): Promise<void> {
  const stamp = join(realFolder, "stamps", what.name);
  const complete = (): boolean =>
    existsSync(stamp) && readFileSync(stamp, "utf8") === what.version && what.files.every(existsSync);
  if (complete()) return;
  const perform = async (): Promise<void> => {
    if (complete()) return;
    const from = performance.now();
    say(`installing ${what.name} ${what.version} …`);
    mkdirSync(dirname(stamp), { recursive: true });
    mkdirSync(join(realFolder, "bin"), { recursive: true });
    await install();
    const missing = what.files.filter((file) => !existsSync(file));
    if (missing.length > 0) throw new Error(`${what.name}: installed, but missing: ${missing.join(", ")}`);
    writeFileSync(stamp, what.version);
    say(`installed ${what.name} ${what.version} in ${Math.round((performance.now() - from) / 1000)} s`);
  };
  const first = running.get(what.name) ?? withLock(join(realFolder, "locks", what.name), LOCK_MS, perform);
  running.set(what.name, first);
  await first.finally(() => running.delete(what.name));
}

const binary = (name: string): string => join(realFolder, "bin", name);

/** A virtual environment with everything of requirements.txt: MLServer, MLflow and scikit-learn in one. */
export async function ensurePython(): Promise<PythonInstall> {
  const folder = join(realFolder, "python");
  const bin = join(folder, "bin");
  const python = join(bin, "python");
  const pins = ["requirements.txt", "constraints.txt"].map((file) => readFileSync(join(pythonFolder, file)));
  const version = createHash("sha256").update(Buffer.concat(pins)).digest("hex").slice(0, 12);
  const files = [python, join(bin, "mlserver"), join(bin, "mlflow")];
  await once({ name: "python", version, files }, async () => {
    const base = await findPython();
    rmSync(folder, { recursive: true, force: true });
    await run(base, ["-m", "venv", folder], { withinMs: INSTALL_MS });
    const requirements = join(pythonFolder, "requirements.txt");
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
    await runFetching(python, pip, { withinMs: INSTALL_MS });
  });
  return { python, bin };
}

/** Throws when there is none. */
export async function findPython(): Promise<string> {
  for (const name of ["python3.11", "/usr/bin/python3.11", "python3"]) {
    const found = await run(name, ["--version"], { mayFail: true });
    if (found.ok && found.output.includes("Python 3.11.")) return name;
  }
  throw new Error("Python 3.11 is needed: the pins in test/real/python were resolved for it");
}

async function haveGo(): Promise<boolean> {
  const found = await run("go", ["version"], { mayFail: true });
  return found.ok;
}

async function goInstall(target: string, flags: readonly string[]): Promise<void> {
  const env = { GOBIN: join(realFolder, "bin") };
  await runFetching("go", ["install", ...flags, target], { withinMs: INSTALL_MS, env });
}

/** Prometheus and promtool: built from Go modules; Debian's older ones where there is no Go. */
export async function ensurePrometheus(): Promise<PrometheusInstall> {
  if (!(await haveGo())) return prometheusFromDebian();
  const installed = { prometheus: binary("prometheus"), promtool: binary("promtool") };
  const { version, module } = PROMETHEUS;
  // Without the tag, the client libraries of every cloud are compiled in.
  const named = `-s -w -X github.com/prometheus/common/version.Version=${version}`;
  const flags = ["-tags", "remove_all_sd,netgo", "-ldflags", named];
  for (const name of ["prometheus", "promtool"] as const) {
    await once({ name, version, files: [installed[name]] }, () =>
      goInstall(`github.com/prometheus/prometheus/cmd/${name}@${module}`, flags),
    );
  }
  return { ...installed, version, from: "go" };
}

async function prometheusFromDebian(): Promise<PrometheusInstall> {
  say("no Go here: taking Debian's older Prometheus");
  const folder = await debian("prometheus", ["usr/bin/prometheus", "usr/bin/promtool"]);
  const prometheus = join(folder, "usr", "bin", "prometheus");
  const told = await run(prometheus, ["--version"]);
  const version = /version (\d[\w.]*)/.exec(told.output)?.[1] ?? "unknown";
  return { prometheus, promtool: join(folder, "usr", "bin", "promtool"), version, from: "apt" };
}

/** `apt-get` with what is known, else with new package lists: they may be missing or old. */
async function withLists(args: readonly string[], options: CommandOptions): Promise<void> {
  const bounded = { ...options, withinMs: INSTALL_MS };
  const got = await run("apt-get", args, { ...bounded, mayFail: true });
  if (got.ok) return;
  // What fails here is told by what follows.
  await runFetching("apt-get", ["update"], { withinMs: INSTALL_MS, mayFail: true });
  await runFetching("apt-get", args, bounded);
}

/** Downloads one Debian package and unpacks it below .real/apt: nothing is installed into the system, no service starts. */
async function debian(name: string, wanted: readonly string[]): Promise<string> {
  const folder = join(realFolder, "apt", name);
  const files = wanted.map((file) => join(folder, file));
  await once({ name: `apt-${name}`, version: "debian", files }, async () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await withLists(["download", name], { cwd: folder });
    const deb = readdirSync(folder).find((file) => file.endsWith(".deb"));
    if (deb === undefined) throw new Error(`apt-get download ${name} left no package`);
    await run("dpkg-deb", ["-x", deb, "."], { cwd: folder });
    rmSync(join(folder, deb));
  });
  return folder;
}

/** Alertmanager and amtool, from Go modules. Throws where there is no Go. */
export async function ensureAlertmanager(): Promise<AlertmanagerInstall> {
  if (!(await haveGo())) throw new Error("Go is needed to build Alertmanager");
  const { version } = ALERTMANAGER;
  const name = "github.com/prometheus/alertmanager";
  const installed = { alertmanager: binary("alertmanager"), amtool: binary("amtool") };
  const flags = ["-ldflags", `-s -w -X github.com/prometheus/common/version.Version=${version}`];
  await once({ name: "alertmanager", version, files: Object.values(installed) }, async () => {
    const download = ["mod", "download", "-json", `${name}@v${version}`];
    const told = await runFetching("go", download, { withinMs: INSTALL_MS });
    const folder = (JSON.parse(told.stdout) as { Dir: string }).Dir;
    const source = join(realFolder, "src", "alertmanager");
    rmSync(source, { recursive: true, force: true });
    cpSync(folder, source, { recursive: true });
    await run("chmod", ["-R", "u+w", source]);
    // The published module lacks the built web page that the program embeds.
    mkdirSync(join(source, "ui", "app", "dist"), { recursive: true });
    writeFileSync(join(source, "ui", "app", "dist", "index.html"), "<!doctype html><title>no page</title>\n");
    for (const each of ["alertmanager", "amtool"] as const) {
      const build = ["build", ...flags, "-o", installed[each], `./cmd/${each}`];
      await runFetching("go", build, { cwd: source, withinMs: INSTALL_MS });
    }
    rmSync(source, { recursive: true, force: true });
  });
  return installed;
}

/** An OpenTelemetry Collector with OTLP in, OTLP JSON and debug out: the small program in support/collector. */
export async function ensureCollector(): Promise<{ readonly collector: string }> {
  if (!(await haveGo())) throw new Error("Go is needed to build the Collector");
  return { collector: await ensureOwn("collector", ["main.go", "go.mod", "go.sum"], COLLECTOR.version) };
}

/** The conformance tests of HTTP/2, from their Go module. Throws where there is no Go. */
export async function ensureH2spec(): Promise<{ readonly h2spec: string }> {
  if (!(await haveGo())) throw new Error("Go is needed to build h2spec");
  const h2spec = binary("h2spec");
  const { version } = H2SPEC;
  await once({ name: "h2spec", version, files: [h2spec] }, () =>
    goInstall(`github.com/summerwind/h2spec/cmd/h2spec@${version}`, []),
  );
  return { h2spec };
}

/** Helm, from its Go module. Throws where there is no Go. */
export async function ensureHelm(): Promise<{ readonly helm: string }> {
  if (!(await haveGo())) throw new Error("Go is needed to build Helm");
  const { version, kubernetes } = HELM;
  const helm = binary("helm");
  // As its own build does: charts ask which Kubernetes they are rendered for.
  const names = {
    "helm.sh/helm/v3/internal/version.version": `v${version}`,
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor": kubernetes.major,
    "helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor": kubernetes.minor,
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor": kubernetes.major,
    "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": kubernetes.minor,
  };
  const named = Object.entries(names).map(([name, value]) => `-X ${name}=${value}`);
  const flags = ["-ldflags", `-s -w ${named.join(" ")}`];
  await once({ name: "helm", version, files: [helm] }, () =>
    goInstall(`helm.sh/helm/v3/cmd/helm@v${version}`, flags),
  );
  return { helm };
}

/** A small program of our own below support/: stamped by the content of its files. */
async function ensureOwn(name: string, wanted: readonly string[], version: string): Promise<string> {
  const source = join(here, name);
  const text = wanted.map((file) => readFileSync(join(source, file)));
  const content = createHash("sha256").update(Buffer.concat(text)).digest("hex").slice(0, 8);
  const program = binary(name);
  await once({ name, version: `${version}-${content}`, files: [program] }, async () => {
    const build = ["build", "-ldflags", "-s -w", "-o", program, "."];
    await runFetching("go", build, { cwd: source, withinMs: INSTALL_MS });
  });
  return program;
}

/** Reads Kubernetes objects, compose files and Dockerfiles with the libraries of their own programs. */
export async function ensureManifests(): Promise<{ readonly manifests: string }> {
  if (!(await haveGo())) throw new Error("Go is needed to build the reader of deployment files");
  const sources = readdirSync(join(here, "manifests")).toSorted();
  return { manifests: await ensureOwn("manifests", sources, "1") };
}

/** The folder with the types that KServe publishes for Python, without what it depends on. */
export async function ensureKserveTypes(): Promise<{ readonly python: string; readonly site: string }> {
  const site = join(realFolder, "kserve");
  const { version } = KSERVE;
  const python = await findPython();
  const files = [join(site, "kserve", "models", "v1beta1_inference_service.py")];
  await once({ name: "kserve", version, files }, async () => {
    rmSync(site, { recursive: true, force: true });
    const pip = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--disable-pip-version-check",
      "--no-deps",
      "--target",
      site,
    ];
    await runFetching(python, [...pip, `kserve==${version}`], { withinMs: INSTALL_MS });
  });
  return { python, site };
}

/** Debian's nginx, unpacked. Run it with its own `-p` and `-c`. */
export async function ensureNginx(): Promise<{ readonly nginx: string; readonly version: string }> {
  const folder = await debian("nginx", ["usr/sbin/nginx"]);
  const nginx = join(folder, "usr", "sbin", "nginx");
  const told = await run(nginx, ["-v"]);
  return { nginx, version: /nginx\/(\S+)/.exec(told.output)?.[1] ?? "unknown" };
}

/** A Chromium that can be driven: the one on PATH, else Debian's, installed as root. */
export async function ensureChromium(): Promise<{ readonly chromium: string }> {
  const find = async (): Promise<string | null> => {
    for (const name of ["chromium", "google-chrome"]) {
      const found = await run("which", [name], { mayFail: true });
      if (found.ok) return found.stdout.trim();
    }
    return null;
  };
  const present = await find();
  if (present !== null) return { chromium: present };
  say("installing chromium …");
  const install = ["install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"];
  await withLists(install, { env: { DEBIAN_FRONTEND: "noninteractive" } });
  const installed = await find();
  if (installed === null) throw new Error("apt-get installed chromium, but it is not on PATH");
  return { chromium: installed };
}
