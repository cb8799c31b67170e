// Answers to questions from outside: one prediction with its story, the revisions of a label, the rows of a time range.

import type { LabelRevision } from "../facts/label.ts";
import { decodeAliases, parseShownLabel } from "./codec.ts";
import type { Revision } from "./codec.ts";
import { truthOf } from "./join.ts";
import { revisionAt } from "./label-table.ts";
import { headOf, headsOnDisk, hitsOf, targetAt } from "./lookup.ts";
import type { Hit, Shelf, Target } from "./lookup.ts";
import type { Series } from "./series-book.ts";
import { many, num, one } from "./sql.ts";
import type { Cells } from "./sql.ts";
import type { FoundPrediction, RowVisitor, ScanRange, WalkRange } from "./types.ts";
import { chainOf, placesOf } from "./wait.ts";
import { Walker, readRevisions } from "./walk.ts";
import type { WalkedRow } from "./walk.ts";

const FOUND_MAX = 1000;
const REVISIONS_MAX = 100;

/** Every prediction that knows `name` as its id, its exchange's id or an alias, each once. */
function* targetsOf(shelf: Shelf, name: string): Generator<{ readonly hit: Hit; readonly target: Target }> {
  const seen = new Set<number>();
  for (const hit of hitsOf(shelf, name)) {
    const positions = hit.pos === null ? Array.from({ length: hit.head.n }, (_, pos) => pos) : [hit.pos];
    for (const pos of positions) {
      if (seen.size >= FOUND_MAX) return;
      const target = targetAt(shelf, hit, pos);
      if (target === null || seen.has(target.row)) continue;
      seen.add(target.row);
      yield { hit, target };
    }
  }
}

export function findPredictions(shelf: Shelf, name: string): FoundPrediction[] {
  return [...targetsOf(shelf, name.toWellFormed())].map(({ hit, target }) => describe(shelf, hit, target));
}

function describe(shelf: Shelf, hit: Hit, { row, prediction }: Target): FoundPrediction {
  const { model, version, id, ts, value, score, scores, slice } = prediction;
  const [trace, route, status, duration, ttfb] = one(shelf.sql.exchange.get(hit.head.row)) ?? [];
  const line = shelf.memory.words.textOf(route) ?? "";
  const space = line.indexOf(" ");
  return {
    row,
    id,
    exchangeId: hit.head.id,
    aliases: decodeAliases(hit.stored.cells[10]),
    model,
    version,
    slice,
    ts,
    prediction: value,
    score,
    scores,
    traceId: typeof trace === "string" ? trace : null,
    exchange: {
      method: line.slice(0, Math.max(0, space)),
      route: line.slice(space + 1),
      status: typeof status === "number" ? status : null,
      durationMs: typeof duration === "number" ? duration : 0,
      ttfbMs: typeof ttfb === "number" ? ttfb : null,
    },
    labels: revisionsOf(shelf, { row, prediction }),
  };
}

/** Newest first: the one that holds, then what it superseded. */
function revisionsOf(shelf: Shelf, { row, prediction }: Target): LabelRevision[] {
  const revisions: LabelRevision[] = [];
  let holds = true;
  let step: Revision | null = shownAt(shelf, headOf(shelf, row));
  while (step !== null && step.row === row && revisions.length < REVISIONS_MAX) {
    const state = step.invalid ? "invalid" : holds ? "current" : "superseded";
    if (!step.invalid) holds = false;
    const label = step.invalid ? parseShownLabel(String(step.value)) : step.value;
    const { ts, received: receivedAt } = step;
    const silence = step.absent ? { absent: true as const } : {};
    revisions.push({ id: prediction.id, model: prediction.model, label, ts, receivedAt, state, ...silence });
    step = shownAt(shelf, step.prev);
  }
  return revisions;
}

function shownAt(shelf: Shelf, seq: number): Revision | null {
  return seq <= 0 ? null : revisionAt(shelf.sql, seq);
}

/** Revisions for `name`, joined or waiting. What reached several versions is told once. */
export function findRevisions(shelf: Shelf, given: string): LabelRevision[] {
  const name = given.toWellFormed();
  const told = new Set<string>();
  const revisions: LabelRevision[] = [];
  for (const { target } of targetsOf(shelf, name)) {
    for (const revision of revisionsOf(shelf, target)) {
      const key = JSON.stringify([
        revision.id,
        revision.model,
        revision.label,
        revision.ts,
        revision.receivedAt,
      ]);
      if (told.has(key) || revisions.length >= FOUND_MAX) continue;
      told.add(key);
      revisions.push(revision);
    }
  }
  for (const place of placesOf(shelf, name)) {
    for (const { model, label, ts, received } of chainOf(shelf, place)) {
      const state = revisions.length < FOUND_MAX ? "waiting" : null;
      if (state === null) return revisions;
      revisions.push({ id: name, model, label: parseShownLabel(label), ts, receivedAt: received, state });
    }
  }
  return revisions;
}

/** Visits rows with fromTs < ts <= toTs in row order; reads only the blocks that may hold some. */
export function scanRows(shelf: Shelf, range: ScanRange, visit: RowVisitor): void {
  const series = shelf.memory.series.find(range.model, range.version);
  if (series === undefined) return;
  const { fromTs, toTs, rowsMax = Number.POSITIVE_INFINITY } = range;
  let visited = 0;
  for (const { first, last } of shelf.memory.rows.blocks(fromTs, toTs)) {
    if (visited > rowsMax) return;
    const cells = many(shelf.sql.predictionsWithin.all(first, last, fromTs, toTs));
    visited += tellRows(shelf, { cells, isWanted: (of) => of === series }, visit);
  }
}

/** The same by row, for a model: at most so many rows (of all models) after `afterRow`. Gives the last of them; Infinity: the end. */
export function walkRows(shelf: Shelf, { model, afterRow, rowsMax }: WalkRange, visit: RowVisitor): number {
  const cells = many(shelf.sql.predictionsAfter.all(afterRow, rowsMax));
  tellRows(shelf, { cells, isWanted: (of) => of.model === model }, visit);
  return cells.length < rowsMax ? Number.POSITIVE_INFINITY : num(cells[cells.length - 1]?.[0]);
}

interface FoundRows {
  /** Neighbours, in row order. */
  readonly cells: readonly Cells[];
  readonly isWanted: (of: Series) => boolean;
}

/** Gives how many were visited. Nothing is read in between. */
function tellRows(shelf: Shelf, { cells, isWanted }: FoundRows, visit: RowVisitor): number {
  const { rows: book } = shelf.memory;
  const walker = new Walker(shelf);
  const first = num(cells[0]?.[0]);
  // Segments are sealed in their order.
  const stored = book.isSealed(first) ? headsOnDisk(shelf, first, num(cells[cells.length - 1]?.[0])) : null;
  const headAt = (row: number): number =>
    stored !== null && book.isSealed(row) ? (stored.get(row) ?? 0) : book.head(row);
  const rows: WalkedRow[] = [];
  const seqs: number[] = [];
  for (const each of cells) {
    const walked = walker.read(each);
    const series = walked?.stored.series ?? null;
    if (walked === null || series === null || walked.prediction === null || !isWanted(series)) continue;
    rows.push(walked);
    const head = headAt(walked.stored.row);
    if (head > 0) seqs.push(head);
  }
  const revisions = seqs.length === 0 ? null : readRevisions(shelf.sql, seqs);
  for (const { stored: row, prediction } of rows) {
    if (prediction === null) continue;
    visit(row.row, prediction, truthOf(revisions?.get(headAt(row.row)) ?? null));
  }
  return rows.length;
}
