// npm run conformance: the suite against Outrider and the proxies people know, as a table.
//
//   npm run conformance -- [--only nginx,outrider] [--failures] [--case PREFIX]
//   npm run conformance -- --url http://127.0.0.1:8080 --origin-port 9000    (a proxy of yours, in front of port 9000)

import { parseArgs } from "node:util";
import { playAll, type Score } from "./case.ts";
import { allCases } from "./cases.ts";
import { Origin } from "./origin.ts";
import { peers, type Running } from "./peers.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    case: { type: "string", default: "" },
    failures: { type: "boolean", default: false },
    url: { type: "string" },
    "origin-port": { type: "string", default: "0" },
  },
});

const cases = allCases.filter(({ id }) => id.startsWith(values.case));
const musts = cases.filter(({ level }) => level === "must").length;

async function score(
  name: string,
  start: (origin: Origin) => Promise<Running>,
): Promise<{ name: string; failed: readonly Score[] }> {
  const origin = new Origin();
  await origin.start(Number(values["origin-port"]));
  const running = await start(origin);
  try {
    const scores = await playAll(cases, { origin, port: running.port });
    return { name, failed: scores.filter(({ failure }) => failure !== null) };
  } finally {
    await running.stop();
    origin.stop();
  }
}

function row(name: string, failed: readonly Score[]): string {
  const lost = failed.filter((one) => one.case.level === "must");
  const shoulds = cases.length - musts;
  const race = lost.find((one) => one.case.id === "idle-close-race")?.failure ?? "0 of 120 POSTs failed";
  return `${name.padEnd(22)} ${String(musts - lost.length).padStart(4)} of ${musts} musts  ${String(shoulds - (failed.length - lost.length)).padStart(3)} of ${shoulds} shoulds   ${race}`;
}

const chosen: [string, (origin: Origin) => Promise<Running>][] =
  values.url === undefined
    ? peers.filter(([name]) => values.only === undefined || values.only.split(",").includes(name))
    : [
        [
          values.url,
          () =>
            Promise.resolve({ port: Number(new URL(values.url ?? "").port), stop: () => Promise.resolve() }),
        ],
      ];

let lost = 0;
for (const [name, start] of chosen) {
  try {
    const { failed } = await score(name, start);
    console.log(row(name, failed));
    if (values.failures || name === "outrider")
      for (const one of failed) console.log(`    ${one.case.level} ${one.case.id}: ${one.failure}`);
    if (name === "outrider") lost = failed.filter((one) => one.case.level === "must").length;
  } catch (thrown) {
    console.log(
      `${name.padEnd(22)} not measured: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
    );
  }
}
process.exitCode = lost === 0 ? 0 : 1;
