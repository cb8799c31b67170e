// The answers of several sidecars about the same labels -> one sum: each keeps what is its own.

export const RESULTS = [
  "joined",
  "corrected",
  "retracted",
  "stale",
  "duplicate",
  "waiting",
  "rejected",
] as const;
export type Result = (typeof RESULTS)[number];

export interface LabelTrouble {
  readonly line: number;
  readonly code: string;
  readonly message: string;
}

export type Counts = { readonly received: number } & Readonly<Record<Result, number>>;

export interface LabelAnswer {
  readonly counts: Counts;
  readonly errors: readonly LabelTrouble[];
}

export const NO_COUNTS: Counts = Object.freeze({
  received: 0,
  joined: 0,
  corrected: 0,
  retracted: 0,
  stale: 0,
  duplicate: 0,
  waiting: 0,
  rejected: 0,
});

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function count(value: unknown): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** Text of a server, for a terminal: no control characters (no escape sequences), and not endless. */
export function printable(text: string): string {
  let clean = "";
  for (const char of text.slice(0, 500)) {
    const code = char.codePointAt(0) ?? 0;
    clean += code < 0x20 || (code >= 0x7f && code < 0xa0) ? "?" : char;
  }
  return clean;
}

/** An answer (also the problem document of a 422 or 503) as counts; null when it is nothing of the kind. */
export function parseLabelAnswer(body: unknown): LabelAnswer | null {
  if (!isRecord(body) || typeof body["received"] !== "number") return null;
  const counts = { ...NO_COUNTS, received: count(body["received"]) };
  for (const result of RESULTS) counts[result] = count(body[result]);
  const list: readonly unknown[] = Array.isArray(body["errors"]) ? body["errors"] : [];
  const errors = list.filter(isRecord).map((error) => ({
    line: count(error["line"]),
    code: printable(String(error["code"])),
    message: printable(String(error["message"])),
  }));
  return { counts, errors };
}

export function addCounts(a: Counts, b: Counts): Counts {
  const sum = { ...NO_COUNTS, received: a.received + b.received };
  for (const result of RESULTS) sum[result] = a[result] + b[result];
  return sum;
}

/**
 * One request's answers by several sidecars as if it were one. The answers hold counts only, so this is by counts: a label that is
 * joined (or corrected, ...) anywhere counts there and not among the waiting; refused are those that all refused.
 */
export function mergeAnswers(answers: readonly LabelAnswer[]): LabelAnswer {
  const [only, ...more] = answers;
  if (only === undefined) return { counts: NO_COUNTS, errors: [] };
  if (more.length === 0) return only;
  const received = Math.max(...answers.map(({ counts }) => counts.received));
  const merged = { ...NO_COUNTS, received };
  let left = received - Math.min(...answers.map(({ counts }) => counts.rejected));
  for (const result of RESULTS) {
    if (result === "rejected") continue;
    const told = answers.reduce((sum, { counts }) => sum + counts[result], 0);
    merged[result] = Math.min(left, told);
    left -= merged[result];
  }
  merged.rejected = received - RESULTS.reduce((sum, result) => sum + merged[result], 0);
  const errors = only.errors.filter(({ line }) =>
    more.every((other) => other.errors.some((error) => error.line === line)),
  );
  return { counts: merged, errors };
}
