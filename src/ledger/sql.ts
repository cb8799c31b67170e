// The tables and every statement on them. Rows and revisions are appended under sequential keys, nothing is indexed by a
// random id: finding is the memory index's work, so a write never touches a random page.

import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";

export const APPLICATION_ID = 0x4f757472; // "Outr"
export const SCHEMA_VERSION = 4;

/** A row as an array of columns. */
export type Cells = readonly SQLOutputValue[];

/*
 * meta        one row: how many transactions there were (tells after a failed commit whether it happened), next keys
 * word        texts that repeat (slices, routes); columns hold the number, or the text itself when the table is full
 * prediction  rows of one exchange are consecutive: row - pos is the first, which bears the exchange's id, names and n
 *             (series NULL: a gap; the answer had a row there that gave no prediction)
 * label       revisions of the label of a row; prev: the revision before; first: received - first received of the row;
 *             state 1: it did not fit (value is then the JSON of what was sent); state 2: silence stands for this value
 * pack        up to 64 revisions with keys from seq on, that have prev 0, first 0, state 0 and a number: see packs.ts
 * waiting     revisions of labels whose prediction is not known; label is JSON
 * span        segment (a run of rows, see row-book) -> next key of a revision when its first row came: labels of it are not older
 * sealed      segments whose names are on disk: in `buckets` pieces, by the hash seeded with meta.seed
 * bucket      key: segment * 65536 + bucket; names: pairs of hash and row offset, 32 bits each, little-endian
 * head        labelled row of a segment that is sealed (or being sealed) -> the revision that holds
 * filter      sealed segment -> its Bloom filter; live: which of its rows exist, and the times of its blocks (see stored-segments)
 * name        key: segment * 2^21 + offset; names of the rows from there until another offset, while the segment is resident
 * checkpoint  what the rows before next_row and the revisions before next_seq added up to, in pieces of a generation (see
 *             checkpoint); forgotten: rows that were forgotten since, by transaction
 */
const SEGMENTS = `
CREATE TABLE span (segment INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
CREATE TABLE sealed (segment INTEGER PRIMARY KEY, buckets INTEGER NOT NULL, names INTEGER NOT NULL);
CREATE TABLE bucket (key INTEGER PRIMARY KEY, names BLOB NOT NULL);
CREATE TABLE head (row INTEGER PRIMARY KEY, seq INTEGER NOT NULL);
`;
const CHECKPOINTS = `
CREATE TABLE filter (segment INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bits BLOB NOT NULL);
CREATE TABLE live (segment INTEGER PRIMARY KEY, crc INTEGER NOT NULL, bits BLOB NOT NULL);
CREATE TABLE name (key INTEGER PRIMARY KEY, until INTEGER NOT NULL, crc INTEGER NOT NULL, pairs BLOB NOT NULL);
CREATE TABLE checkpoint (one INTEGER PRIMARY KEY, commits INTEGER NOT NULL, next_row INTEGER NOT NULL,
  next_seq INTEGER NOT NULL, generation INTEGER NOT NULL, pieces INTEGER NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE piece (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE forgotten (commits INTEGER PRIMARY KEY, rows BLOB NOT NULL);
`;
const PACKS = "CREATE TABLE pack (seq INTEGER PRIMARY KEY, labels BLOB NOT NULL);";
const SEED = "abs(random() % 4294967296)";

/** What makes a file of an older schema one of the next; each step in one transaction. */
export const MIGRATIONS: Readonly<Record<number, string>> = {
  1: `ALTER TABLE meta ADD COLUMN seed INTEGER NOT NULL DEFAULT 0; UPDATE meta SET seed = ${SEED}; ${SEGMENTS}`,
  2: PACKS,
  3: CHECKPOINTS,
};

