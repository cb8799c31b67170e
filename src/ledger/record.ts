// Exchanges to rows: the first of an id stays, what waited for it is joined, what other versions know is shared.

import type { ExchangeRecord, Prediction } from "../facts/prediction.ts";
import { ROWS_PER_EXCHANGE_MAX, encodeAliases, parseLabel, predictionId } from "./codec.ts";
import type { WaitingRevision } from "./codec.ts";
import { NAME_LENGTH_MAX, canonical, holding, keepInvalid, labelRow, spread } from "./join.ts";
import { Finder, hitsAt, posFrom, readRow, targetAt } from "./lookup.ts";
import type { Hit, Sighting, Target } from "./lookup.ts";
import { SHARED_ALIAS_MAX, VOID } from "./row-book.ts";
import { SERIES_MAX, Series } from "./series-book.ts";
import { chainOf, placesOf, removePlace } from "./wait.ts";
import { wordFor } from "./work.ts";
import type { Work } from "./work.ts";

const ALIASES_MAX = 8;
const COLON = 0x3a;
/** More exchanges than this under one hash are not told apart in bounded time: further ones are refused as invalid. */
const SAME_NAME_MAX = 64;

export interface Tally {
  accepted: number;
  duplicates: number;
  conflicts: number;
  invalid: number;
}

/** Position -> prediction, when the ids keep the contract of the fact: `<id>` alone, or `<id>:<row>` ascending. */
interface Layout {
  readonly id: string;
  readonly n: number;
  readonly at: Map<number, Prediction>;
}

function layoutOf(exchange: ExchangeRecord): Layout | null {
  const { id, predictions } = exchange;
  if (id.length < 1 || id.length > NAME_LENGTH_MAX || !id.isWellFormed()) return null;
  const at = new Map<number, Prediction>();
  let n = 0;
  for (const prediction of predictions) {
    const pos = prediction.id === id ? 0 : positionIn(id, prediction.id);
    if (pos < 0 || at.has(pos) || !isSound(exchange, prediction)) return null;
    if (prediction.id === id && predictions.length > 1) return null;
    at.set(pos, prediction);
    n = Math.max(n, pos + 1);
  }
  const single = predictions.length === 1 && predictions[0]?.id === id;
  // A lone `<id>:0` of several rows keeps its own name: an exchange of one row is called by its id.
  if (!single && n === 1) n = 2;
  return n >= 1 && n <= ROWS_PER_EXCHANGE_MAX ? { id, n, at } : null;
}

/** -1: it is not a name of a row of the exchange. */
function positionIn(id: string, name: string): number {
  if (name.charCodeAt(id.length) !== COLON || !name.startsWith(id)) return -1;
  const pos = posFrom(name, id.length + 1);
  return pos < ROWS_PER_EXCHANGE_MAX ? pos : -1;
}

function isFiniteOrText(value: number | string | null): boolean {
  return typeof value !== "number" || Number.isFinite(value);
}

function isSound(exchange: ExchangeRecord, prediction: Prediction): boolean {
  return (
    prediction.model === exchange.model &&
    prediction.version === exchange.version &&
    Number.isFinite(prediction.ts) &&
    isFiniteOrText(prediction.value) &&
    isFiniteOrText(prediction.score) &&
    (prediction.scores === null || Object.values(prediction.scores).every((score) => Number.isFinite(score)))
  );
}

function seriesFor(work: Work, model: string, version: string): Series | null {
  const { series } = work.memory;
  const known = series.find(model, version);
  if (known !== undefined) return known;
  if (series.size >= SERIES_MAX || model.length > NAME_LENGTH_MAX || version.length > NAME_LENGTH_MAX)
    return null;
  if (!model.isWellFormed() || !version.isWellFormed()) return null;
  const made = new Series(series.nextId, model, version);
  work.sql.addSeries.run(made.id, model, version);
  series.add(made);
  work.undo.push(() => series.remove(made));
  return made;
}

