// The Open Inference Protocol's request as the demo server takes it: one FP64 tensor of rows, nothing else.

/** A request that is the caller's mistake, with the status it gets. */
export class BadRequest extends Error {
  readonly status: 400 | 404 | 405 | 413;

  constructor(status: 400 | 404 | 405 | 413, message: string) {
    super(message);
    this.name = "BadRequest";
    this.status = status;
  }
}

export interface InferRequest {
  readonly id: string | null;
  readonly rows: readonly (readonly number[])[];
  /** The outputs asked for; null is all. */
  readonly outputs: readonly string[] | null;
}

/** More rows in one request are refused. */
const ROWS_MAX = 1000;
const ID_CHARS_MAX = 512;

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listOf(value: unknown): readonly unknown[] | null {
  return Array.isArray(value) ? value : null;
}

function parseText(text: string): Readonly<Record<string, unknown>> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (thrown) {
    throw new BadRequest(400, `the body is no JSON: ${thrown instanceof Error ? thrown.message : "?"}`);
  }
  if (!isRecord(body)) throw new BadRequest(400, "the body is no JSON object");
  return body;
}

/** `data` may be flat row-major or one list per row. */
function parseRows(tensor: unknown, width: number): number[][] {
  const shape = isRecord(tensor) ? listOf(tensor["shape"]) : null;
  const data = isRecord(tensor) ? listOf(tensor["data"]) : null;
  if (shape === null || data === null) throw new BadRequest(400, "inputs[0] needs shape and data");
  const [count, columns] = shape;
  if (shape.length !== 2 || columns !== width || typeof count !== "number") {
    throw new BadRequest(400, `inputs[0].shape must be [rows, ${width}]`);
  }
  if (!Number.isInteger(count) || count < 1 || count > ROWS_MAX) {
    throw new BadRequest(400, `inputs[0].shape must have 1 to ${ROWS_MAX} rows`);
  }
  if (data.length !== count && data.length !== count * width) {
    throw new BadRequest(400, `inputs[0].data does not hold ${count * width} numbers`);
  }
  const flat = data.flat(1);
  const numbers = flat.filter((value) => typeof value === "number");
  if (flat.length !== count * width || numbers.length !== flat.length) {
    throw new BadRequest(400, `inputs[0].data does not hold ${count * width} numbers`);
  }
  return Array.from({ length: count }, (_, i) => numbers.slice(i * width, (i + 1) * width));
}

/** Throws BadRequest when `text` is no request for a model of `width` features. */
export function parseInfer(text: string, width: number): InferRequest {
  const body = parseText(text);
  const inputs = listOf(body["inputs"]);
  if (inputs?.length !== 1) throw new BadRequest(400, "inputs must hold exactly one tensor");
  const id = body["id"];
  if (id !== undefined && (typeof id !== "string" || id.length > ID_CHARS_MAX)) {
    throw new BadRequest(400, `id must be a string of at most ${ID_CHARS_MAX} characters`);
  }
  const asked = listOf(body["outputs"]);
  const names = asked?.map((output) => (isRecord(output) ? String(output["name"]) : "")) ?? null;
  return { id: id ?? null, rows: parseRows(inputs[0], width), outputs: names };
}
