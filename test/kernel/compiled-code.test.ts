import assert from "node:assert/strict";
import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { until } from "../support/sidecar.ts";

const source = (name: string): string => new URL(`../../src/${name}`, import.meta.url).href;

/** A process of its own: opens the folder of its first argument, loads some code, keeps it, and says how that went. */
const PROGRAM = `
const { openCompiledCode } = await import(${JSON.stringify(source("kernel/compiled-code.ts"))});
if (process.argv[3] !== undefined) process.getuid = () => Number(process.argv[3]);
const limits = process.argv[4] === undefined ? undefined : JSON.parse(process.argv[4]);
const compiled = openCompiledCode(process.argv[2], limits);
const { pathOf } = await import(${JSON.stringify(source("kernel/glob.ts"))});
if (process.argv[5] !== undefined) await import(process.argv[5]);
const whyNot = await compiled.keep();
console.log(JSON.stringify({ path: pathOf("/a?b"), whyNot, bytes: compiled.bytes }));
`;

interface Said {
  readonly path: string;
  readonly whyNot: string | null;
  readonly bytes: number;
  /** Modules that were read as they had been compiled. */
  readonly read: number;
}

interface Place {
  readonly store: string;
  readonly folder: string;
  readonly program: string;
  run(...args: string[]): Said;
}

const environment = { ...process.env, NODE_COMPILE_CACHE: "", NODE_DEBUG_NATIVE: "COMPILE_CACHE" };

