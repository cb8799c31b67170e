// Beside the realised quality: what it will be when the labels still expected are in, and what scores alone say.

import { isRecord } from "./parse-estimates.ts";
import { table } from "./table.ts";

function figure(value: unknown): string {
  if (!isRecord(value) || typeof value["value"] !== "number") return "-";
  const { value: middle, lower, upper } = value;
  const bounds =
    typeof lower === "number" && typeof upper === "number"
      ? ` [${lower.toPrecision(4)}, ${upper.toPrecision(4)}]`
      : "";
  return `${Number(middle).toPrecision(4)}${bounds}`;
}

const fields = (value: unknown): Readonly<Record<string, unknown>> => (isRecord(value) ? value : {});

/** What was said earlier minus what the labels say by now. */
function off(error: unknown): string {
  const { estimated, realised } = fields(error);
  return typeof estimated === "number" && typeof realised === "number"
    ? (estimated - realised).toPrecision(2)
    : "-";
}

/** The answer of GET /v1/estimates as a table; "" when there is nothing to show. */
export function estimatesTable(estimates: readonly Readonly<Record<string, unknown>>[]): string {
  const rows = estimates.flatMap(({ model, version, window, estimated, nowcast: cast, errors }) => {
    const nowcast = fields(cast);
    const [alone, now] = [fields(estimated), fields(nowcast["metrics"])];
    const [aloneOff, nowOff] = [fields(errors), fields(nowcast["errors"])];
    return Object.keys({ ...alone, ...now }).map((metric) => {
      const names = [model, version, window].map(String);
      return [
        ...names,
        metric,
        figure(now[metric]),
        off(nowOff[metric]),
        figure(alone[metric]),
        off(aloneOff[metric]),
      ];
    });
  });
  if (rows.length === 0) return "";
  const head = [
    "model",
    "version",
    "window",
    "metric",
    "when all labels are in",
    "was off by",
    "estimated",
    "was off by",
  ];
  return table([head, ...rows]);
}