/** Records one exchange. */
export function applyExchange(work: Work, exchange: ExchangeRecord, tally: Tally): void {
  if (exchange.predictions.length === 0) return;
  const layout = layoutOf(exchange);
  const series = layout === null ? null : seriesFor(work, exchange.model, exchange.version);
  if (layout === null || series === null) {
    tally.invalid += exchange.predictions.length;
    return;
  }
  const sighting = new Finder(work).find(layout.id);
  if (sighting.whole.length >= SAME_NAME_MAX) {
    tally.invalid += exchange.predictions.length;
    return;
  }
  const namesakes = namesakesOf(work, { layout, sighting }, exchange.model);
  for (const namesake of namesakes) {
    if (versionOf(work, namesake.hit) === exchange.version) compare(work, { layout, namesake }, tally);
  }
  if (layout.at.size === 0) return;
  const targets = append(work, { exchange, layout, series, hash: sighting.hash });
  tally.accepted += targets.size;
  settle(work, { exchange, layout, targets, namesakes });
}

/** An exchange of the same model with a prediction id of ours. */
interface Namesake {
  readonly hit: Hit;
  /** Our position that it concerns; null: each has its counterpart. */
  readonly own: number | null;
  /** The counterpart's position; null: the same as ours. */
  readonly at: number | null;
}

/** `a:1` may be the only row of an exchange `a:1` and the second of an exchange `a`: it is one id either way. */
function namesakesOf(work: Work, seen: { layout: Layout; sighting: Sighting }, model: string): Namesake[] {
  const { layout, sighting: own } = seen;
  const ours = (hit: Hit): boolean => hit.via === "id" && hit.model === model;
  const namesakes: Namesake[] = [];
  for (const hit of hitsAt(work, own).filter(ours)) {
    if (hit.pos === null) namesakes.push({ hit, own: null, at: null });
    else if (layout.n === 1 && hit.head.n > 1) namesakes.push({ hit, own: 0, at: hit.pos });
  }
  if (layout.n === 1) return namesakes;
  const finder = new Finder(work);
  for (const [pos, { id }] of layout.at) {
    const sighting = finder.find(id);
    if (sighting.whole.length === 0) continue;
    const lone = hitsAt(work, sighting).filter((hit) => ours(hit) && hit.pos === null && hit.head.n === 1);
    for (const hit of lone) namesakes.push({ hit, own: pos, at: 0 });
  }
  return namesakes;
}

function versionOf(work: Work, hit: Hit): string | null {
  if (hit.stored.series !== null) return hit.stored.series.version;
  for (let pos = 1; pos < hit.head.n; pos++) {
    const version = readRow(work, hit.head.row + pos)?.series?.version;
    if (version !== undefined) return version;
  }
  return null;
}

/** The same id again in the same version: what is there stays; ours is a duplicate or a conflict, and left out. */
function compare(work: Work, seen: { layout: Layout; namesake: Namesake }, tally: Tally): void {
  const { layout, namesake } = seen;
  for (const [pos, prediction] of layout.at) {
    if (namesake.own !== null && namesake.own !== pos) continue;
    const at = namesake.at ?? pos;
    const kept = at < namesake.hit.head.n ? targetAt(work, namesake.hit, at)?.prediction : undefined;
    if (kept !== undefined && samePrediction(kept, prediction)) tally.duplicates++;
    else if (kept !== undefined || namesake.own === null) tally.conflicts++;
    else continue;
    layout.at.delete(pos);
  }
}

function samePrediction(a: Prediction, b: Prediction): boolean {
  return (
    a.id === b.id &&
    a.ts === b.ts &&
    a.value === b.value &&
    a.score === b.score &&
    sameRecord(a.scores, b.scores) &&
    sameRecord(a.slice, b.slice)
  );
}

type Flat = Readonly<Record<string, number | string>> | null;

