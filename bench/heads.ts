// Heads that are new each time: CPU of the traffic process per request over nginx's, where clients say a new `traceparent`, a new id, or
// both with each request, and where they say the same; in rounds of one run. Another working copy may run beside this one.

import { loaded, warm, type Peer } from "./relay.ts";
import { Stage } from "./peers/stage.ts";
import { freePort } from "../test/real/support/process.ts";

/** What each request says anew. */
const MIXES = ["", "traceparent", "x-request-id", "traceparent,x-request-id"];

export interface HeadsRow {
  /** "": heads are alike. */
  readonly fresh: string;
  /** By peer: microseconds per request of each round, of nginx and of the traffic processes. */
  readonly micros: ReadonlyMap<string, number[]>;
  errors: number;
}

/** `against`: root of another working copy; null: there is none. */
export async function benchHeads(rounds: number, against: string | null): Promise<readonly HeadsRow[]> {
  const stage = new Stage();
  try {
    const peers = await startPeers(stage, against);
    for (const peer of peers) await warm(peer, MIXES);
    const names = peers.map(({ name }) => name);
    const rows = MIXES.map((fresh): HeadsRow => ({
      fresh,
      micros: new Map(names.map((name) => [name, []])),
      errors: 0,
    }));
    for (let round = 0; round < rounds; round++)
      for (const row of rows)
        for (const peer of peers) {
          const { all, first, result } = await loaded(peer, { fresh: row.fresh });
          row.micros.get(peer.name)?.push(peer.name === "nginx" ? all : first);
          row.errors += result.errors;
        }
    return rows;
  } finally {
    await stage.end();
  }
}

async function startPeers(stage: Stage, against: string | null): Promise<Peer[]> {
  const upstream = await stage.upstream();
  const ports = async (): Promise<{ listen: number; upstream: number }> => ({
    listen: await freePort(),
    upstream,
  });
  const nginx = await ports();
  const own = await ports();
  const peers: Peer[] = [
    { name: "nginx", port: nginx.listen, root: await stage.nginx(nginx, "bare") },
    { name: "outrider", port: own.listen, root: await stage.outrider(own) },
  ];
  if (against === null) return peers;
  const other = await ports();
  const root = await stage.outrider(other, { store: "other", root: against });
  return [...peers, { name: "outrider there", port: other.listen, root }];
}
