// `outrider drift`: how far predictions, scores and inputs have moved from their reference, from a running sidecar.

import { getText, queryOf } from "./http.ts";
import { EXIT, type CliIo } from "./io.ts";
import { type DriftVersion, parseDrift } from "./parse-drift.ts";
import { readToken } from "./quality.ts";
import { table } from "./table.ts";

export interface DriftRequest {
  readonly apis: readonly string[];
  readonly tokenFile: string | null;
  readonly json: boolean;
  readonly model: string | null;
  readonly version: string | null;
}

const number = (value: number | null | undefined): string =>
  value === null || value === undefined ? "-" : value.toPrecision(3);

/** A distance with the level that chance alone gives it at that number of rows. */
const beside = (value: number | null | undefined, noise: number | null | undefined): string =>
  value === null || value === undefined ? "-" : `${number(value)} (${number(noise)})`;

function distanceRows({ model, version, streams }: DriftVersion): string[][] {
  return streams.flatMap(({ stream, reference, windows }) =>
    windows.map(({ window, rows, distances, reason }) => [
      model,
      version,
      stream,
      window,
      String(rows),
      reference.rows === 0 ? "none yet" : `${reference.kind}, ${reference.rows} rows`,
      beside(distances?.["psi"], distances?.["psi_noise"]),
      beside(distances?.["kolmogorov_smirnov"], distances?.["kolmogorov_smirnov_noise"]),
      number(distances?.["jensen_shannon"]),
      number(distances?.["wasserstein"]),
      reason ?? "",
    ]),
  );
}

function alarmRows({ model, version, alarms, behind_seconds: behind }: DriftVersion): string[][] {
  const left = behind > 0 ? `${Math.round(behind)} s of rows to go` : "";
  return alarms.map(({ detector, direction, alarms: count, last }) => [
    model,
    version,
    detector,
    direction === "up" ? "worse" : "better",
    String(count),
    last ?? "-",
    left,
  ]);
}

/** Distances by stream and window, then alarms about the errors; one line when there is nothing. */
export function driftTable(versions: readonly DriftVersion[]): string {
  const distances = versions.flatMap(distanceRows);
  const alarms = versions.flatMap(alarmRows);
  const blocks: string[] = [];
  if (distances.length > 0) {
    const head = ["model", "version", "stream", "window", "rows", "reference"];
    const measures = ["PSI (noise)", "KS (noise)", "JS", "Wasserstein", "why not"];
    blocks.push(table([[...head, ...measures], ...distances]));
  }
  if (alarms.length > 0) {
    const head = ["model", "version", "detector", "errors became", "alarms", "last prediction", "behind"];
    blocks.push(table([head, ...alarms]));
  }
  return blocks.length === 0 ? "no version is watched for drift yet\n" : blocks.join("\n");
}

export async function drift(request: DriftRequest, io: CliIo): Promise<number> {
  const { model, version } = request;
  const token = readToken(request.tokenFile, io.env);
  for (const api of request.apis) {
    const url = `${api.replace(/\/$/, "")}/v1/drift${queryOf({ model, version })}`;
    const text = await getText(url, token);
    io.stdout.write(request.json ? `${text.trimEnd()}\n` : driftTable(parseDrift(JSON.parse(text))));
  }
  return EXIT.ok;
}