export const SCHEMA = `
CREATE TABLE meta (one INTEGER PRIMARY KEY, commits INTEGER NOT NULL, next_row INTEGER NOT NULL, next_seq INTEGER NOT NULL,
  seed INTEGER NOT NULL DEFAULT 0);
INSERT INTO meta VALUES (1, 0, 1, 1, ${SEED});
${SEGMENTS}
${PACKS}
${CHECKPOINTS}
CREATE TABLE series (id INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL);
CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE prediction (
  row INTEGER PRIMARY KEY, pos INTEGER, n INTEGER, series INTEGER, id TEXT, ts INTEGER, value, score, scores TEXT,
  slice INTEGER, aliases TEXT, trace TEXT, route INTEGER, status INTEGER, duration REAL, ttfb REAL);
CREATE TABLE label (
  seq INTEGER PRIMARY KEY, row INTEGER, prev INTEGER, ts INTEGER, received INTEGER, first INTEGER, state INTEGER, value);
CREATE TABLE waiting (
  seq INTEGER PRIMARY KEY, prev INTEGER, model TEXT, name TEXT, ts INTEGER, received INTEGER, first INTEGER, label TEXT);
CREATE TABLE mark (session TEXT PRIMARY KEY, batch INTEGER NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
`;

const PREDICTION = "row, pos, n, series, id, ts, value, score, scores, slice, aliases";
const FURTHER_ROW = "row, pos, series, ts, value, score, scores, slice";
const LABEL = "seq, row, prev, ts, received, first, state, value";
const WAITING = "seq, prev, model, name, ts, received, first, label";

/** Rows that `predictionsOf` reads at once. */
export const ROWS_TOGETHER = 32;

/** Revisions that `addLabels` takes at once. */
export const LABELS_TOGETHER = 32;
export const LABEL_COLUMNS = 8;
/** Rows that `addHeads` and `addRows` take at once. */
export const HEADS_TOGETHER = 16;
export const HEAD_COLUMNS = 16;
export const ROWS_ADDED_TOGETHER = 32;
export const ROW_COLUMNS = 8;

/** `rows` times a list of `columns` parameters. */
function values(columns: number, rows = 1): string {
  const row = `(${Array.from({ length: columns }, () => "?").join(", ")})`;
  return Array.from({ length: rows }, () => row).join(", ");
}

