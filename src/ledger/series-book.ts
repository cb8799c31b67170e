// One entry per (model, version): its number on disk, and how many of its rows wait for a label, by hour.

import { type Archive, ArchiveError, archiveMap, numberKey } from "../kernel/archive.ts";
import type { Change } from "../facts/pair.ts";
import type { SeriesStats } from "./types.ts";

const HOUR_MS = 3_600_000;
/** More versions than any deployment has; beyond it predictions are refused as invalid. */
export const SERIES_MAX = 16_384;

export class Series {
  readonly id: number;
  readonly model: string;
  readonly version: string;
  rows = 0;
  labelled = 0;
  expired = 0;
  firstTs = Number.POSITIVE_INFINITY;
  lastTs = Number.NEGATIVE_INFINITY;
  /** Hour of `ts` -> unlabelled rows. */
  readonly #unlabelled = new Map<number, number>();
  #expiredUpTo: number | null = null;

  constructor(id: number, model: string, version: string) {
    this.id = id;
    this.model = model;
    this.version = version;
  }

  #wait(ts: number, by: 1 | -1): void {
    const hour = Math.floor(ts / HOUR_MS);
    const left = (this.#unlabelled.get(hour) ?? 0) + by;
    if (left === 0) this.#unlabelled.delete(hour);
    else this.#unlabelled.set(hour, left);
  }

  apply(change: Change): void {
    const ts = change.prediction.ts;
    if (change.kind === "predicted") {
      this.rows++;
      if (ts < this.firstTs) this.firstTs = ts;
      if (ts > this.lastTs) this.lastTs = ts;
      this.#wait(ts, 1);
    } else if (change.kind === "forgotten") {
      this.rows--;
      if (change.before === null) this.#wait(ts, -1);
      else this.labelled--;
    } else if (change.before === null && change.after !== null) {
      this.labelled++;
      this.#wait(ts, -1);
    } else if (change.before !== null && change.after === null) {
      this.labelled--;
      this.#wait(ts, 1);
    }
  }

  archive(io: Archive): void {
    this.rows = io.number(this.rows);
    this.labelled = io.number(this.labelled);
    this.firstTs = io.number(this.firstTs);
    this.lastTs = io.number(this.lastTs);
    archiveMap(io, this.#unlabelled, { key: numberKey(io), value: (rows) => io.number(rows ?? 0) });
  }

  /** Forgets its rows. */
  clear(): void {
    this.rows = 0;
    this.labelled = 0;
    this.firstTs = Number.POSITIVE_INFINITY;
    this.lastTs = Number.NEGATIVE_INFINITY;
    this.#unlabelled.clear();
  }

  /** Counts the hours that fell behind `horizonTs` since the last call; those behind it at the first call are history. */
  expire(horizonTs: number): void {
    const hour = Math.floor(horizonTs / HOUR_MS);
    const from = this.#expiredUpTo;
    if (from !== null) {
      for (const [at, count] of this.#unlabelled) if (at >= from && at < hour) this.expired += count;
    }
    if (from === null || hour > from) this.#expiredUpTo = hour;
  }

  stats(horizonTs: number): SeriesStats {
    const hour = Math.floor(horizonTs / HOUR_MS);
    let pending = 0;
    for (const [at, count] of this.#unlabelled) if (at >= hour) pending += count;
    const { model, version, rows, labelled, expired, firstTs, lastTs } = this;
    return { model, version, rows, labelled, pending, expired, firstTs, lastTs };
  }
}

export class SeriesBook {
  readonly #byId = new Map<number, Series>();
  readonly #byModel = new Map<string, Map<string, Series>>();
  /** Of the change before: they come in runs. */
  #last: Series | undefined;
  #nextId = 1;

  get size(): number {
    return this.#byId.size;
  }

  get nextId(): number {
    return this.#nextId;
  }

  find(model: string, version: string): Series | undefined {
    return this.#byModel.get(model)?.get(version);
  }

  byId(id: number): Series | undefined {
    return this.#byId.get(id);
  }

  add(series: Series): void {
    this.#last = undefined;
    this.#byId.set(series.id, series);
    let versions = this.#byModel.get(series.model);
    if (versions === undefined) this.#byModel.set(series.model, (versions = new Map()));
    versions.set(series.version, series);
    if (series.id >= this.#nextId) this.#nextId = series.id + 1;
  }

  remove(series: Series): void {
    this.#last = undefined;
    this.#byId.delete(series.id);
    const versions = this.#byModel.get(series.model);
    versions?.delete(series.version);
    if (versions?.size === 0) this.#byModel.delete(series.model);
  }

  apply(change: Change): void {
    const { model, version } = change.prediction;
    if (this.#last?.version !== version || this.#last.model !== model) this.#last = this.find(model, version);
    this.#last?.apply(change);
  }

  /** What is counted of the series that are here already. */
  archive(io: Archive): void {
    const all = this.all();
    const size = io.number(all.length);
    for (let i = 0; i < size; i++) {
      const series = this.#byId.get(io.number(all[i]?.id ?? 0));
      if (series === undefined) throw new ArchiveError("a series is not known");
      series.archive(io);
    }
  }

  all(): Series[] {
    return [...this.#byId.values()];
  }
}
