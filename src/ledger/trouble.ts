// What went wrong with the file, in the words that callers are told.

import { codeOf, messageOf } from "../kernel/problem.ts";
import type { Refused } from "./types.ts";

export type Trouble = {
  readonly cause: "locked" | "disk-full" | "read-only" | "io" | "corrupt" | "newer-schema";
  readonly message: string;
};

/** SQLite's primary result codes (sqlite.org/rescode.html). */
const BY_SQLITE_CODE: Readonly<Record<number, Trouble["cause"]>> = {
  5: "locked",
  6: "locked",
  8: "read-only",
  10: "io",
  11: "corrupt",
  13: "disk-full",
  14: "io",
  26: "corrupt",
};

const BY_SYSTEM_CODE: Readonly<Record<string, Trouble["cause"]>> = {
  ENOSPC: "disk-full",
  EDQUOT: "disk-full",
  EROFS: "read-only",
  EACCES: "read-only",
  EPERM: "read-only",
};

/** The primary SQLite code of a thrown error, or null when SQLite did not throw it. */
export function sqliteCodeOf(thrown: unknown): number | null {
  if (codeOf(thrown) !== "ERR_SQLITE_ERROR" || typeof thrown !== "object" || thrown === null) return null;
  const code = "errcode" in thrown ? thrown.errcode : null;
  return typeof code === "number" ? code & 0xff : 1;
}

/** Sorts an error of SQLite or of the file system; "io" when it is neither known nor one of these. */
export function troubleOf(thrown: unknown): Trouble {
  const message = messageOf(thrown);
  const sqlite = sqliteCodeOf(thrown);
  if (sqlite !== null) return { cause: BY_SQLITE_CODE[sqlite] ?? (sqlite === 1 ? "corrupt" : "io"), message };
  return { cause: BY_SYSTEM_CODE[codeOf(thrown) ?? ""] ?? "io", message };
}

/** What the caller of a write is told. A file that somebody else took, or a newer one in its place, is lost to us: "io". */
export function refusalOf(trouble: Trouble): Refused {
  const { cause, message } = trouble;
  return { kind: "refused", cause: cause === "locked" || cause === "newer-schema" ? "io" : cause, message };
}
