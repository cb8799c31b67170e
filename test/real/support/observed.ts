// A whole system in traffic: a model server of several models and versions, a sidecar in front of it, labels that follow, and the
// rule files that `outrider dashboards export` writes for it. Alerts wait for seconds instead of minutes.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { request } from "undici";
import { parse, stringify } from "yaml";
import { ALERT_NAMES } from "../../../src/config/config.ts";
import { postJson, startSidecar, until, type Sidecar } from "../../support/sidecar.ts";
import { seeded } from "./labelled.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";

export interface Observed {
  readonly sidecar: Sidecar;
  /** outrider.rules.yml and outrider.alerts.yml with this system's thresholds, every group evaluated each second. */
  readonly ruleFiles: readonly string[];
  /** What `outrider dashboards export` wrote. */
  readonly exported: string;
  /** From now on the labels of this version of `spam` are turned round; null: of none. */
  spoil(version: string | null): void;
  /** Sends the labels that were turned round again, corrected. */
  repair(): Promise<void>;
  stopModel(): Promise<void>;
  startModel(): Promise<void>;
  stop(): Promise<void>;
}

export interface ObservedOptions {
  readonly otlpEndpoint?: string;
  readonly alerts?: Readonly<Record<string, unknown>>;
}

const MODELS = [
  { name: "house", task: "regression", match: { path: "/house" } },
  {
    name: "spam",
    task: "binary",
    positive: "1",
    match: { path: "/spam" },
    slices: [{ name: "country", header: "x-country" }],
  },
  { name: "kind", task: "multiclass", match: { path: "/kind" }, baseline: { accuracy: 0.8 } },
  { name: "chat", task: "regression", match: { path: "/chat" } },
];
const CLASSES = ["cat", "dog", "owl"];
/** Registered evaluations: the baselines, but for `kind`, whose baseline is configured. */
const EVALUATIONS = {
  house: { "7": { rmse: 1, r2: 0.95 } },
  spam: { "3": { accuracy: 0.9, roc_auc: 0.95, f1: 0.9 }, "4": { accuracy: 0.9, roc_auc: 0.95, f1: 0.9 } },
} as const;

interface Labelled {
  readonly id: string;
  readonly label: unknown;
}

/** Requests to every model and, a little later, their labels. Errors of a model server that is down are its callers' lot. */
class Traffic {
  readonly #sidecar: Sidecar;
  readonly #chance = seeded(11);
  #spoiled: string | null = null;
  readonly #wrong: Labelled[] = [];
  /** Never 0: a label of 0 has no relative error. */
  #x = 1;
  #stopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(sidecar: Sidecar) {
    this.#sidecar = sidecar;
  }

  spoil(version: string | null): void {
    this.#spoiled = version;
  }

  async repair(): Promise<void> {
    const ts = Date.now() + 1000;
    for (let at = 0; at < this.#wrong.length; at += 100) {
      await this.#label(this.#wrong.slice(at, at + 100).map((label) => ({ ...label, ts })));
    }
  }

  /** `count` requests to each model and version, with their labels. */
  async burst(count: number): Promise<void> {
    const labels: Labelled[] = [];
    for (let i = 0; i < count; i++) labels.push(...(await this.#round()));
    await this.#label(labels);
  }

  begin(): void {
    this.#running = (async () => {
      while (!this.#stopped) {
        try {
          const labels = await this.#round();
          await this.#extras();
          await sleep(150);
          await this.#label(labels);
        } catch (thrown) {
          // One lost connection on a busy machine is no reason to end; what the tests ask tells whether it matters.
          console.error("traffic:", thrown);
          await sleep(500);
        }
      }
    })();
  }

  async end(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #ask(path: string, body: unknown, headers: Record<string, string>): Promise<boolean> {
    const answer = await request(`${this.#sidecar.traffic}${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
    await answer.body.dump();
    return answer.statusCode === 200;
  }

  async #round(): Promise<Labelled[]> {
    const x = this.#x++;
    const right = this.#chance() < 0.93;
    const labels: Labelled[] = [];
    const asked = async (path: string, { id, label }: Labelled, version?: string): Promise<void> => {
      const headers = { "x-prediction-id": id, "x-country": x % 3 === 0 ? "de" : "fr" };
      if (await this.#ask(path, { x, version }, headers)) labels.push({ id, label });
    };
    await asked("/house", { id: `house-${x}`, label: x * 1.2 });
    await asked("/kind", { id: `kind-${x}`, label: CLASSES[right ? x % 3 : (x + 1) % 3] });
    for (const version of ["3", "4"]) {
      const said = ((x * 37) % 97) / 100 + 0.01 > 0.5;
      const id = `spam-${version}-${x}`;
      const truth = right ? said : !said;
      const wrong = this.#spoiled === version;
      if (wrong) this.#wrong.push({ id, label: truth ? 1 : 0 });
      await asked("/spam", { id, label: truth !== wrong ? 1 : 0 }, version);
    }
    return labels;
  }

  /** A stream, an error and a label that finds nothing. */
  async #extras(): Promise<void> {
    if (this.#x % 4 !== 0) return;
    await this.#ask("/chat", {}, {});
    await this.#ask("/broken", {}, {});
    await this.#label([{ id: `nobody-${this.#x}`, label: 1 }]);
  }

  async #label(labels: readonly Labelled[]): Promise<void> {
    if (labels.length === 0) return;
    const told = await postJson(`${this.#sidecar.api}/v1/labels`, labels);
    assert.equal(told.status, 200, JSON.stringify(told.body));
  }
}

