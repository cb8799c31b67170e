// `outrider verify`: a stopped store, measured in two ways that must agree bit for bit; and with what the sidecar said when it stopped.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { createLogger } from "../app/logger.ts";
import { loadConfig, type Config } from "../config/config.ts";
import { systemClock } from "../kernel/clock.ts";
import { Problem } from "../kernel/problem.ts";
import { FILE_NAME } from "../ledger/file.ts";
import { createLedger, type Ledger } from "../ledger/ledger.ts";
import { createMeasure, type Difference, type Measure } from "../measure/measure.ts";
import { normaliseLabel } from "../measure/semantics.ts";
import { compareGroups } from "../measure/verify.ts";
import { configuredBook, ledgerOptions } from "../observer/options.ts";
import { LAST_TOTALS, parseLastTotals } from "../observer/parse-totals.ts";
import { EXIT, type CliIo } from "./io.ts";

export interface VerifyRequest {
  readonly file: string | null;
  readonly flags: Readonly<Record<string, unknown>>;
  readonly json: boolean;
}

/** The windows are moved so often before they are compared: sums that drift would show. */
const MOVES = 24;
const DAY_MS = 86_400_000;
const SHOWN_MAX = 20;

type ModelBook = ReturnType<typeof configuredBook>;

interface Report {
  readonly rows: number;
  /** Rows that could not be decoded. */
  readonly damaged: number;
  readonly compared: number;
  /** Groups compared with what was said at the last stop; null: it is not known. */
  readonly lastSaid: number | null;
  readonly differences: readonly Difference[];
}

function openStore(config: Config, book: ModelBook, io: CliIo): { ledger: Ledger; damaged: number } {
  const options = ledgerOptions(config);
  const file = join(options.path, FILE_NAME);
  if (!existsSync(file)) throw new Problem("store", `there is no store: ${file}`, "store.path");
  const ledger = createLedger(options, {
    clock: systemClock,
    log: createLogger("traffic", io.env["LOG_LEVEL"] ?? "error"),
    normalise: (model, label) => normaliseLabel(book.specOf(model), label),
    onChanges: () => undefined,
  });
  const opened = ledger.open();
  if (opened.kind === "refused") throw new Problem("store", opened.message, "store.path");
  if (opened.kind === "quarantined") throw new Problem("store", `${opened.why}: set aside as ${opened.file}`);
  return { ledger, damaged: opened.damaged };
}

function measureOf(ledger: Ledger, book: ModelBook, asOf: number): Measure {
  const series = (): ReturnType<Ledger["stats"]>["series"] => ledger.stats().series;
  const measure = createMeasure(
    { asOf },
    {
      specOf: (model) => book.specOf(model),
      versionsOf: (model) => series().flatMap((each) => (each.model === model ? [each.version] : [])),
      scan: (range, visit) => ledger.scan(range, visit),
    },
  );
  for (const model of new Set(series().map((each) => each.model))) measure.rebuild(model);
  return measure;
}

/** What the ledger counts, against the rows that it gives. */
function compareCounts(ledger: Ledger): Difference[] {
  const found: Difference[] = [];
  for (const { model, version, rows, labelled } of ledger.stats().series) {
    const seen = { rows: 0, labelled: 0 };
    const range = { fromTs: Number.MIN_SAFE_INTEGER, toTs: Number.MAX_SAFE_INTEGER };
    ledger.scan({ model, version, ...range }, (_row, _prediction, truth) => {
      seen.rows++;
      if (truth !== null) seen.labelled++;
    });
    const of = { model, version, slice: "", part: "ledger" };
    if (rows !== seen.rows) found.push({ ...of, field: "rows", kept: rows, rebuilt: seen.rows });
    if (labelled !== seen.labelled)
      found.push({ ...of, field: "labelled", kept: labelled, rebuilt: seen.labelled });
  }
  return found;
}

function check(ledger: Ledger, book: ModelBook, damaged: number): Report {
  const saved = ledger.loadState("models");
  if (saved !== null) book.restore(JSON.parse(saved));
  const last = parseLastTotals(ledger.loadState(LAST_TOTALS));
  const now = last?.at ?? Math.floor(systemClock.wallMs());
  const begin = now - 7 * DAY_MS;
  const measure = measureOf(ledger, book, begin);
  for (let move = 0; move <= MOVES; move++) measure.groups(begin + Math.floor((7 * DAY_MS * move) / MOVES));
  const { compared, differences } = measure.verify(now);
  const said = last === null ? [] : compareGroups(last.groups, asJson(measure.groups(now)));
  return {
    rows: ledger.stats().rows,
    damaged,
    compared,
    lastSaid: last?.groups.length ?? null,
    differences: [...compareCounts(ledger), ...differences, ...said],
  };
}

/** As a text and back, which keeps every bit but the sign of zero. */
function asJson(groups: ReturnType<Measure["groups"]>): ReturnType<Measure["groups"]> {
  return parseLastTotals(JSON.stringify({ at: 0, groups }))?.groups.slice() ?? [];
}

function describe(report: Report): string {
  const { rows, damaged, compared, lastSaid, differences } = report;
  const lines = differences
    .slice(0, SHOWN_MAX)
    .map(({ model, version, slice, part, field, kept, rebuilt }) => {
      const group = [
        `model ${model}`,
        `version ${version}`,
        ...(slice === "" ? [] : [`slice ${slice}`]),
        part,
      ];
      return `differs: ${group.join(", ")}: ${field} is ${String(kept)}, from the rows ${String(rebuilt)}`;
    });
  if (differences.length > SHOWN_MAX) lines.push(`and ${differences.length - SHOWN_MAX} more`);
  if (damaged > 0) lines.push(`damaged: ${damaged} rows cannot be read`);
  const stop =
    lastSaid === null ? "not known what was said at the last stop" : `${lastSaid} groups of the last stop`;
  const ended = differences.length === 0 && damaged === 0 ? "ok" : "failed";
  return `${[...lines, `${ended}: ${rows} rows, ${compared} panes and totals compared, ${stop}`].join("\n")}\n`;
}

/** 0: everything agrees; 1: it does not, or the store cannot be opened. */
export async function verify(request: VerifyRequest, io: CliIo): Promise<number> {
  const { config } = loadConfig({ file: request.file, flags: request.flags, env: io.env, cwd: io.cwd });
  const book = configuredBook(config);
  const { ledger, damaged } = openStore(config, book, io);
  try {
    const report = check(ledger, book, damaged);
    io.stdout.write(request.json ? `${JSON.stringify(report)}\n` : describe(report));
    return report.differences.length === 0 && damaged === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await ledger.close();
  }
}
