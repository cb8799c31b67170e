// Every query of every board and every expression of every rule, asked of a real Prometheus that scrapes a sidecar in traffic; and
// the same rule files over series that came by OTLP through a real Collector.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { boards } from "../../grafana/build/boards.ts";
import type { Panel, Target } from "../../grafana/build/spec.ts";
import { catalogue } from "../../src/catalogue.ts";
import { defaultAlerting } from "../../src/config/config.ts";
import { alertGroups } from "../../src/dashboards/alerts.ts";
import { metricsOf, ruleGroups } from "../../src/dashboards/rules.ts";
import { until } from "../support/sidecar.ts";
import { startCollector } from "./support/collector.ts";
import { startObserved, type Observed } from "./support/observed.ts";
import { type Look, startPrometheus, type Prometheus, type Sample } from "./support/prometheus.ts";

const owner = { after };

interface Told {
  readonly metrics: Record<string, unknown>[];
  readonly spans: Record<string, unknown>[];
}

let observed: Observed;
let scraping: Prometheus;
/** Starts last: its rule files are written for the system. */
let receiving: Prometheus;
let passOn: string | null = null;
const told: Told = { metrics: [], spans: [] };

/** Behind the Collector: keeps what it sends, and passes metrics on to the Prometheus that takes OTLP. */
async function startTee(): Promise<string> {
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const body = Buffer.concat(chunks);
      const parsed = JSON.parse(body.toString()) as Record<string, unknown>;
      const metrics = incoming.url === "/v1/metrics";
      (metrics ? told.metrics : told.spans).push(parsed);
      // Old collections tell nothing new.
      for (const kept of [told.metrics, told.spans]) kept.splice(0, Math.max(0, kept.length - 200));
      const passed =
        metrics && passOn !== null
          ? fetch(`${passOn}/api/v1/otlp/v1/metrics`, {
              method: "POST",
              body,
              headers: { "content-type": "application/json" },
            }).then(async (answer) => {
              const text = await answer.text();
              if (!answer.ok) console.error(`Prometheus refused OTLP: ${text}`);
            })
          : Promise.resolve();
      void passed
        .catch(() => {})
        .then(() => {
          response.setHeader("content-type", "application/json");
          response.end("{}");
        });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  owner.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Not in a `before`: what is started there ends with the hook. */
async function start(): Promise<void> {
  const tee = await startTee();
  const collector = await startCollector(owner, tee);
  observed = await startObserved(owner, { otlpEndpoint: collector.url });
  const common = { intervalMs: 2000, ruleFiles: observed.ruleFiles };
  scraping = await startPrometheus(owner, {
    ...common,
    scrapeUrl: `${observed.sidecar.telemetry}/metrics`,
    flags: ["--enable-feature=exemplar-storage"],
  });
  receiving = await startPrometheus(owner, {
    ...common,
    scrapeUrl: null,
    flags: ["--enable-feature=exemplar-storage", "--web.enable-otlp-receiver"],
  });
  passOn = receiving.url;
  const settled = 'count(job_model_version_window_metric:outrider_quality{basis="matured",window="24h"})';
  for (const prometheus of [scraping, receiving]) {
    await prometheus.queryUntil(settled, (samples) => (samples[0]?.value ?? 0) >= 15, 300_000);
    // The last recordings look at the ones before.
    await prometheus.queryUntil(
      "job_model_version_metric:outrider_behind_previous",
      (samples) => samples.length > 0,
      300_000,
    );
  }
}

await start();

/** A query as Grafana would send it with every variable at its first value. */
function substituted(expr: string): string {
  const values: Record<string, string> = {
    __rate_interval: "20s",
    __range: "1m",
    job: ".+",
    instance: ".+",
    model: ".*",
    version: ".*",
    metric: ".+",
    window: "24h",
    basis: "matured",
  };
  const text = expr.replaceAll(/\$(\w+)/g, (whole, name: string) => values[name] ?? whole);
  assert.doesNotMatch(text, /\$/, "a variable is left");
  return text;
}

function complaintsOf(where: string, answer: Awaited<ReturnType<Prometheus["look"]>>): string[] {
  return [...answer.warnings, ...answer.infos].map((text) => `${where}: ${text}`);
}

const queries: readonly { where: string; panel: Panel; target: Target }[] = boards.flatMap((board) =>
  board.rows.flatMap(({ panels }) =>
    panels.flatMap((panel) =>
      panel.targets.map((target) => ({
        where: `${board.id}: ${panel.title}: ${target.legend}`,
        panel,
        target,
      })),
    ),
  ),
);

/** Reasons that do not hold here: this system has a regression, classes, slices, two versions, a watched process, an OTLP receiver. */
const HERE =
  /^only for (?:models of the task|classifiers)|slices are configured|only one version has been seen|could not be had|nothing is sent by OTLP|does not stream|keeps the service name|has failed$/;

/** A scrape that took too long leaves a gap of some seconds: what is empty is asked for again for a while. */
async function patiently(ask: () => Promise<Look>, mayBeEmpty: boolean): Promise<Look> {
  const endsAt = performance.now() + 120_000;
  for (;;) {
    const answer = await ask();
    if (answer.series > 0 || mayBeEmpty || performance.now() > endsAt) return answer;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

test("every query of every board gives data, without a warning or a remark, or is empty for the reason it states", async (t) => {
  const wrong: string[] = [];
  const empty: string[] = [];
  for (const { where, panel, target } of queries) {
    const expr = substituted(target.expr);
    const once = panel.kind === "stat" || panel.kind === "table";
    const ask = (): Promise<Look> => scraping.look(expr, once ? null : { seconds: 30, step: 5 });
    const excused = target.mayBeEmpty !== undefined && !HERE.test(target.mayBeEmpty);
    const answer = await patiently(ask, excused);
    wrong.push(...complaintsOf(where, answer));
    if (answer.series > 0) continue;
    empty.push(where);
    if (!excused) wrong.push(`${where}: no data: ${expr}`);
  }
  t.diagnostic(`${queries.length} queries, ${empty.length} of them empty with a reason: ${empty.join("; ")}`);
  assert.deepEqual(wrong, []);
});

/** A page with every family of the catalogue, whose counters rise: what takes days or a fault to appear is there at once. */
async function startEveryFamily(values: ReadonlyMap<string, ReadonlySet<string>>): Promise<string> {
  let scrapes = 0;
  const sets = (labels: readonly string[]): string[] =>
    labels.reduce<string[]>(
      (known, label) =>
        known.flatMap((text) =>
          [...(values.get(label) ?? ["x"])].map((value) => `${text}${label}="${value}",`),
        ),
      [""],
    );
  const page = (): string =>
    catalogue
      .flatMap(({ name, type, labels }) => [
        `# TYPE ${name} ${type === "updowncounter" ? "gauge" : type}`,
        ...sets(labels).flatMap((set) =>
          type === "histogram"
            ? [
                ...["0.1", "+Inf"].map((le) => `${name}_bucket{${set}le="${le}"} ${scrapes}`),
                `${name}_sum{${set}} ${scrapes}`,
                `${name}_count{${set}} ${scrapes}`,
              ]
            : [`${name}{${set}} ${type === "counter" ? scrapes : 1}`],
        ),
      ])
      .join("\n");
  const server = createServer((_incoming, response) => {
    scrapes += 1;
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(`${page()}\n`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  owner.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
}

test("queries that a healthy young system leaves empty give data when their families are there", async (t) => {
  const excused = queries.filter(
    ({ target }) => target.mayBeEmpty !== undefined && !/ALERTS|:/.test(target.expr),
  );
  const values = new Map<string, Set<string>>([
    ["window", new Set(["24h"])],
    ["basis", new Set(["matured"])],
  ]);
  for (const { target } of excused) {
    for (const [, label = "", value = ""] of target.expr.matchAll(/(\w+)="([^"$]+)"/g)) {
      values.set(label, (values.get(label) ?? new Set()).add(value));
    }
  }
  const prometheus = await startPrometheus(owner, {
    scrapeUrl: await startEveryFamily(values),
    intervalMs: 1000,
  });
  await prometheus.queryUntil(
    "count_over_time(outrider_build_info[1m])",
    (found) => (found[0]?.value ?? 0) >= 4,
  );
  const wrong: string[] = [];
  for (const { where, target } of excused) {
    const answer = await patiently(() => prometheus.look(substituted(target.expr), null), false);
    wrong.push(...complaintsOf(where, answer));
    if (answer.series === 0) wrong.push(`${where}: no data: ${substituted(target.expr)}`);
  }
  t.diagnostic(`${excused.length} queries`);
  assert.deepEqual(wrong, []);
});

/** Series that this system has no cause to export -> why. */
const NOT_HERE: Readonly<Record<string, string>> = {
  outrider_probe_tls_certificate_expiry_timestamp_seconds: "the model server speaks plain HTTP",
  outrider_prediction_extract_failures_total: "every answer was read",
  outrider_labels_absent_total: "no model says what silence means",
  outrider_target_memory_limit_bytes: "the model server has no limit of its own",
  outrider_target_oom_kills_total: "the model server has no limit of its own",
  outrider_target_cpu_throttled_time_seconds_total: "the model server has no limit of its own",
  outrider_drift_psi: "there is no reference yet",
  outrider_drift_psi_noise: "there is no reference yet",
  outrider_concept_drift_alarms_total: "no change has been found",
  outrider_label_values_overflow_total: "every value has found room",
  outrider_series_left_out: "every series has found room",
  outrider_registry_last_answer_timestamp_seconds: "no registry is configured",
  outrider_registry_calls_total: "no registry is configured",
  outrider_queue_dropped_total: "nothing was dropped",
};

test("every recording rule gives data, and every series that an alert reads exists, without a warning or a remark", async () => {
  const wrong: string[] = [];
  const inputs = new Set<string>();
  const rules = [...ruleGroups, ...alertGroups(defaultAlerting())].flatMap((group) => group.rules);
  for (const rule of rules) {
    const name = "record" in rule ? rule.record : rule.alert;
    const answer = await scraping.look(rule.expr, null);
    wrong.push(...complaintsOf(name, answer));
    if ("record" in rule) {
      const ask = (): Promise<Look> => scraping.look(`{__name__="${rule.record}"}`, null);
      const stored = await patiently(ask, false);
      if (stored.series === 0) wrong.push(`${name} records nothing: ${rule.expr}`);
    } else {
      metricsOf(rule.expr).forEach((metric) => inputs.add(metric));
    }
  }
  for (const metric of inputs) {
    const { series } = await patiently(() => scraping.look(metric, null), NOT_HERE[metric] !== undefined);
    if (series === 0 && NOT_HERE[metric] === undefined) wrong.push(`${metric} does not exist`);
  }
  assert.deepEqual(wrong, []);
  // Nothing of the rule files failed to be evaluated.
  const groups = (await scraping.api("/api/v1/rules")) as {
    groups: { rules: { name: string; health: string; lastError?: string }[] }[];
  };
  const sick = groups.groups.flatMap((group) => group.rules).filter(({ health }) => health === "err");
  assert.deepEqual(sick, []);
});

/** Trace and span of all that has come, and how many of them name a version. */
function spansTold(): { known: Set<string>; versions: number } {
  const known = new Set<string>();
  let versions = 0;
  for (const { resourceSpans } of told.spans as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }[]) {
    for (const span of resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap((scope) => scope.spans),
    )) {
      known.add(`${span.traceId} ${span.spanId}`);
      if (JSON.stringify(span.attributes ?? []).includes("version")) versions++;
    }
  }
  return { known, versions };
}

async function exemplarsOf(prometheus: Prometheus, family: string): Promise<string[]> {
  const now = Date.now() / 1000;
  const range = `start=${now - 120}&end=${now}`;
  const query = encodeURIComponent(`${family}_bucket{model="spam"}`);
  const found = (await prometheus.api(`/api/v1/query_exemplars?query=${query}&${range}`)) as {
    exemplars: { labels: { trace_id: string; span_id: string }; value: string }[];
  }[];
  return found.flatMap((series) =>
    series.exemplars.map(({ labels }) => `${labels.trace_id} ${labels.span_id}`),
  );
}

test("a slow bucket leads to the trace of a request, by scraping and by OTLP, and the trace names the version", async () => {
  await until(() => {
    const { known, versions } = spansTold();
    return known.size > 50 && versions > 20;
  });
  for (const prometheus of [scraping, receiving]) {
    for (const family of ["http_server_request_duration_seconds", "outrider_time_to_first_byte_seconds"]) {
      let exemplars: string[] = [];
      // The spans of the last seconds are still on their way.
      await until(async () => {
        exemplars = await exemplarsOf(prometheus, family);
        const { known } = spansTold();
        return exemplars.some((one) => known.has(one));
      }).catch((thrown: unknown) => {
        const where = prometheus === scraping ? "the scrape" : "OTLP";
        throw new Error(`${family}: none of ${exemplars.length} exemplars of ${where} leads to a span`, {
          cause: thrown,
        });
      });
    }
  }
});

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes?: unknown;
}

const keyOf = ({ labels }: Sample): string =>
  Object.entries(labels)
    .filter(([name]) => name !== "job")
    .map(([name, value]) => `${name}=${value}`)
    .toSorted()
    .join(",");

test("rule files written for scraping give the same numbers over series that came by OTLP", async (t) => {
  await observed.stop();
  // Pushed series stay for five minutes, scraped ones vanish with their target.
  const query = '{__name__=~"job_model_version_window(_metric)?:outrider_.+",basis="all"}';
  const by = async (prometheus: Prometheus): Promise<Map<string, number>> =>
    new Map((await prometheus.query(query)).map((sample) => [keyOf(sample), sample.value]));
  const last = `last_over_time(${query}[2m])`;
  const scraped = new Map((await scraping.query(last)).map((sample) => [keyOf(sample), sample.value]));
  assert.ok(scraped.size > 100, `${scraped.size} recorded series`);
  let missing: string[] = [];
  let same = 0;
  const compare = async (): Promise<boolean> => {
    const pushed = await by(receiving);
    missing = [...scraped.keys()].filter((key) => !pushed.has(key));
    same = [...scraped].filter(
      ([key, value]) =>
        Math.abs((pushed.get(key) ?? Number.NaN) - value) <= 0.05 * Math.max(1, Math.abs(value)),
    ).length;
    return missing.length === 0 && same >= 0.95 * scraped.size;
  };
  // The last push is on its way through the Collector, and then for the rules to be recorded.
  await until(compare, 60_000).catch(() => {});
  t.diagnostic(`${same} of ${scraped.size} recorded series agree`);
  assert.deepEqual(missing, []);
  assert.ok(same >= 0.95 * scraped.size, `${same} of ${scraped.size} agree`);
});