function sameRecord(a: Flat, b: Flat): boolean {
  if (a === null || b === null) return a === b;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => Object.hasOwn(b, name) && a[name] === b[name])
  );
}

interface Arrival {
  readonly exchange: ExchangeRecord;
  readonly layout: Layout;
  /** Of the exchange's id. */
  readonly hash: number;
  readonly series: Series;
}

/** Writes the rows and their names; gives the predictions by position. */
function append(work: Work, arrival: Arrival): Map<number, Target> {
  const { exchange, layout, series } = arrival;
  const { memory } = work;
  const head = memory.nextRow;
  const targets = new Map<number, Target>();
  const gapTs = exchange.predictions[0]?.ts ?? exchange.ts;
  const aliases = aliasesOf(exchange);
  memory.nextRow = head + layout.n;
  for (let number = memory.rows.numberOf(head); number <= memory.rows.numberOf(head + layout.n - 1); number++)
    if (!memory.rows.hasSegment(number)) work.sql.addSpan.run(number, memory.nextSeq);
  for (let pos = 0; pos < layout.n; pos++) {
    const prediction = layout.at.get(pos) ?? null;
    const row = head + pos;
    if (pos === 0) insertHead(work, { ...arrival, row, aliases }, prediction);
    else insertRow(work, { row, pos, series, gapTs }, prediction);
    memory.rows.append(row, prediction?.ts ?? gapTs, prediction === null ? VOID : 0);
    if (prediction === null) continue;
    targets.set(pos, { row, prediction });
    work.changes.push({ kind: "predicted", row, prediction });
  }
  const hashes = [arrival.hash];
  for (const alias of aliases) {
    const hash = memory.hash(alias);
    if (!memory.rows.crowded(hash, work.sql, SHARED_ALIAS_MAX)) hashes.push(hash);
  }
  for (const hash of hashes) memory.rows.name(hash, head);
  work.undo.push(() => {
    for (const hash of hashes) memory.rows.unname(hash, head);
    for (let row = head; row < head + layout.n; row++) {
      memory.rows.forget(row);
      memory.columns.drop(row);
    }
  });
  return targets;
}

const NO_ALIASES: readonly string[] = Object.freeze([]);

function aliasesOf(exchange: ExchangeRecord): readonly string[] {
  if (exchange.aliases.length === 0) return NO_ALIASES;
  const kept = new Set<string>();
  for (const alias of exchange.aliases) {
    const name = alias.toWellFormed();
    if (kept.size >= ALIASES_MAX) break;
    if (name !== exchange.id && name.length >= 1 && name.length <= NAME_LENGTH_MAX) kept.add(name);
  }
  return [...kept];
}

function scoresOf(prediction: Prediction): string | null {
  return prediction.scores === null ? null : JSON.stringify(prediction.scores);
}

function sliceOf(work: Work, prediction: Prediction): number | string | null {
  return prediction.slice === null ? null : wordFor(work, JSON.stringify(prediction.slice));
}

function insertHead(
  work: Work,
  at: Arrival & { readonly row: number; readonly aliases: readonly string[] },
  prediction: Prediction | null,
): void {
  const { exchange, layout, series, row } = at;
  work.predictions.addHead([
    row,
    0,
    layout.n,
    prediction === null ? null : series.id,
    layout.id,
    prediction?.ts ?? exchange.predictions[0]?.ts ?? exchange.ts,
    prediction?.value ?? null,
    prediction?.score ?? null,
    prediction === null ? null : scoresOf(prediction),
    prediction === null ? null : sliceOf(work, prediction),
    encodeAliases(at.aliases),
    exchange.traceId,
    wordFor(work, `${exchange.method} ${exchange.route}`),
    exchange.status,
    exchange.durationMs,
    exchange.ttfbMs,
  ]);
}

