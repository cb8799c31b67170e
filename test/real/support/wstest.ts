// Puts Autobahn's test suite below .real/wstest: it is written for Python 2.7, which Debian 11 was the last to carry, so that comes along.

import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, runFetching } from "./command.ts";
import { findPython, INSTALL_MS, once, pythonFolder, realFolder } from "./install.ts";

const SUITE = "bullseye";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** The interpreter and the libraries it was linked to; none of them is in the Debian around it. */
const DEBS = ["python2.7-minimal", "libpython2.7-minimal", "libpython2.7-stdlib", "libssl1.1", "libffi7"];
/** The last that run on Python 2.7. */
const PIP = ["pip==20.3.4", "setuptools==44.1.1", "wheel==0.37.1"];

export interface WstestInstall {
  readonly command: string;
  /** Ahead of wstest's own. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where this machine has Debian's packages from. Throws when apt names no such place. */
async function debianArchive(): Promise<string> {
  const told = await runFetching("apt-get", ["update", "--print-uris"]);
  const archive = /^'([^']+\/debian)\/dists\/[a-z]+\/InRelease'/m.exec(told.stdout)?.[1];
  if (archive === undefined) throw new Error(`apt-get knows no archive of Debian:\n${told.output}`);
  return archive;
}

/** Unpacks packages of an older Debian into `folder`, with lists of packages of their own: the system's stay as they are. */
async function unpackDebs(folder: string): Promise<void> {
  const apt = join(folder, "apt");
  for (const each of ["lists/partial", "cache/archives/partial", "debs"])
    mkdirSync(join(apt, each), { recursive: true });
  const sources = join(apt, "sources.list");
  writeFileSync(sources, `deb [signed-by=${KEYRING}] ${await debianArchive()} ${SUITE} main\n`);
  const settings = {
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::State::lists": join(apt, "lists"),
    "Dir::Cache": join(apt, "cache"),
    "Acquire::Languages": "none",
  };
  const own = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  const bounded = { withinMs: INSTALL_MS, cwd: join(apt, "debs") };
  await runFetching("apt-get", [...own, "update"], bounded);
  await runFetching("apt-get", [...own, "download", ...DEBS], bounded);
  const debs = readdirSync(bounded.cwd).filter((name) => name.endsWith(".deb"));
  if (debs.length !== DEBS.length) throw new Error(`apt-get left ${debs.join(", ")}, not ${DEBS.join(", ")}`);
  for (const deb of debs) await run("dpkg-deb", ["-x", join(bounded.cwd, deb), folder]);
  rmSync(apt, { recursive: true, force: true });
}

function libraries(folder: string): string {
  const at = join(folder, "usr", "lib");
  const found = readdirSync(at).find((name) => name.endsWith("-linux-gnu"));
  if (found === undefined) throw new Error(`no libraries in ${at}`);
  return join(at, found);
}

/** How to run `wstest`. Throws when it cannot be installed. */
export async function ensureWstest(): Promise<WstestInstall> {
  const folder = join(realFolder, "wstest");
  const packages = join(folder, "packages");
  const command = join(folder, "usr", "bin", "python2.7");
  const requirements = join(pythonFolder, "wstest.txt");
  const pins = [readFileSync(requirements), Buffer.from([SUITE, ...DEBS, ...PIP].join("\n"))];
  const version = createHash("sha256").update(Buffer.concat(pins)).digest("hex").slice(0, 12);
  const files = [command, join(packages, "autobahntestsuite", "wstest.py")];
  await once({ name: "wstest", version, files }, async () => {
    rmSync(folder, { recursive: true, force: true });
    await unpackDebs(folder);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"];
    const installer = join(folder, "installer");
    const bounded = { withinMs: INSTALL_MS };
    await runFetching(await findPython(), [...pip, "--no-compile", "--target", installer, ...PIP], bounded);
    const env = { LD_LIBRARY_PATH: libraries(folder), PYTHONPATH: installer };
    await runFetching(command, [...pip, "--target", packages, "-r", requirements], { ...bounded, env });
  });
  const args = ["-E", "-s", join(pythonFolder, "wstest.py"), packages];
  return { command, args, env: { LD_LIBRARY_PATH: libraries(folder) } };
}