const TEXTS = {
  begin: "BEGIN IMMEDIATE",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  meta: "SELECT commits, next_row, next_seq, seed FROM meta",
  setMeta: "UPDATE meta SET commits = ?, next_row = ?, next_seq = ? WHERE one = 1",

  allSeries: "SELECT id, model, version FROM series",
  addSeries: "INSERT INTO series VALUES (?, ?, ?)",
  dropSeries: "DELETE FROM series WHERE id = ?",
  allWords: "SELECT id, text FROM word ORDER BY id",
  addWord: "INSERT INTO word VALUES (?, ?)",

  addHead: `INSERT INTO prediction VALUES ${values(HEAD_COLUMNS)}`,
  addHeads: `INSERT INTO prediction VALUES ${values(HEAD_COLUMNS, HEADS_TOGETHER)}`,
  addRow: `INSERT INTO prediction (${FURTHER_ROW}) VALUES ${values(ROW_COLUMNS)}`,
  addRows: `INSERT INTO prediction (${FURTHER_ROW}) VALUES ${values(ROW_COLUMNS, ROWS_ADDED_TOGETHER)}`,
  prediction: `SELECT ${PREDICTION} FROM prediction WHERE row = ?`,
  predictionsAfter: `SELECT ${PREDICTION} FROM prediction WHERE row > ? ORDER BY row LIMIT ?`,
  namesBetween:
    "SELECT row, pos, n, series, id, ts, aliases FROM prediction WHERE row BETWEEN ? AND ? ORDER BY row",
  predictionsBetween: `SELECT ${PREDICTION} FROM prediction WHERE row BETWEEN ? AND ? ORDER BY row`,
  predictionsWithin: `SELECT ${PREDICTION} FROM prediction WHERE row BETWEEN ? AND ? AND ts > ? AND ts <= ? ORDER BY row`,
  predictionsOf: `SELECT ${PREDICTION} FROM prediction WHERE row IN ${values(ROWS_TOGETHER)}`,
  exchange: "SELECT trace, route, status, duration, ttfb FROM prediction WHERE row = ?",
  // Both at once would read all rows.
  rowSpan: "SELECT (SELECT min(row) FROM prediction), (SELECT max(row) FROM prediction)",
  dropPredictions: "DELETE FROM prediction WHERE row BETWEEN ? AND ?",

  addLabel: `INSERT INTO label VALUES ${values(LABEL_COLUMNS)}`,
  addLabels: `INSERT INTO label VALUES ${values(LABEL_COLUMNS, LABELS_TOGETHER)}`,
  label: `SELECT ${LABEL} FROM label WHERE seq = ?`,
  labelsBetween: `SELECT ${LABEL} FROM label WHERE seq BETWEEN ? AND ?`,
  labelHeads: "SELECT seq, row, ts, state FROM label WHERE seq > ? ORDER BY seq LIMIT ?",
  relinkLabel: "UPDATE label SET prev = ? WHERE seq = ?",
  dropLabel: "DELETE FROM label WHERE seq = ?",
  packUpTo: "SELECT seq, labels FROM pack WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
  packsBetween: "SELECT seq, labels FROM pack WHERE seq BETWEEN ? AND ?",
  packsAfter: "SELECT seq, labels FROM pack WHERE seq > ? ORDER BY seq LIMIT ?",
  setPack: "INSERT OR REPLACE INTO pack VALUES (?, ?)",
  dropPack: "DELETE FROM pack WHERE seq = ?",

  allSpans: "SELECT segment, seq FROM span ORDER BY segment",
  addSpan: "INSERT OR IGNORE INTO span VALUES (?, ?)",
  dropSpan: "DELETE FROM span WHERE segment = ?",
  allSealed: "SELECT segment, buckets, names FROM sealed ORDER BY segment",
  addSealed: "INSERT INTO sealed VALUES (?, ?, ?)",
  dropSealed: "DELETE FROM sealed WHERE segment = ?",
  bucket: "SELECT names FROM bucket WHERE key = ?",
  bucketAfter: "SELECT key FROM bucket WHERE key > ? ORDER BY key LIMIT 1",
  setBucket: "INSERT OR REPLACE INTO bucket VALUES (?, ?)",
  dropBuckets: "DELETE FROM bucket WHERE key BETWEEN ? AND ?",
  head: "SELECT seq FROM head WHERE row = ?",
  headsBetween: "SELECT row, seq FROM head WHERE row BETWEEN ? AND ?",
  setHead: "INSERT OR REPLACE INTO head VALUES (?, ?)",
  dropHeads: "DELETE FROM head WHERE row BETWEEN ? AND ?",

  filter: "SELECT bits, crc FROM filter WHERE segment = ?",
  setFilter: "INSERT OR REPLACE INTO filter VALUES (?, ?, ?)",
  dropFilter: "DELETE FROM filter WHERE segment = ?",
  live: "SELECT bits, crc FROM live WHERE segment = ?",
  setLive: "INSERT OR REPLACE INTO live VALUES (?, ?, ?)",
  dropLive: "DELETE FROM live WHERE segment = ?",
  names: "SELECT key, until, pairs, crc FROM name WHERE key BETWEEN ? AND ? ORDER BY key",
  setNames: "INSERT OR REPLACE INTO name VALUES (?, ?, ?, ?)",
  dropNames: "DELETE FROM name WHERE key BETWEEN ? AND ?",
  checkpoint: "SELECT commits, next_row, next_seq, generation, pieces, crc FROM checkpoint",
  setCheckpoint: "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?, ?, ?, ?)",
  dropCheckpoint: "DELETE FROM checkpoint",
  piece: "SELECT bytes FROM piece WHERE key = ?",
  setPiece: "INSERT OR REPLACE INTO piece VALUES (?, ?)",
  dropPieces: "DELETE FROM piece WHERE key BETWEEN ? AND ?",
  piecesFrom: "SELECT key FROM piece WHERE key >= ? ORDER BY key DESC LIMIT ?",
  forgottenAfter: "SELECT rows FROM forgotten WHERE commits > ? ORDER BY commits",
  forgottenUpTo: "SELECT commits FROM forgotten WHERE commits <= ? ORDER BY commits LIMIT 1",
  dropForgottenAt: "DELETE FROM forgotten WHERE commits = ?",
  addForgotten: "INSERT INTO forgotten VALUES (?, ?)",
  dropForgotten: "DELETE FROM forgotten",

  addWaiting: "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  waiting: `SELECT ${WAITING} FROM waiting WHERE seq = ?`,
  waitingHeads: "SELECT seq, prev, model, name FROM waiting WHERE seq > ? ORDER BY seq LIMIT ?",
  oldestWaiting: `SELECT ${WAITING} FROM waiting ORDER BY seq LIMIT ?`,
  relinkWaiting: "UPDATE waiting SET prev = ? WHERE seq = ?",
  dropWaiting: "DELETE FROM waiting WHERE seq = ?",

  allMarks: "SELECT session, batch, at FROM mark ORDER BY at",
  setMark:
    "INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET batch = excluded.batch, at = excluded.at",
  dropMark: "DELETE FROM mark WHERE session = ?",
  state: "SELECT value FROM state WHERE key = ?",
  statesAfter: "SELECT key, value FROM state WHERE key > ? ORDER BY key LIMIT ?",
  dropState: "DELETE FROM state WHERE key = ?",
  setState: "INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",

  usedPages:
    "SELECT page_count - freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
  /** busy, pages in the log, pages of them that are in the file: neither does more than it must. */
  walPages: "PRAGMA wal_checkpoint(NOOP)",
  walCheckpoint: "PRAGMA wal_checkpoint(PASSIVE)",
} as const;

