// Autobahn's fuzzing client, the WebSocket world's common conformance suite, against a real server: once directly and once through the
// sidecar. Case by case, the suite's verdict on the one has to be its verdict on the other.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { run, say } from "./support/command.ts";
import { temporaryFolder } from "./support/process.ts";
import { startEcho } from "./support/websocket-server.ts";
import { ensureWstest } from "./support/wstest.ts";

/** All of the protocol's cases; of its limits and its compression those that take seconds, not minutes. */
const CASES = [
  ..."1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.*".split(" "),
  // Messages of up to 4 MiB, whole, in fragments and in small writes; a thousand messages of up to 256 bytes.
  ..."9.1.1 9.1.2 9.1.3 9.2.1 9.2.2 9.2.3 9.3.5 9.4.5 9.5.4 9.5.5 9.5.6".split(" "),
  ..."9.6.4 9.6.5 9.6.6 9.7.1 9.7.2 9.7.3 9.8.1 9.8.2 9.8.3".split(" "),
  // permessage-deflate: five kinds of data and seven of parameters, a thousand messages each; 8 KiB in fragments of 256 bytes.
  ...[1, 2, 3, 4, 5].flatMap((data) => [1, 2, 3].map((size) => `12.${data}.${size}`)),
  ...[1, 2, 3, 4, 5, 6, 7].flatMap((parameters) => [1, 2, 3].map((size) => `13.${parameters}.${size}`)),
  "12.1.11",
];
const CASES_MIN = 300;
const ROUNDS_MAX = 20;
const WITHIN_MS = 15 * 60_000;
/** What the suite says of a peer that does as the RFC asks, or as it may. */
const GOOD = ["OK", "NON-STRICT", "INFORMATIONAL"];
/** In seconds, where the suite's own are 1 and 5: this machine may be busy. */
const PATIENCE = { openHandshakeTimeout: 60, closeHandshakeTimeout: 20, serverConnectionDropTimeout: 20 };

/** The verdict and what it rests on, of one case. */
interface Report {
  readonly behavior: string;
  readonly behaviorClose: string;
  readonly told: string;
}

type Reports = ReadonlyMap<string, Report>;

const folder = temporaryFolder({ after }, "autobahn");
const wstest = await ensureWstest();
const { server, sidecar } = await startEcho();

function reportOf(path: string): Report {
  const full = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown> & Report;
  const { behavior, behaviorClose } = full;
  const basis = [
    "remoteCloseCode",
    "remoteCloseReason",
    "received",
    "wasClean",
    "wasServerConnectionDropTimeout",
  ];
  const told = JSON.stringify([behavior, behaviorClose, ...basis.map((name) => full[name])]);
  return { behavior, behaviorClose, told };
}

/** Runs the cases against each of the addresses, in one go of the suite; gives back its reports, in that order. */
async function fuzz(urls: readonly string[], cases: readonly string[]): Promise<Reports[]> {
  const spec = {
    outdir: join(folder, "reports"),
    options: PATIENCE,
    servers: urls.map((url, at) => ({ agent: `agent${at}`, url, protocols: ["v1.predict"] })),
    cases,
    "exclude-cases": [],
    "exclude-agent-cases": {},
  };
  const path = join(folder, "spec.json");
  writeFileSync(path, JSON.stringify(spec));
  const { command, args, env } = wstest;
  const { stdout } = await run(command, [...args, "-m", "fuzzingclient", "-s", path], {
    env,
    cwd: folder,
    withinMs: WITHIN_MS,
  });
  const asked = Number(/will run (\d+) test cases/.exec(stdout)?.[1]);
  const index = JSON.parse(readFileSync(join(spec.outdir, "index.json"), "utf8")) as Record<
    string,
    Record<string, { reportfile: string }>
  >;
  return spec.servers.map(({ agent, url }) => {
    const all = Object.entries(index[agent] ?? {}).map(
      ([id, { reportfile }]) => [id, reportOf(join(spec.outdir, reportfile))] as const,
    );
    assert.equal(all.length, asked, `${url}: a case was lost`);
    return new Map(all);
  });
}

const spread = (reports: Reports): string => {
  const counts = new Map<string, number>();
  for (const { behavior, behaviorClose } of reports.values()) {
    const verdict = behavior === behaviorClose ? behavior : `${behavior}/${behaviorClose}`;
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  }
  return [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(", ");
};

test("Autobahn's suite has the same verdict on a server through the sidecar as on the server itself", async (t) => {
  const urls = [`ws://127.0.0.1:${server}/`, sidecar.traffic.replace("http:", "ws:")];
  const direct = new Map<string, Set<string>>();
  const through = new Map<string, Set<string>>();
  const keep = (into: Map<string, Set<string>>, reports: Reports): void => {
    for (const [id, { told }] of reports) into.set(id, (into.get(id) ?? new Set()).add(told));
  };
  const differing = (): string[] =>
    [...direct]
      .filter(([id, told]) => ![...told].some((each) => through.get(id)?.has(each)))
      .map(([id]) => id);

  let connections = 0;
  const ask = async (cases: readonly string[]): Promise<Reports[]> => {
    const [ofServer = new Map(), ofSidecar = new Map()] = await fuzz(urls, cases);
    keep(direct, ofServer);
    keep(through, ofSidecar);
    connections += ofSidecar.size;
    return [ofServer, ofSidecar];
  };
  const [ofServer = new Map(), ofSidecar = new Map()] = await ask(CASES);
  assert.ok(direct.size >= CASES_MIN, `only ${direct.size} cases`);
  assert.deepEqual([...through.keys()].toSorted(), [...direct.keys()].toSorted());
  const late = differing();
  // Where a right message is followed by a wrong frame, whether the echo still goes out before the server hangs up is a race within
  // the server, with and without the sidecar: then both are asked again.
  for (let round = 1; round < ROUNDS_MAX && differing().length > 0; round++) {
    say(`asked again: ${differing().join(", ")}`);
    await ask(differing());
  }

  t.diagnostic(`${direct.size} cases. Direct: ${spread(ofServer)}. Through: ${spread(ofSidecar)}`);
  t.diagnostic(`asked more than once: ${late.join(", ") || "none"}`);
  for (const id of differing()) assert.deepEqual(through.get(id), direct.get(id), id);
  assert.ok(late.length < direct.size / 10, `agreed late: ${late.join(", ")}`);
  // Two that always fail would agree, too.
  const good = [...ofServer.values()].filter(({ behavior }) => GOOD.includes(behavior)).length;
  assert.ok(good > 0.97 * direct.size, `the server is right in ${good} of ${direct.size} cases`);
  await sidecar.metricIs("outrider_requests_total", connections);
});
