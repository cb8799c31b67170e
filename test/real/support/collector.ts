// A real OpenTelemetry Collector: takes OTLP over HTTP, sends what it understood to the test as OTLP JSON.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensureCollector } from "./install.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";

export interface Collector {
  /** OTLP over HTTP: `${url}/v1/metrics`, `${url}/v1/traces`. */
  readonly url: string;
  /** What its debug exporter wrote is in `output()`. */
  readonly process: RealProcess;
}

/** `forwardTo` is the test's own server: it gets `POST /v1/metrics` and `/v1/traces` with JSON bodies. */
export async function startCollector(owner: Owner, forwardTo: string): Promise<Collector> {
  const { collector } = await ensureCollector();
  const folder = temporaryFolder(owner, "collector");
  const port = await freePort();
  const pipeline = { receivers: ["otlp"], exporters: ["debug", "otlp_http"] };
  const configuration = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
    exporters: {
      debug: { verbosity: "normal" },
      otlp_http: { endpoint: forwardTo, encoding: "json", compression: "none", tls: { insecure: true } },
    },
    service: {
      telemetry: { metrics: { level: "none" } },
      pipelines: { metrics: pipeline, traces: pipeline },
    },
  };
  const file = join(folder, "collector.yaml");
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(configuration));
  const url = `http://127.0.0.1:${port}`;
  const started = await startProcess(owner, {
    name: "Collector",
    command: collector,
    args: [`--config=${file}`],
    cwd: folder,
    readyUrl: `${url}/v1/metrics`,
    // It has no page for GET: 405 is an answer.
    readyBelow: 500,
  });
  return { url, process: started };
}