export type Sql = Readonly<Record<keyof typeof TEXTS, StatementSync>>;

type LabelStatement =
  | "addLabel"
  | "addLabels"
  | "label"
  | "labelsBetween"
  | "labelHeads"
  | "relinkLabel"
  | "dropLabel"
  | "packUpTo"
  | "packsBetween"
  | "packsAfter"
  | "setPack"
  | "dropPack";

type CheckpointStatement =
  | "filter"
  | "setFilter"
  | "dropFilter"
  | "live"
  | "setLive"
  | "dropLive"
  | "names"
  | "setNames"
  | "dropNames"
  | "checkpoint"
  | "setCheckpoint"
  | "dropCheckpoint"
  | "piece"
  | "setPiece"
  | "dropPieces"
  | "piecesFrom"
  | "forgottenAfter"
  | "forgottenUpTo"
  | "dropForgottenAt"
  | "addForgotten"
  | "dropForgotten";

/** Prepares everything at once: a file that lacks a table is found out here. */
export function prepareSql(db: DatabaseSync): Sql {
  const prepare = (text: string): StatementSync => db.prepare(text, { returnArrays: true });
  return {
    begin: prepare(TEXTS.begin),
    commit: prepare(TEXTS.commit),
    rollback: prepare(TEXTS.rollback),
    ...prepareLabels(prepare),
    ...prepareCheckpoints(prepare),
    meta: prepare(TEXTS.meta),
    setMeta: prepare(TEXTS.setMeta),
    allSeries: prepare(TEXTS.allSeries),
    addSeries: prepare(TEXTS.addSeries),
    dropSeries: prepare(TEXTS.dropSeries),
    allWords: prepare(TEXTS.allWords),
    addWord: prepare(TEXTS.addWord),
    addHead: prepare(TEXTS.addHead),
    addHeads: prepare(TEXTS.addHeads),
    addRow: prepare(TEXTS.addRow),
    addRows: prepare(TEXTS.addRows),
    prediction: prepare(TEXTS.prediction),
    predictionsAfter: prepare(TEXTS.predictionsAfter),
    namesBetween: prepare(TEXTS.namesBetween),
    predictionsBetween: prepare(TEXTS.predictionsBetween),
    predictionsWithin: prepare(TEXTS.predictionsWithin),
    predictionsOf: prepare(TEXTS.predictionsOf),
    exchange: prepare(TEXTS.exchange),
    rowSpan: prepare(TEXTS.rowSpan),
    dropPredictions: prepare(TEXTS.dropPredictions),
    allSpans: prepare(TEXTS.allSpans),
    addSpan: prepare(TEXTS.addSpan),
    dropSpan: prepare(TEXTS.dropSpan),
    allSealed: prepare(TEXTS.allSealed),
    addSealed: prepare(TEXTS.addSealed),
    dropSealed: prepare(TEXTS.dropSealed),
    bucket: prepare(TEXTS.bucket),
    bucketAfter: prepare(TEXTS.bucketAfter),
    setBucket: prepare(TEXTS.setBucket),
    dropBuckets: prepare(TEXTS.dropBuckets),
    head: prepare(TEXTS.head),
    headsBetween: prepare(TEXTS.headsBetween),
    setHead: prepare(TEXTS.setHead),
    dropHeads: prepare(TEXTS.dropHeads),
    addWaiting: prepare(TEXTS.addWaiting),
    waiting: prepare(TEXTS.waiting),
    waitingHeads: prepare(TEXTS.waitingHeads),
    oldestWaiting: prepare(TEXTS.oldestWaiting),
    relinkWaiting: prepare(TEXTS.relinkWaiting),
    dropWaiting: prepare(TEXTS.dropWaiting),
    allMarks: prepare(TEXTS.allMarks),
    setMark: prepare(TEXTS.setMark),
    dropMark: prepare(TEXTS.dropMark),
    state: prepare(TEXTS.state),
    statesAfter: prepare(TEXTS.statesAfter),
    dropState: prepare(TEXTS.dropState),
    setState: prepare(TEXTS.setState),
    usedPages: prepare(TEXTS.usedPages),
    walPages: prepare(TEXTS.walPages),
    walCheckpoint: prepare(TEXTS.walCheckpoint),
  };
}

