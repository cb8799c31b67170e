// The echo server of Python's `websockets`, and the sidecar in front of it, for all tests of a file.

import { join } from "node:path";
import { after } from "node:test";
import { startSidecar, type Sidecar } from "../../support/sidecar.ts";
import { pythonFolder } from "./install.ts";
import { freePort, startProcess } from "./process.ts";
import { ensureVenv } from "./python-venv.ts";

export interface EchoStage {
  /** The interpreter that has the library. */
  readonly venv: string;
  /** Port of the server itself. */
  readonly server: number;
  readonly sidecar: Sidecar;
}

export async function startEcho(): Promise<EchoStage> {
  const venv = await ensureVenv("wire");
  const server = await freePort();
  await startProcess(
    { after },
    {
      name: "websockets",
      command: venv,
      args: [join(pythonFolder, "websocket_server.py"), String(server)],
      readyUrl: `http://127.0.0.1:${server}/`,
      readyBelow: 500,
    },
  );
  const sidecar = await startSidecar({ upstream: `http://127.0.0.1:${server}` });
  after(() => sidecar.stop());
  return { venv, server, sidecar };
}
