// The inputs of predictions, for drift: from the request of every protocol that is read, row by row, each value a number or
// a short text under its name or position. Everything is capped, and what is left out is counted.

import { isList, isObject, own, type JsonObject } from "./json.ts";
import type { Redaction } from "./redact.ts";

const NAME_MAX = 64;
const TEXT_MAX = 64;
/** Inputs of one row, and rows of one request, that are looked at. */
const INPUTS_MAX = 64;
const ROWS_MAX = 1000;
const CONTROL = /\p{Cc}/u;

export interface Input {
  readonly name: string;
  /** Text is a category. */
  readonly value: number | string;
}

export interface InputRule {
  /** Names or positions; null: all. */
  readonly names: readonly string[] | null;
  readonly redaction: Redaction;
}

/** "no_inputs": no shape that is known; "row_count": not as many rows as predictions. */
export type InputsMissing = "no_inputs" | "row_count";

type Cells = Iterable<readonly [name: string, raw: unknown]>;

interface Table {
  readonly rows: number;
  cells(row: number): Cells;
}

function* cellsOf(raw: unknown): Cells {
  if (isList(raw)) for (let i = 0; i < Math.min(raw.length, INPUTS_MAX); i++) yield [String(i), raw[i]];
  else if (isObject(raw)) yield* Object.entries(raw);
  else yield ["0", raw];
}

const listTable = (list: readonly unknown[]): Table => ({
  rows: list.length,
  cells: (row) => cellsOf(list[row]),
});

const oneRow = (raw: unknown): Table => ({ rows: 1, cells: () => cellsOf(raw) });

/** { name: [one value a row] }. */
function columnTable(columns: JsonObject): Table | null {
  const lists = Object.entries(columns).flatMap(([name, list]) => (isList(list) ? [{ name, list }] : []));
  const [first] = lists;
  if (first === undefined) return null;
  return {
    rows: first.list.length,
    cells: (row) => lists.map(({ name, list }) => [name, list[row]] as const),
  };
}

/** Pandas' split orientation, as MLflow takes it. */
function splitTable(split: JsonObject): Table | null {
  const columns = own(split, "columns");
  const data = own(split, "data");
  if (!isList(data)) return null;
  const nameOf = (at: number): string => {
    const name = isList(columns) ? columns[at] : undefined;
    return typeof name === "string" ? name : String(at);
  };
  return {
    rows: data.length,
    cells: (row) => Array.from(cellsOf(data[row]), ([, raw], at) => [nameOf(at), raw] as const),
  };
}

interface InputTensor {
  readonly name: string;
  readonly data: readonly unknown[];
  readonly rows: number;
  readonly width: number;
}

/** Open Inference Protocol: one value a row is an input of the tensor's name, several are name.0, name.1 ... */
function tensorOf(raw: unknown): InputTensor | null {
  if (!isObject(raw)) return null;
  const [name, shape, data] = [own(raw, "name"), own(raw, "shape"), own(raw, "data")];
  if (typeof name !== "string" || !isList(shape) || !isList(data)) return null;
  const [rows] = shape;
  const flat = isList(data[0]) ? data.flat(4) : data;
  if (typeof rows !== "number" || !Number.isSafeInteger(rows) || rows < 1 || flat.length % rows !== 0)
    return null;
  return { name, data: flat, rows, width: flat.length / rows };
}

function tensorTable(list: readonly unknown[]): Table | null {
  const tensors = list.map(tensorOf).filter((tensor) => tensor !== null);
  const [first] = tensors;
  if (first === undefined) return null;
  return {
    rows: first.rows,
    cells: (row) =>
      tensors.flatMap(({ name, data, rows, width }) => {
        if (rows !== first.rows) return [];
        if (width === 1) return [[name, data[row]] as const];
        const size = { length: Math.min(width, INPUTS_MAX) };
        return Array.from(size, (_, at) => [`${name}.${at}`, data[row * width + at]] as const);
      }),
  };
}

const LISTS = ["instances", "dataframe_records", "inputs", "data", "features", "rows"] as const;

function objectTable(body: JsonObject, rows: number): Table | null {
  const split = own(body, "dataframe_split");
  if (isObject(split)) return splitTable(split);
  const inputs = own(body, "inputs");
  if (isObject(inputs)) return columnTable(inputs) ?? oneRow(inputs);
  for (const name of LISTS) {
    const list = own(body, name);
    if (!isList(list)) continue;
    const tensors = name === "inputs" ? tensorTable(list) : null;
    if (tensors !== null) return tensors;
    // One answer to a plain list of values: they are its inputs.
    const isPlain = list.every((element) => !isList(element) && !isObject(element));
    return rows === 1 && list.length > 1 && isPlain ? oneRow(list) : listTable(list);
  }
  return rows === 1 ? oneRow(body) : null;
}

function tableOf(body: unknown, rows: number): Table | null {
  if (isObject(body)) return objectTable(body, rows);
  return isList(body) ? objectTable({ rows: body }, rows) : null;
}

function valueOf(raw: unknown): Input["value"] | null {
  if (typeof raw === "boolean") return String(raw);
  if (typeof raw === "number") return Number.isFinite(raw) ? raw : null;
  return typeof raw === "string" && raw.length <= TEXT_MAX && !CONTROL.test(raw) ? raw : null;
}

function inputsOf(cells: Cells, { names, redaction }: InputRule): Input[] {
  const found: Input[] = [];
  for (const [name, raw] of cells) {
    if (found.length >= INPUTS_MAX) break;
    if (name === "" || name.length > NAME_MAX || CONTROL.test(name)) continue;
    if (names !== null && !names.includes(name)) continue;
    if (!redaction.allows(name)) continue;
    const value = valueOf(raw);
    if (value !== null) found.push({ name, value });
  }
  return found;
}

/** One per prediction; null beyond the first thousand rows. Or why there are none. */
export type CapturedInputs = readonly (readonly Input[] | null)[] | InputsMissing;

/** `rows` of the answer, of which the `taken` ones are predictions. `body`: the request's JSON, cleaned of what is redacted. */
export function captureInputs(
  body: unknown,
  { rows, taken }: { readonly rows: number; readonly taken: readonly number[] },
  rule: InputRule,
): CapturedInputs {
  const table = tableOf(body, rows);
  if (table === null) return "no_inputs";
  if (table.rows !== rows) return "row_count";
  return taken.map((row) => (row < ROWS_MAX ? inputsOf(table.cells(row), rule) : null));
}