type Prepare = (text: string) => StatementSync;

function prepareLabels(prepare: Prepare): Pick<Sql, LabelStatement> {
  return {
    addLabel: prepare(TEXTS.addLabel),
    addLabels: prepare(TEXTS.addLabels),
    label: prepare(TEXTS.label),
    labelsBetween: prepare(TEXTS.labelsBetween),
    labelHeads: prepare(TEXTS.labelHeads),
    relinkLabel: prepare(TEXTS.relinkLabel),
    dropLabel: prepare(TEXTS.dropLabel),
    packUpTo: prepare(TEXTS.packUpTo),
    packsBetween: prepare(TEXTS.packsBetween),
    packsAfter: prepare(TEXTS.packsAfter),
    setPack: prepare(TEXTS.setPack),
    dropPack: prepare(TEXTS.dropPack),
  };
}

function prepareCheckpoints(prepare: Prepare): Pick<Sql, CheckpointStatement> {
  return {
    filter: prepare(TEXTS.filter),
    setFilter: prepare(TEXTS.setFilter),
    dropFilter: prepare(TEXTS.dropFilter),
    live: prepare(TEXTS.live),
    setLive: prepare(TEXTS.setLive),
    dropLive: prepare(TEXTS.dropLive),
    names: prepare(TEXTS.names),
    setNames: prepare(TEXTS.setNames),
    dropNames: prepare(TEXTS.dropNames),
    checkpoint: prepare(TEXTS.checkpoint),
    setCheckpoint: prepare(TEXTS.setCheckpoint),
    dropCheckpoint: prepare(TEXTS.dropCheckpoint),
    piece: prepare(TEXTS.piece),
    setPiece: prepare(TEXTS.setPiece),
    dropPieces: prepare(TEXTS.dropPieces),
    piecesFrom: prepare(TEXTS.piecesFrom),
    forgottenAfter: prepare(TEXTS.forgottenAfter),
    forgottenUpTo: prepare(TEXTS.forgottenUpTo),
    dropForgottenAt: prepare(TEXTS.dropForgottenAt),
    addForgotten: prepare(TEXTS.addForgotten),
    dropForgotten: prepare(TEXTS.dropForgotten),
  };
}

function isCells(row: unknown): row is Cells {
  return Array.isArray(row);
}

/** One row, or null. The statements return arrays, which the declared types do not know. */
export function one(row: unknown): Cells | null {
  return isCells(row) ? row : null;
}

function isRows(rows: unknown): rows is readonly Cells[] {
  return Array.isArray(rows);
}

export function many(rows: unknown): readonly Cells[] {
  return isRows(rows) ? rows : [];
}

/** A number of a column that always holds one; NaN when the file says otherwise. */
export function num(cell: SQLOutputValue | undefined): number {
  return typeof cell === "number" ? cell : Number.NaN;
}

export function text(cell: SQLOutputValue | undefined): string {
  return typeof cell === "string" ? cell : "";
}
