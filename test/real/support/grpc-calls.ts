// A grpcio client that calls until it has seen enough, in a process of its own, and a grpcio model that sends its connections away.

import { join } from "node:path";
import { run } from "./command.ts";
import { ensurePython, pythonFolder } from "./install.ts";
import { freePort, startProcess, type Owner } from "./process.ts";

export interface GrpcCalls {
  /** Host and port. */
  readonly target: string;
  readonly atOnce: number;
  /** Made at most. */
  readonly calls: number;
  /** No more are made when so many answers have differed. */
  readonly answers?: number;
  /** A stream in both directions stays open meanwhile. */
  readonly chat?: boolean;
  /** Bytes behind each body. */
  readonly padding?: number;
}

export interface GrpcCallsTold {
  readonly calls: number;
  readonly failed: readonly { readonly code: string; readonly details: string }[];
  /** How many answers differed. */
  readonly answers: number;
  /** What the stream was answered, before and behind all calls. */
  readonly chat: readonly string[];
  readonly chatEnded: boolean;
}

export async function grpcCalls(work: GrpcCalls): Promise<GrpcCallsTold> {
  const { python } = await ensurePython();
  const { stdout } = await run(python, [join(pythonFolder, "grpc_calls.py")], {
    stdin: JSON.stringify(work),
  });
  const told: unknown = JSON.parse(stdout);
  return told as GrpcCallsTold;
}

export interface AgingServer {
  readonly port: number;
  /** Calls with different bodies, and how often the most frequent one was processed. */
  processed(): Promise<{ readonly calls: number; readonly most: number }>;
}

/** Echoes on `/test.Model/Echo` and `/test.Model/Chat`, and sends each connection away when it is `ageMs` old. */
export async function startAgingServer(owner: Owner, ageMs: number): Promise<AgingServer> {
  const { python } = await ensurePython();
  const [port, httpPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${httpPort}/`;
  const args = [join(pythonFolder, "grpc_aging_server.py"), String(port), String(httpPort), String(ageMs)];
  await startProcess(owner, { name: "grpcio server", command: python, args, readyUrl: url });
  return {
    port,
    processed: async () => {
      const told: unknown = await (await fetch(url)).json();
      return told as { calls: number; most: number };
    },
  };
}