/** Rules of a group that waits minutes for its turn would not be tried in a test. */
function hurry(file: string): string {
  const rules = parse(readFileSync(file, "utf8")) as { groups: { interval?: string }[] };
  for (const group of rules.groups) group.interval = "1s";
  writeFileSync(file, stringify(rules));
  return file;
}

function exportRules(config: string, out: string): string[] {
  const main = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
  const args = [main, "dashboards", "export", "--config", config, "--out", out];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return ["rules", "alerts"].map((name) => hurry(join(out, "prometheus", `outrider.${name}.yml`)));
}

async function register(sidecar: Sidecar): Promise<void> {
  for (const [model, versions] of Object.entries(EVALUATIONS)) {
    for (const [version, evaluation] of Object.entries(versions)) {
      const told = await postJson(`${sidecar.api}/v1/models/${model}/versions`, { version, evaluation });
      assert.ok(told.status < 300, JSON.stringify(told.body));
    }
  }
  const promoted = await postJson(`${sidecar.api}/v1/models/spam/versions/3/promote`, {
    stage: "production",
    reason: "first",
  });
  assert.ok(promoted.status < 300, JSON.stringify(promoted.body));
}

/** Started, with some hundred labelled predictions behind it, and traffic going on. */
export async function startObserved(owner: Owner, options: ObservedOptions = {}): Promise<Observed> {
  const folder = temporaryFolder(owner, "observed");
  const port = await freePort();
  const startModel = (): Promise<RealProcess> =>
    startProcess(owner, {
      name: "model server",
      command: process.execPath,
      args: [join(import.meta.dirname, "observed-model.ts"), String(port)],
      readyUrl: `http://127.0.0.1:${port}/house`,
    });
  let model = await startModel();
  const upstream = `http://127.0.0.1:${port}`;
  const rules = Object.fromEntries(ALERT_NAMES.map((name) => [name, { for: "1s" }]));
  const config = join(folder, "outrider.yaml");
  writeFileSync(
    config,
    JSON.stringify({
      upstream,
      models: MODELS,
      probes: [
        { name: "upstream", url: "{upstream}/house", every: "1s", timeout: "1s" },
        { name: "port", url: `tcp://127.0.0.1:${port}`, every: "1s" },
      ],
      slo: { minRequests: 20 },
      alerts: {
        minPairs: 40,
        minPredictions: 20,
        previousWindow: "24h",
        probeFailures: 2,
        rules,
        ...options.alerts,
      },
      ...(options.otlpEndpoint === undefined
        ? {}
        : { otlp: { endpoint: options.otlpEndpoint, every: "1s", traces: { sampleRatio: 1 } } }),
    }),
  );
  const exported = join(folder, "monitoring");
  const ruleFiles = exportRules(config, exported);
  const sidecar = await startSidecar({ upstream, args: ["--config", config] });
  const traffic = new Traffic(sidecar);
  const observed: Observed = {
    sidecar,
    ruleFiles,
    exported,
    spoil: (version) => traffic.spoil(version),
    repair: () => traffic.repair(),
    stopModel: () => model.stop(),
    startModel: async () => {
      model = await startModel();
    },
    stop: async () => {
      await traffic.end();
      await sidecar.stop();
      await model.stop();
    },
  };
  owner.after(() => observed.stop());
  await traffic.burst(60);
  await until(
    async () => (await sidecar.metric("outrider_window_pairs", { window: "24h", basis: "all" })) >= 200,
  );
  await register(sidecar);
  traffic.begin();
  return observed;
}
