// Traffic workers: requests a second and CPU per request with one and with two, in rounds of one run.

import { cpuMicros, runLoad, tree } from "./relay.ts";
import { Stage } from "./peers/stage.ts";
import { freePort } from "../test/real/support/process.ts";

const ROUNDS = 5;
const SECONDS = 3;
const CONNECTIONS = 32;

export interface ThreadsRow {
  readonly threads: number;
  readonly perSecond: number[];
  /** Of all processes of the sidecar. */
  readonly cpuMicros: number[];
  errors: number;
}

export async function benchThreads(): Promise<readonly ThreadsRow[]> {
  const stage = new Stage();
  try {
    const upstream = await stage.upstream();
    const peers: { row: ThreadsRow; port: number; pid: number }[] = [];
    for (const threads of [1, 2]) {
      const listen = await freePort();
      const child = await stage.outrider({ listen, upstream }, { threads, store: `store-${threads}` });
      const row: ThreadsRow = { threads, perSecond: [], cpuMicros: [], errors: 0 };
      peers.push({ row, port: listen, pid: child.pid ?? -1 });
      await runLoad(listen, { seconds: 2, rate: 0, connections: CONNECTIONS });
    }
    for (let round = 0; round < ROUNDS; round++) {
      for (const { row, port, pid } of peers) {
        const pids = tree(pid);
        const before = pids.map((one) => cpuMicros(one));
        const result = await runLoad(port, { seconds: SECONDS, rate: 0, connections: CONNECTIONS });
        const used = pids.reduce((sum, one, i) => sum + cpuMicros(one) - (before[i] ?? 0), 0);
        row.perSecond.push(result.requests / result.seconds);
        row.cpuMicros.push(used / result.requests);
        row.errors += result.errors;
      }
    }
    return peers.map(({ row }) => row);
  } finally {
    await stage.end();
  }
}
