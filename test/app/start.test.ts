// What a start costs: what is loaded, and what the one before has left compiled.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { KeptChild } from "../../src/app/kept-child.ts";
import { systemClock } from "../../src/kernel/clock.ts";
import { silentLog } from "../../src/kernel/log.ts";
import { startModelServer } from "../support/model-server.ts";
import { postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const source = (name: string): string => new URL(`../../src/${name}`, import.meta.url).href;

test("a start loads no HTTP client, nothing of OpenTelemetry's SDK, and in processes of ours no reader of command lines", () => {
  const program = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
    await import(${JSON.stringify(source("cli/processes.ts"))});
    await import(${JSON.stringify(source("app.ts"))});
    await import(${JSON.stringify(source("observer.ts"))});
    console.log(JSON.stringify([...loaded, ...process.moduleLoadList]));
  `;
  const args = ["--input-type=module", "--eval", program];
  const ended = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8", maxBuffer: 1e8 });
  assert.equal(ended.status, 0, ended.stderr);
  const loaded = JSON.parse(ended.stdout) as string[];
  assert.ok(
    loaded.some((name) => name.endsWith("/prom-client/index.js")),
    "this is not what was loaded",
  );
  const needless = /\/undici\/|\/commander\/|deps\/undici|@opentelemetry\/(?!api\/|semantic-conventions\/)/;
  assert.deepEqual(
    loaded.filter((name) => needless.test(name)),
    [],
  );
});

interface Place {
  readonly store: string;
  readonly folder: string;
  start(env?: Readonly<Record<string, string>>): Promise<Sidecar>;
}

/** `npm test` gives all its processes one folder for what Node compiles: here it is the store's. */
async function place(t: TestContext): Promise<Place> {
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x) + 0.5] }));
  const store = mkdtempSync(join(tmpdir(), "outrider-start-"));
  t.after(async () => {
    await model.close();
    rmSync(store, { recursive: true, force: true });
  });
  return {
    store,
    folder: join(store, "compiled"),
    start: async (env = {}) => {
      const more = { NODE_COMPILE_CACHE: "", LOG_LEVEL: "debug", ...env };
      const sidecar = await startSidecar({ upstream: model.url, store, env: more });
      t.after(() => sidecar.stop("SIGKILL"));
      return sidecar;
    },
  };
}

const DEBUG = { NODE_DEBUG_NATIVE: "COMPILE_CACHE" };
const KEPT = '"compiled code is kept for the next start"';
const NOT_KEPT = '"compiled code is not kept in the store"';
const times = (text: string, part: string): number => text.split(part).length - 1;
/** Modules that were read as they had been compiled; only an observer says so. */
const readIn = (text: string): number => times(text, " was accepted, ");

const filesIn = (folder: string): string[] =>
  readdirSync(folder).flatMap((set) => readdirSync(join(folder, set)).map((name) => join(folder, set, name)));
const bytesOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + statSync(file).size, 0);

async function passes(sidecar: Sidecar): Promise<void> {
  assert.equal((await postJson(`${sidecar.traffic}/invocations`, { x: 1 })).status, 200);
}

async function killObserver(sidecar: Sidecar): Promise<void> {
  const before = sidecar.observerPid();
  process.kill(before, "SIGKILL");
  await until(() => {
    try {
      return sidecar.observerPid() !== before;
    } catch {
      return false;
    }
  });
  await sidecar.metricIs("outrider_observer_up", 1);
}

test("an observer that is killed leaves its compiled code to the next one, and the store's size tells it", async (t) => {
  const { store, folder, start } = await place(t);
  const sidecar = await start(DEBUG);
  await until(() => sidecar.log().includes(KEPT));
  // Some are loaded twice, by each of Node's two loaders.
  const atFirst = readIn(sidecar.log());
  const files = filesIn(folder);
  const ledger = statSync(join(store, "ledger.db")).size;
  await until(async () => (await sidecar.metric("outrider_store_size_bytes")) >= ledger + bytesOf(files));
  await killObserver(sidecar);
  // Most modules have two files in a clone: without their types, and compiled.
  const read = readIn(sidecar.log()) - atFirst;
  assert.ok(read > files.length / 3, `${read} of ${files.length}; ${atFirst} by the first`);
  await passes(sidecar);
  assert.equal(await sidecar.stop(), 0);
});

test("where compiled code is spoiled, or cannot be kept, a start is as ever", async (t) => {
  const { folder, start } = await place(t);
  const first = await start();
  await until(() => first.log().includes(KEPT));
  for (const file of filesIn(folder)) truncateSync(file, Math.floor(statSync(file).size / 2));
  await killObserver(first);
  await passes(first);
  assert.equal(await first.stop(), 0);
  assert.equal(times(first.log(), "observer ended"), 1);

  rmSync(folder, { recursive: true });
  writeFileSync(folder, "a file");
  const second = await start();
  await until(() => second.log().includes(NOT_KEPT));
  await passes(second);
  assert.equal(await second.stop(), 0);
  assert.equal(times(second.log(), NOT_KEPT), 1);
});

test("a child that ends before it is ready is started again without the help it had; one that was ready has it again", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-help-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // Helped for the first time it dies; else it says that it is ready, and dies when it is told.
  const program = join(folder, "child.mjs");
  writeFileSync(
    program,
    `
    import { existsSync, writeFileSync } from "node:fs";
    import { Socket } from "node:net";
    const helped = process.env.HELP === "here";
    const tried = ${JSON.stringify(join(folder, "tried"))};
    if (helped && !existsSync(tried)) { writeFileSync(tried, ""); process.exit(1); }
    const socket = new Socket({ fd: 3 });
    socket.write(Buffer.from([2, 0, 0, 0, helped ? 8 : 9, 0]));
    socket.on("data", () => process.exit(0));
  `,
  );
  const said: number[] = [];
  const child = new KeptChild(
    {
      name: "child",
      meanwhile: "nothing else is",
      command: [process.execPath, program],
      env: process.env,
      help: { HELP: "here" },
      descriptors: [],
      openingMs: 60_000,
      backoffMaxMs: 100,
    },
    {
      clock: systemClock,
      log: silentLog,
      onBorn: () => {},
      onFrame: (kind) => {
        said.push(kind);
        child.becomeReady();
        child.send(1, {});
      },
      onDrain: () => {},
      onGone: () => {},
    },
  );
  child.start();
  await until(() => said.length >= 2);
  await child.stop({ deadlineMs: 10_000, ownMs: 5000, kind: 1 });
  assert.ok(existsSync(join(folder, "tried")));
  assert.deepEqual(said.slice(0, 2), [9, 8], "first without help, then with it");
});
