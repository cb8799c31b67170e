// Errors of three kinds: a caller's mistake (Problem), expected trouble (a value), a bug (invariant).

/** The caller's mistake, or a refusal that a caller must understand. `code` is stable and documented. */
export class Problem extends Error {
  readonly code: string;
  /** Where in the caller's input, e.g. `models[0].task` or `line 3`. */
  readonly path: string | null;
  constructor(code: string, message: string, path: string | null = null) {
    super(message);
    this.name = "Problem";
    this.code = code;
    this.path = path;
  }
}

/** Several mistakes at once: all are told before anything is done. */
export class Problems extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    super(problems.map((p) => (p.path === null ? p.message : `${p.path}: ${p.message}`)).join("\n"));
    this.name = "Problems";
    this.problems = problems;
  }
}

/** Throws when `condition` does not hold: a bug of ours, caught only at the edge of a process. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (condition === false || condition === null || condition === undefined) {
    throw new Error(`invariant: ${message}`);
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The `code` of a thrown system or library error (`ECONNREFUSED`, `ERR_SQLITE_ERROR`), or null. */
export function codeOf(thrown: unknown): string | null {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return null;
  return typeof thrown.code === "string" ? thrown.code : null;
}
