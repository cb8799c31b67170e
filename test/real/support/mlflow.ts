// A real `mlflow models serve` (it tells no version and no id), and a real MLflow tracking server with its registry.

import { join } from "node:path";
import { ensurePython } from "./install.ts";
import { freePort, startProcess, temporaryFolder, type Owner, type RealProcess } from "./process.ts";
import { pythonEnvironment, train, type TrainedModel } from "./trained.ts";

export interface MlflowScoring {
  /** Predictions: `POST ${url}/invocations`. */
  readonly url: string;
  readonly port: number;
  /** The diabetes regressor; its version is empty. */
  readonly model: TrainedModel;
  readonly process: RealProcess;
}

export async function startMlflowScoring(owner: Owner): Promise<MlflowScoring> {
  const { bin, python } = await ensurePython();
  const folder = temporaryFolder(owner, "mlflow");
  const [model] = await train("train_mlflow.py", folder);
  if (model === undefined) throw new Error("train_mlflow.py told of no model");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const serve = ["models", "serve", "-m", join(folder, "model"), "--env-manager", "local"];
  const started = await startProcess(owner, {
    name: "mlflow models serve",
    // Not by its first line, which names the interpreter where it was installed: the folder may have moved since.
    command: python,
    args: [join(bin, "mlflow"), ...serve, "--host", "127.0.0.1", "--port", String(port), "--workers", "1"],
    env: await pythonEnvironment(),
    cwd: folder,
    readyUrl: `${url}/ping`,
    readyWithinMs: 600_000,
  });
  return { url, port, model, process: started };
}

export interface MlflowTracking {
  /** REST API below `${url}/api/2.0/mlflow`. */
  readonly url: string;
  readonly port: number;
  readonly process: RealProcess;
}

/** Tracking server and model registry over SQLite in a temporary folder. */
export async function startMlflowTracking(
  owner: Owner,
  env: Readonly<Record<string, string>> = {},
): Promise<MlflowTracking> {
  const { bin, python } = await ensurePython();
  const folder = temporaryFolder(owner, "mlflow-tracking");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const store = ["--backend-store-uri", `sqlite:///${join(folder, "mlflow.db")}`];
  const artifacts = ["--artifacts-destination", join(folder, "artifacts")];
  const started = await startProcess(owner, {
    name: "mlflow server",
    // Not by its first line, which names the interpreter where it was installed: the folder may have moved since.
    command: python,
    args: [
      join(bin, "mlflow"),
      "server",
      ...store,
      ...artifacts,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--workers",
      "1",
    ],
    env: { ...(await pythonEnvironment()), ...env },
    cwd: folder,
    readyUrl: `${url}/health`,
    readyWithinMs: 600_000,
  });
  return { url, port, process: started };
}

/** The scoring server's body for some rows. */
export function invocationsBody(
  model: TrainedModel,
  rows: readonly { readonly features: readonly number[] }[],
): string {
  return JSON.stringify({
    dataframe_split: { columns: model.features, data: rows.map((row) => row.features) },
  });
}
