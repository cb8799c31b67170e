// A real MLServer with two versions each of a regressor and a classifier, on free ports.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ensurePython } from "./install.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";
import { pythonEnvironment, train, type TrainedModel } from "./trained.ts";

export interface Mlserver {
  /** REST, e.g. `${url}/v2/models/diabetes/versions/1.1.0/infer`. */
  readonly url: string;
  readonly port: number;
  readonly grpcPort: number;
  /** Prometheus text of MLServer itself. */
  readonly metricsUrl: string;
  /** `diabetes` 1.0.0 and 1.1.0, `breast-cancer` 1 and 2. */
  readonly models: readonly TrainedModel[];
  readonly process: RealProcess;
}

export async function startMlserver(owner: Owner): Promise<Mlserver> {
  const { bin, python } = await ensurePython();
  const folder = temporaryFolder(owner, "mlserver");
  const models = await train("train_mlserver.py", folder);
  const [port, grpcPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const repository = join(folder, "repository");
  const settings = {
    host: "127.0.0.1",
    http_port: port,
    grpc_port: grpcPort,
    metrics_port: metricsPort,
    metrics_dir: join(folder, "metrics"),
    parallel_workers: 0,
  };
  writeFileSync(join(repository, "settings.json"), JSON.stringify(settings));
  const url = `http://127.0.0.1:${port}`;
  const started = await startProcess(owner, {
    name: "MLServer",
    // Not by its first line, which names the interpreter where it was installed: the folder may have moved since.
    command: python,
    args: [join(bin, "mlserver"), "start", repository],
    env: await pythonEnvironment(),
    cwd: folder,
    readyUrl: `${url}/v2/health/ready`,
    readyWithinMs: 600_000,
  });
  return {
    url,
    port,
    grpcPort,
    metricsUrl: `http://127.0.0.1:${metricsPort}/metrics`,
    models,
    process: started,
  };
}

/** The Open Inference Protocol body for some rows; a classifier is asked for its probabilities too. MLServer gives `id` back. */
export function inferBody(
  model: TrainedModel,
  rows: readonly { readonly features: readonly number[] }[],
  id: string | null = null,
): string {
  const tensor = {
    name: "x",
    shape: [rows.length, model.features.length],
    datatype: "FP64",
    data: rows.flatMap((row) => row.features),
  };
  const outputs = model.task === "binary" ? ["predict", "predict_proba"] : ["predict"];
  return JSON.stringify({
    ...(id === null ? {} : { id }),
    inputs: [tensor],
    outputs: outputs.map((name) => ({ name })),
  });
}