function insertRow(
  work: Work,
  at: { readonly row: number; readonly pos: number; readonly series: Series; readonly gapTs: number },
  prediction: Prediction | null,
): void {
  const { row, pos, series } = at;
  if (prediction === null) {
    work.predictions.addRow([row, pos, null, at.gapTs, null, null, null, null]);
    return;
  }
  const { ts, value, score } = prediction;
  const slice = sliceOf(work, prediction);
  work.memory.columns.add(row, prediction, { series: series.id, slice });
  work.predictions.addRow([row, pos, series.id, ts, value, score, scoresOf(prediction), slice]);
}

interface Settling {
  readonly exchange: ExchangeRecord;
  readonly layout: Layout;
  readonly targets: ReadonlyMap<number, Target>;
  /** Exchanges of the model's other versions with the same id. */
  readonly namesakes: readonly Namesake[];
}

/** Shares what other versions of the id know, then joins what waited, in order of arrival. */
function settle(work: Work, settling: Settling): void {
  const siblings = siblingsOf(work, settling);
  for (const [pos, rows] of siblings) {
    const target = settling.targets.get(pos);
    const known = rows
      .map((row) => holding(work, row.row))
      .find((one) => one !== null && !one.invalid && !one.absent);
    if (target === undefined || known === undefined || known === null) continue;
    const { ts, received, firstReceived, value } = known;
    labelRow(work, target, { value, ts, received, firstReceived });
  }
  if (work.memory.waiting.size > 0) joinWaiting(work, settling, siblings);
}

/** Position -> rows of other versions with the same prediction id. */
function siblingsOf(work: Work, settling: Settling): Map<number, Target[]> {
  const { layout, namesakes } = settling;
  const siblings = new Map<number, Target[]>();
  if (namesakes.length === 0) return siblings;
  for (const pos of settling.targets.keys()) {
    const id = predictionId(layout, pos);
    const rows: Target[] = [];
    for (const { hit, own, at: theirs } of namesakes) {
      if (own !== null && own !== pos) continue;
      const at = theirs ?? pos;
      const target = at < hit.head.n ? targetAt(work, hit, at) : null;
      if (target !== null && target.prediction.id === id) rows.push(target);
    }
    if (rows.length > 0) siblings.set(pos, rows);
  }
  return siblings;
}

interface Early extends WaitingRevision {
  /** The row that the waiting name points to; null: the whole exchange. */
  readonly pos: number | null;
}

function joinWaiting(work: Work, settling: Settling, siblings: ReadonlyMap<number, readonly Target[]>): void {
  const { exchange, layout } = settling;
  const found: Early[] = [];
  const gather = (name: string, pos: number | null): void => {
    for (const place of placesOf(work, name)) {
      if (place.holds.model !== null && place.holds.model !== exchange.model) continue;
      const chain = chainOf(work, place);
      for (const revision of chain) found.push({ ...revision, pos });
      removePlace(work, place, chain);
    }
  };
  for (const name of [layout.id, ...aliasesOf(exchange)]) {
    gather(name, null);
    for (const pos of layout.at.keys()) gather(`${name}:${pos}`, pos);
  }
  found.sort((a, b) => a.seq - b.seq);
  const head = work.memory.nextRow - layout.n;
  const fallback = [...settling.targets.values()][0]?.row ?? head;
  for (const early of found) {
    const label = canonical(work, exchange.model, parseLabel(early.label));
    const values = label.ok
      ? spread({ head: { row: head, n: layout.n, id: layout.id }, pos: early.pos }, label.label)
      : null;
    const { ts, received, firstReceived } = early;
    if (values === null) {
      keepInvalid(work, settling.targets.get(early.pos ?? 0)?.row ?? fallback, {
        json: early.label,
        ts,
        received,
        firstReceived,
      });
      work.after.push(() => {
        work.memory.waitingInvalid++;
      });
      continue;
    }
    for (const [pos, value] of values) {
      const target = settling.targets.get(pos);
      const rows = target === undefined ? [] : [target, ...(siblings.get(pos) ?? [])];
      for (const row of rows) labelRow(work, row, { value, ts, received, firstReceived });
    }
  }
}