function place(t: TestContext): Place {
  const root = mkdtempSync(join(tmpdir(), "outrider-compiled-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const program = join(root, "program.mjs");
  writeFileSync(program, PROGRAM);
  const store = join(root, "store");
  const folder = join(store, "compiled");
  return {
    store,
    folder,
    program,
    run: (...args) => {
      const ended: SpawnSyncReturns<string> = spawnSync(process.execPath, [program, folder, ...args], {
        env: environment,
        encoding: "utf8",
        maxBuffer: 64 * 1024 * 1024,
      });
      assert.equal(ended.status, 0, ended.stderr);
      // Node's own debug lines are on either stream.
      const all = `${ended.stdout}${ended.stderr}`;
      const line = all.split("\n").find((one) => one.startsWith('{"path"')) ?? "{}";
      return { ...(JSON.parse(line) as Said), read: all.match(/ was accepted, /g)?.length ?? 0 };
    },
  };
}

const OWNER = String(process.getuid?.() ?? 0);
const KEPT = { path: "/a", whyNot: null };

/** Of the one set of this Node. */
function filesIn(folder: string): string[] {
  const [set, ...others] = readdirSync(folder);
  assert.deepEqual(others, []);
  return readdirSync(join(folder, set ?? "")).map((name) => join(folder, set ?? "", name));
}

test("what one process compiled the next one reads, from a folder that is its owner's alone", (t) => {
  const { run, store, folder } = place(t);
  const first = run();
  assert.partialDeepStrictEqual(first, KEPT);
  assert.equal(first.read, 0);
  assert.ok(first.bytes > 0);
  for (const made of [store, folder]) assert.equal(statSync(made).mode & 0o777, 0o700, made);
  assert.equal(
    first.bytes,
    filesIn(folder).reduce((sum, file) => sum + statSync(file).size, 0),
  );
  const second = run();
  assert.partialDeepStrictEqual(second, { ...KEPT, bytes: first.bytes });
  assert.ok(second.read > 0, "nothing was read as it had been compiled");
});

test("spoiled files lead to a start as ever, and are written anew", (t) => {
  const { run, folder } = place(t);
  const { read } = (run(), run());
  const spoil: Readonly<Record<string, (file: string) => void>> = {
    "cut off": (file) => truncateSync(file, Math.floor(statSync(file).size / 2)),
    empty: (file) => truncateSync(file, 0),
    "a bit in the middle": (file) => {
      const bytes = readFileSync(file);
      const at = Math.floor((bytes.length + 24) / 2);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(file, bytes);
    },
    "a folder in its place": (file) => {
      rmSync(file);
      mkdirSync(file);
    },
  };
  for (const [how, damage] of Object.entries(spoil)) {
    for (const file of filesIn(folder)) damage(file);
    const said = run();
    assert.partialDeepStrictEqual(said, KEPT, how);
    assert.equal(said.read, 0, how);
    if (how === "a folder in its place") continue;
    assert.equal(run().read, read, how);
  }
});

test("one that is killed while it writes leaves nothing that the next one minds", async (t) => {
  const { run, folder, program } = place(t);
  const args = [program, folder, OWNER, "", source("observer.ts")];
  const child = spawn(process.execPath, args.with(3, JSON.stringify({ bytesMax: 1e9, freeBytesLeast: 0 })), {
    env: { ...environment, NODE_DEBUG_NATIVE: "" },
    stdio: "ignore",
  });
  t.after(() => child.kill("SIGKILL"));
  const ended = new Promise((resolve) => child.once("close", resolve));
  await until(() => existsSync(folder) && readdirSync(folder).length > 0 && filesIn(folder).length > 0);
  child.kill("SIGKILL");
  await ended;
  // As it would be had it died between the two: a file under the name that it has before it is whole.
  const [set = ""] = readdirSync(folder);
  writeFileSync(join(folder, set, "0123abcd.Xy12Zz"), "half");
  assert.partialDeepStrictEqual(run(), KEPT);
  assert.ok(filesIn(folder).every((file) => /[/\\][0-9a-f]{8}$/.test(file)));
});

test("a folder that others could write to is emptied; one that is not ours, or no folder, is not used", (t) => {
  const { run, store, folder } = place(t);
  run();
  const [file = ""] = filesIn(folder);
  writeFileSync(join(folder, "theirs"), "");
  chmodSync(folder, 0o770);
  const emptied = run();
  assert.partialDeepStrictEqual(emptied, KEPT);
  assert.equal(emptied.read, 0, "what others could have written was run");
  assert.ok(existsSync(file) && !existsSync(join(folder, "theirs")));
  assert.equal(statSync(folder).mode & 0o777, 0o700);

  assert.match(run("4711").whyNot ?? "", /not ours/);

  rmSync(folder, { recursive: true });
  const elsewhere = join(store, "elsewhere");
  mkdirSync(elsewhere, { mode: 0o700 });
  symlinkSync(elsewhere, folder);
  assert.notEqual(run().whyNot, null, "a link was followed");
  assert.deepEqual(readdirSync(elsewhere), []);
  assert.ok(lstatSync(folder).isSymbolicLink());

  rmSync(folder);
  writeFileSync(folder, "a file");
  assert.notEqual(run().whyNot, null);
  rmSync(store, { recursive: true });
  writeFileSync(store, "a file");
  assert.notEqual(run().whyNot, null);
});

test("sets of other versions of Node go, a folder that has grown too large begins anew, a full disk is not written to", (t) => {
  const { run, folder } = place(t);
  run();
  const [set = ""] = readdirSync(folder);
  mkdirSync(join(folder, "v25.0.0-x64-00000000-0"));
  writeFileSync(join(folder, "v25.0.0-x64-00000000-0", "01234567"), "old");
  run();
  assert.deepEqual(readdirSync(folder), [set]);

  const large = run(OWNER, JSON.stringify({ bytesMax: 1, freeBytesLeast: 0 }));
  assert.match(large.whyNot ?? "", /begins anew/);
  assert.deepEqual(filesIn(folder), []);

  const full = run(OWNER, JSON.stringify({ bytesMax: 1e9, freeBytesLeast: Number.MAX_SAFE_INTEGER }));
  assert.match(full.whyNot ?? "", /free/);
  assert.deepEqual(filesIn(folder), []);
});

test("a folder that NODE_COMPILE_CACHE names is used instead, and none is made", (t) => {
  const { store, program, folder } = place(t);
  const own = join(store, "..", "own");
  const ended = spawnSync(process.execPath, [program, folder], {
    env: { ...process.env, NODE_COMPILE_CACHE: own },
    encoding: "utf8",
  });
  assert.match(ended.stdout, /NODE_COMPILE_CACHE/);
  assert.ok(existsSync(own) && !existsSync(store));
});
