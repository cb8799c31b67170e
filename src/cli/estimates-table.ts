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

/** The answer of GET /v1/estimates as a table; "" when there is nothing to show. */
export function estimatesTable(estimates: readonly Readonly<Record<string, unknown>>[]): string {
  const rows = estimates.flatMap(({ model, version, window, estimated, nowcast, errors }) => {
    const [alone, now, past] = [estimated, isRecord(nowcast) ? nowcast["metrics"] : null, errors].map(
      (part) => (isRecord(part) ? part : {}),
    );
    return Object.keys({ ...alone, ...now }).map((metric) => {
      const error = past?.[metric];
      const off =
        isRecord(error) && typeof error["estimated"] === "number" && typeof error["realised"] === "number"
          ? (error["estimated"] - error["realised"]).toPrecision(2)
          : "-";
      const names = [model, version, window].map(String);
      return [...names, metric, figure(now?.[metric]), figure(alone?.[metric]), off];
    });
  });
  if (rows.length === 0) return "";
  const head = [
    "model",
    "version",
    "window",
    "metric",
    "when all labels are in",
    "estimated",
    "estimate was off by",
  ];
  return table([head, ...rows]);
}
