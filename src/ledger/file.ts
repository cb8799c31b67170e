// The database file: made whole or not at all, opened for one process alone, moved aside when it is broken.

import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { randomHex } from "../kernel/ids.ts";
import { codeOf } from "../kernel/problem.ts";
import { APPLICATION_ID, MIGRATIONS, SCHEMA, SCHEMA_VERSION, num, one, prepareSql } from "./sql.ts";
import type { Sql } from "./sql.ts";
import { troubleOf } from "./trouble.ts";
import type { Trouble } from "./trouble.ts";

export const FILE_NAME = "ledger.db";
/** A larger file is not walked before it is opened: what is broken in it is found where it is read. */
const WALKED_BYTES_MAX = 64 * 1024 * 1024;
const UNFINISHED = `${FILE_NAME}.new-`;

export interface OpenFile {
  readonly db: DatabaseSync;
  readonly sql: Sql;
}

export type FileResult =
  | { readonly kind: "open"; readonly file: OpenFile }
  | { readonly kind: "trouble"; readonly trouble: Trouble };

class BrokenFile extends Error {}

function pragma(db: DatabaseSync, name: string): unknown {
  return one(db.prepare(`PRAGMA ${name}`, { returnArrays: true }).get())?.[0];
}

/** The lock comes before the journal mode: so WAL keeps its index in memory and needs no -shm file. */
function settle(db: DatabaseSync): void {
  pragma(db, "locking_mode = EXCLUSIVE");
  // A whole file always takes this mode: with the lock held it asks nothing of the file system.
  if (pragma(db, "journal_mode = WAL") !== "wal") throw new BrokenFile("it refuses the write-ahead log");
  db.exec("PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON");
  // The log is emptied in steps of our own: see wal.ts.
  db.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32768");
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Builds the file under another name and links it into place: `ledger.db` is never half made, even if we die here. */
function createFile(directory: string): void {
  const making = join(directory, `${UNFINISHED}${randomHex(8)}`);
  try {
    const db = new DatabaseSync(making);
    try {
      settle(db);
      db.exec(`BEGIN; ${SCHEMA} COMMIT`);
      db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`);
    } finally {
      db.close();
    }
    linkSync(making, join(directory, FILE_NAME));
    syncDirectory(directory);
  } catch (thrown) {
    // Another process was faster; the lock will tell which of us it belongs to.
    if (codeOf(thrown) !== "EEXIST") throw thrown;
  } finally {
    for (const end of ["", "-wal", "-shm", "-journal"]) rmSync(`${making}${end}`, { force: true });
  }
}

/** What is at the place: "file", "none", or why it cannot be ours. */
function inspect(path: string): "file" | "none" | { readonly broken: string } {
  try {
    const found = lstatSync(path);
    if (found.isDirectory()) return { broken: "a directory is in its place" };
    if (!found.isFile()) return { broken: "it is not a regular file" };
    return found.size === 0 ? { broken: "it is empty" } : "file";
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return "none";
    throw thrown;
  }
}

function schemaOf(db: DatabaseSync): number {
  return num(one(db.prepare("PRAGMA user_version", { returnArrays: true }).get())?.[0]);
}

function check(db: DatabaseSync): Trouble | null {
  const version = schemaOf(db);
  if (pragma(db, "application_id") !== APPLICATION_ID)
    return { cause: "corrupt", message: "it is not a ledger" };
  if (version > SCHEMA_VERSION) {
    return {
      cause: "newer-schema",
      message: `it was written by a newer version (schema ${version}, this one knows ${SCHEMA_VERSION})`,
    };
  }
  return version === SCHEMA_VERSION || version in MIGRATIONS
    ? null
    : { cause: "corrupt", message: `unknown schema ${version}` };
}

/** Takes a file of an older schema forward, step by step; a step that is killed half way has not happened. */
function migrate(db: DatabaseSync): void {
  const found = schemaOf(db);
  for (let version = found; version < SCHEMA_VERSION; version++) {
    db.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[version] ?? ""} PRAGMA user_version = ${version + 1}; COMMIT`);
  }
  if (found < SCHEMA_VERSION) pragma(db, "wal_checkpoint(TRUNCATE)");
}

/** Opens a connection that nobody else can have beside it. `verify` also walks all pages of a file that is not large. */
export function connect(directory: string, verify: boolean): FileResult {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(join(directory, FILE_NAME), { timeout: 0 });
    settle(db);
    let trouble = check(db);
    if (trouble === null && verify && statSync(join(directory, FILE_NAME)).size <= WALKED_BYTES_MAX) {
      const said = pragma(db, "quick_check(1)");
      if (said !== "ok") trouble = { cause: "corrupt", message: String(said) };
    }
    if (trouble === null) {
      migrate(db);
      return { kind: "open", file: { db, sql: prepareSql(db) } };
    }
    closeQuietly(db);
    return { kind: "trouble", trouble };
  } catch (thrown) {
    closeQuietly(db);
    return { kind: "trouble", trouble: connectTrouble(directory, thrown) };
  }
}

function connectTrouble(directory: string, thrown: unknown): Trouble {
  const trouble = troubleOf(thrown);
  if (thrown instanceof BrokenFile) return { cause: "corrupt", message: thrown.message };
  if (trouble.cause !== "read-only") return trouble;
  try {
    // SQLite also says "read-only" to a header that a newer format would have. If we may write, it is the header.
    accessSync(join(directory, FILE_NAME), constants.R_OK | constants.W_OK);
    accessSync(directory, constants.W_OK);
    return { cause: "corrupt", message: trouble.message };
  } catch {
    return trouble;
  }
}

/** The handle is lost either way; the first error is the one to tell. */
export function closeQuietly(db: DatabaseSync | null): void {
  try {
    db?.close();
  } catch {
    // See above.
  }
}

/** Makes the directory and, where nothing is, the file; then connects. */
export function openFile(directory: string): FileResult {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // SQLite would only say "disk I/O error".
    accessSync(directory, constants.W_OK);
    const found = inspect(join(directory, FILE_NAME));
    if (typeof found === "object")
      return { kind: "trouble", trouble: { cause: "corrupt", message: found.broken } };
    if (found === "none") {
      // A log without its file must not be replayed into a new one.
      moveCompanions(directory, join(directory, `${FILE_NAME}.left-${randomHex(4)}`));
      createFile(directory);
    }
  } catch (thrown) {
    return { kind: "trouble", trouble: troubleOf(thrown) };
  }
  const result = connect(directory, true);
  if (result.kind === "open") removeUnfinished(directory);
  return result;
}

/** What a process that died while creating the file left behind. Only the holder of the lock may say so. */
function removeUnfinished(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (name.startsWith(UNFINISHED)) rmSync(join(directory, name), { force: true });
  }
}

/** Moves the file and what belongs to it aside; gives the new name. Nothing is ever deleted. */
export function quarantine(directory: string, wallMs: number): string {
  const stamp = new Date(wallMs).toISOString().replaceAll(/[-:]/g, "");
  const path = join(directory, FILE_NAME);
  const aside = `${path}.corrupt-${stamp}-${randomHex(2)}`;
  renameSync(path, aside);
  moveCompanions(directory, aside);
  return aside;
}

function moveCompanions(directory: string, to: string): void {
  for (const end of ["-wal", "-shm", "-journal"]) {
    try {
      renameSync(join(directory, `${FILE_NAME}${end}`), `${to}${end}`);
    } catch (thrown) {
      if (codeOf(thrown) !== "ENOENT") throw thrown;
    }
  }
}
