// A real gRPC client, in a process of its own: MLServer's Python stubs on grpcio.

import { join } from "node:path";
import { run } from "./command.ts";
import { ensurePython, pythonFolder } from "./install.ts";
import { pythonEnvironment } from "./trained.ts";

export interface GrpcAsk {
  readonly model: string;
  readonly version: string;
  readonly id: string | null;
  readonly rows: readonly (readonly number[])[];
  readonly outputs: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly compression?: "gzip" | "deflate";
  /** Seconds. */
  readonly timeout?: number;
}

export interface GrpcAnswer {
  readonly id: string;
  readonly version: string;
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly initial: Readonly<Record<string, string>>;
  readonly trailing: Readonly<Record<string, string>>;
  /** Of a call that failed. */
  readonly code?: string;
  readonly details?: string;
}

export interface GrpcTold {
  readonly answers: readonly GrpcAnswer[];
  readonly live?: boolean;
  readonly metadata?: string;
  readonly index?: readonly string[];
}

/** All of `asks` at once over one channel; with `service` also liveness, metadata and the repository's index. */
export async function grpcClient(work: {
  readonly target: string;
  readonly asks: readonly GrpcAsk[];
  readonly service?: boolean;
}): Promise<GrpcTold> {
  const { python } = await ensurePython();
  const { stdout } = await run(python, [join(pythonFolder, "grpc_client.py")], {
    env: await pythonEnvironment(),
    stdin: JSON.stringify(work),
  });
  const told: unknown = JSON.parse(stdout);
  return told as GrpcTold;
}
