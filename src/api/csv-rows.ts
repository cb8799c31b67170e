// A CSV stream (RFC 4180, header row) -> label cells. A broken quote ends the reading: what follows it cannot be trusted.

import { CsvError, type Parser, parse } from "csv-parse";
import { codeOf } from "../kernel/problem.ts";
import type { LabelCells } from "./label-event.ts";
import { ApiProblem } from "./problems.ts";

/** Hears every record after the header. `line` is the file's line on which the record ends, from 1. */
export type RowSink = (cells: LabelCells, line: number, bytes: number) => void;

export interface CsvReader {
  /** Resolves when `chunk` has been read. Rejects with an ApiProblem at a broken header or quote. */
  push(chunk: Buffer): Promise<void>;
  end(): Promise<void>;
}

interface Columns {
  readonly id: number;
  readonly label: number;
  readonly model: number;
  readonly ts: number;
}

function parseHeader(cells: readonly string[]): Columns {
  const names = cells.map((cell) => cell.trim().toLowerCase());
  const missing = ["id", "label"].filter((name) => !names.includes(name));
  if (missing.length > 0) {
    throw new ApiProblem(
      "missing_column",
      `the header row lacks ${missing.join(" and ")}: write comma-separated names, e.g. id,label,model,ts`,
    );
  }
  const at = (name: string): number => names.indexOf(name);
  return { id: at("id"), label: at("label"), model: at("model"), ts: at("ts") };
}

function problemOf(thrown: unknown, lineBytesMax: number): unknown {
  if (!(thrown instanceof CsvError)) return thrown;
  const line: unknown = thrown["lines"];
  const where = typeof line === "number" ? `line ${line}` : "an unknown line";
  const why =
    codeOf(thrown) === "CSV_MAX_RECORD_SIZE"
      ? `a record longer than ${lineBytesMax} bytes: a quote is not closed, or it is too long`
      : 'a quote is out of place: write a field with quotes as "a ""b"" c"';
  return new ApiProblem("invalid_csv", `${where}: ${why}; nothing from here on was read`);
}

class CsvLabels implements CsvReader {
  readonly #parser: Parser;
  readonly #sink: RowSink;
  readonly #lineBytesMax: number;
  #columns: Columns | null = null;
  #failure: unknown = null;

  constructor(lineBytesMax: number, sink: RowSink) {
    this.#sink = sink;
    this.#lineBytesMax = lineBytesMax;
    this.#parser = parse({
      bom: true,
      trim: true,
      relax_column_count: true,
      skip_empty_lines: true,
      max_record_size: lineBytesMax,
      on_record: (record: string[], context) => this.#record(record, context.lines),
    });
    // Records leave by the hook; the readable side only has to be let run dry.
    this.#parser.on("error", (thrown) => {
      this.#failure ??= thrown;
    });
    this.#parser.resume();
  }

  #record(cells: readonly string[], line: number): null {
    const columns = this.#columns;
    if (columns === null) {
      this.#columns = parseHeader(cells);
      return null;
    }
    const cell = (at: number): string | null => (at < 0 ? null : (cells[at] ?? ""));
    const id = cell(columns.id) ?? "";
    const label = cell(columns.label);
    this.#sink(
      { id, label, model: cell(columns.model), ts: cell(columns.ts) },
      line,
      id.length + (label?.length ?? 0),
    );
    return null;
  }

  push(chunk: Buffer): Promise<void> {
    return this.#settled((done) => this.#parser.write(chunk, done));
  }

  end(): Promise<void> {
    return this.#settled((done) => this.#parser.end(done));
  }

  #settled(act: (done: (thrown?: Error | null) => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (thrown: unknown): void => reject(toError(problemOf(thrown, this.#lineBytesMax)));
      if (this.#failure !== null) return fail(this.#failure);
      act((thrown) => {
        const failure = this.#failure ?? thrown ?? null;
        if (failure === null) resolve();
        else fail(failure);
      });
    });
  }
}

function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

export function createCsvReader(lineBytesMax: number, sink: RowSink): CsvReader {
  return new CsvLabels(lineBytesMax, sink);
}
