// `outrider compare`: is one version of a model better than another? From a running sidecar.

import { getText, queryOf } from "./http.ts";
import { EXIT, type CliIo } from "./io.ts";
import { parseComparison, type ComparisonAnswer } from "./parse-comparison.ts";
import { readToken } from "./quality.ts";
import { table } from "./table.ts";

export interface CompareRequest {
  readonly apis: readonly string[];
  readonly tokenFile: string | null;
  readonly json: boolean;
  readonly model: string | null;
  readonly baseline: string | null;
  readonly candidate: string | null;
}

const number = (value: number | null): string => (value === null ? "-" : value.toPrecision(4));

/** Two lines of heading, then one row per metric. */
export function comparisonTable(answer: ComparisonAnswer): string {
  const { model, baseline, candidate, countedUntil, metrics } = answer;
  const head = ["metric", "difference", "lower", "upper", "p", baseline, candidate, "rows", "verdict"];
  const rows = metrics.map((metric) => [
    metric.metric,
    number(metric.difference),
    number(metric.lower),
    number(metric.upper),
    number(metric.p),
    String(metric.rows.baseline),
    String(metric.rows.candidate),
    metric.paired ? "same requests" : "apart",
    metric.interval === "always-valid" ? metric.verdict : "(describes)",
  ]);
  const until = countedUntil === null ? "nothing is counted yet" : `predictions until ${countedUntil}`;
  return `${model}: ${candidate} against ${baseline}, ${until}\n${table([head, ...rows])}`;
}

export async function compare(request: CompareRequest, io: CliIo): Promise<number> {
  const { model, baseline, candidate } = request;
  const query = queryOf({ model, baseline, candidate });
  const token = readToken(request.tokenFile, io.env);
  for (const api of request.apis) {
    const text = await getText(`${api.replace(/\/$/, "")}/v1/compare${query}`, token);
    io.stdout.write(
      request.json ? `${text.trimEnd()}\n` : comparisonTable(parseComparison(JSON.parse(text))),
    );
  }
  return EXIT.ok;
}
