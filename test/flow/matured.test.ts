// Coverage, maturity and `basis="matured"` of a running sidecar: over HTTP, in its series and on the command line.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startModelServer } from "../support/model-server.ts";
import { outrider } from "../support/program.ts";
import { getJson, postJson, startSidecar, until, type Sidecar } from "../support/sidecar.ts";

interface Group {
  readonly window: string;
  readonly basis: string;
  readonly n_predictions: number;
  readonly n_labeled: number;
  readonly coverage: number | null;
  readonly maturity: number | null;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly undefined: Readonly<Record<string, string>>;
}

const WINDOW = "1h";

async function groupOf(sidecar: Sidecar, basis: string): Promise<Group & { readonly at: number }> {
  const { body } = await getJson(`${sidecar.api}/v1/quality?window=${WINDOW}&basis=${basis}`);
  const [group] = (body["groups"] ?? []) as Group[];
  assert.ok(group);
  return { ...group, at: Date.parse(String(body["at"])) };
}

/** A stream of predictions, off by one each, of which every fourth never gets a label. */
class Stream {
  readonly #sidecar: Sidecar;
  readonly sent: { readonly id: string; readonly ts: number }[] = [];

  constructor(sidecar: Sidecar) {
    this.#sidecar = sidecar;
  }

  async send(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const x = this.sent.length;
      const headers = { "x-prediction-id": `p${x}` };
      const answer = await postJson(`${this.#sidecar.traffic}/invocations`, { x }, headers);
      assert.equal(answer.status, 200);
      this.sent.push({ id: `p${x}`, ts: await this.#tsOf(`p${x}`) });
    }
  }

  async #tsOf(id: string): Promise<number> {
    let ts = Number.NaN;
    await until(async () => {
      const { status, body } = await getJson(`${this.#sidecar.api}/v1/predictions/${id}`);
      ts = Date.parse(String(body["ts"]));
      return status === 200;
    });
    return ts;
  }

  async label(): Promise<void> {
    const labels = this.sent.flatMap(({ id }, x) => (x % 4 === 3 ? [] : [{ id, label: x + 1 }]));
    const { body } = await postJson(`${this.#sidecar.api}/v1/labels`, labels);
    assert.equal(body["joined"], labels.length);
  }
}

test("the matured windows end where labels are in: not at all before that is known, then to the millisecond", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "outrider-matured-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const model = await startModelServer(({ x }) => ({ predictions: [Number(x)], model_version: "1" }));
  t.after(() => model.close());
  const config = join(folder, "outrider.yaml");
  const spec = `{ name: default, task: regression, labelHorizon: 10m, windows: [${WINDOW}] }`;
  writeFileSync(config, `upstream: ${model.url}\nmodels: [${spec}]\n`);
  const sidecar = await startSidecar({ upstream: null, args: ["--config", config] });
  t.after(() => sidecar.stop("SIGKILL"));
  const stream = new Stream(sidecar);
  const where = { model: "default", version: "1", window: WINDOW };
  const matured = { ...where, basis: "matured" };

  await stream.send(40);
  const before = await groupOf(sidecar, "matured");
  assert.deepEqual([before.n_predictions, before.undefined], [0, { any: "too_few_labels" }]);
  await sidecar.metricIs("outrider_metric_undefined", 1, { ...matured, reason: "too_few_labels" });
  const whole = await groupOf(sidecar, "all");
  assert.deepEqual([whole.n_predictions, whole.coverage, whole.maturity], [40, 0, null]);

  // The labels take two seconds at least: that is how far behind the matured windows will be.
  const [first] = stream.sent.slice(-1);
  await until(() => Date.now() > (first?.ts ?? 0) + 2000);
  await stream.label();
  // Until the rows were watched for twice as long as the labels took, nobody knows whether more are to come.
  await until(async () => (await groupOf(sidecar, "matured")).maturity === 1);
  let known = await groupOf(sidecar, "matured");
  await until(async () => (known = await groupOf(sidecar, "matured")).n_predictions === 40);
  assert.deepEqual(
    [known.n_predictions, known.n_labeled, known.coverage, known.metrics["mse"], known.metrics["mae"]],
    [40, 30, 0.75, 1, 1],
  );
  await sidecar.metricIs("outrider_label_coverage_ratio", 0.75, matured);
  await sidecar.metricIs("outrider_quality_rmse", 1, matured);
  await sidecar.metricIs("outrider_label_maturity_ratio", 1, where);

  // Whenever it is asked, the window ends by the lag before now, and the whole one is less mature.
  let seen = 0;
  await until(async () => {
    await stream.send(3);
    const lag = await sidecar.metric("outrider_label_maturity_lag_seconds");
    const group = await groupOf(sidecar, "matured");
    const all = await groupOf(sidecar, "all");
    if ((await sidecar.metric("outrider_label_maturity_lag_seconds")) !== lag) return false;
    assert.ok(lag >= 2);
    const ripe = stream.sent.filter(({ ts }) => ts <= group.at - lag * 1000).length;
    assert.equal(group.n_predictions, ripe);
    assert.equal(all.n_predictions, stream.sent.length);
    assert.equal(all.coverage, 30 / stream.sent.length);
    assert.ok(all.maturity !== null);
    // A row that is younger than any label was when it came still has its own to come.
    if (stream.sent.some(({ ts }) => ts > all.at - 1500)) assert.ok(all.maturity < 1);
    return ++seen >= 3;
  });

  const asked = ["quality", "--api", sidecar.api, "--basis", "matured", "--model-version", "1"];
  const json = await outrider([...asked, "--json"]);
  assert.equal(json.code, 0, json.err);
  const { groups } = JSON.parse(json.out) as { groups: Group[] };
  assert.deepEqual(
    groups.map(({ window, basis, n_labeled }) => [window, basis, n_labeled]),
    [[WINDOW, "matured", 30]],
  );
  const table = await outrider([...asked, "--window", WINDOW]);
  assert.match(table.out, /^model +version +slice +window +predictions +labels +coverage +mse/);
  assert.match(table.out, /\ndefault +1 +1h +\d+ +30 /);
  const none = await outrider(["quality", "--api", sidecar.api, "--basis", "ripe"]);
  assert.equal(none.code, 1);
  assert.match(none.err, /basis/);
  const drift = await outrider(["drift", "--api", sidecar.api, "--model", "default"]);
  assert.equal(drift.code, 0, drift.err);
  assert.match(drift.out, /\ndefault +1 +prediction +24h +\d+ +/);
  assert.equal(await sidecar.stop(), 0);
});
