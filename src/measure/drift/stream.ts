// One stream of one version over time: hours of values, its reference, and how far the newest windows are from it.

import { type Archive, archiveFlag, archiveSame } from "../../kernel/archive.ts";
import { Panes } from "../estimate/panes.ts";
import type { BucketPurse } from "../estimate/sketch.ts";
import { compareSpreads, type Distances, type Reference } from "./compare.ts";
import type { KeptSpread } from "./saved-spreads.ts";
import {
  CategoryNames,
  CategorySpread,
  createSpread,
  MERGED_BUCKETS,
  PANE_BUCKETS,
  type Spread,
  type StreamKind,
  type StreamValue,
  type Tally,
} from "./spread.ts";

const HOUR_MS = 3_600_000;
/** Windows with fewer rows are not compared: the noise would be all there is. */
const ROWS_MIN = 30;

/** What a stream is compared with. */
export type ReferenceRule =
  /** The first whole hours of the version that hold at least so many rows. */
  | { readonly kind: "first"; readonly rows: number }
  /** Rows with from < ts <= to (Unix ms), to whole hours. */
  | { readonly kind: "span"; readonly from: number; readonly to: number }
  | { readonly kind: "baseline"; readonly reference: Reference };

export interface DriftWindow {
  readonly name: string;
  readonly lengthMs: number;
}

export interface WindowDrift {
  readonly window: string;
  readonly rows: number;
  /** null with the reason: "reference" (there is none yet), "too_few", "kind" (numbers against categories). */
  readonly distances: Distances | null;
  readonly reason: string | null;
}

export interface StreamSetup {
  readonly kind: StreamKind;
  readonly rule: ReferenceRule;
  readonly windows: readonly DriftWindow[];
  /** Its rows are read again after a restart; otherwise its hours are kept for that. */
  readonly rowsAreKept: boolean;
  readonly purse: BucketPurse;
  readonly tally: Tally;
}

export class DriftStream {
  readonly kind: StreamKind;
  readonly #setup: StreamSetup;
  readonly #panes: Panes<Spread>;
  readonly #names: CategoryNames;
  /** Rows of a configured span are gathered as they come: the panes may be gone by the time it is needed. */
  readonly #span: Spread | null;
  /** The reference that was taken from the first rows. */
  #taken: KeptSpread | null = null;
  /** What the span held before a restart: rows of it may have been forgotten since. */
  #spanBefore: Spread | null = null;

  constructor(setup: StreamSetup) {
    this.kind = setup.kind;
    this.#setup = setup;
    this.#names = new CategoryNames(setup.tally);
    const longest = Math.max(HOUR_MS, ...setup.windows.map(({ lengthMs }) => lengthMs));
    this.#span = setup.rule.kind === "span" ? this.#create(MERGED_BUCKETS) : null;
    this.#panes = new Panes({
      stepMs: HOUR_MS,
      keepMs: longest + HOUR_MS,
      create: () => this.#create(PANE_BUCKETS),
      drop: (pane) => pane.release(),
    });
  }

  /** What must outlive a restart. */
  *kept(): Generator<KeptSpread> {
    const { rule, rowsAreKept } = this.#setup;
    if (this.#taken !== null) yield this.#taken;
    const span = this.#spanRows();
    if (rule.kind === "span" && span !== null && span.rows > 0)
      yield { role: "span", from: rule.from, through: rule.to, spread: span };
    if (rowsAreKept) return;
    for (const { pane, fromTs, toTs } of this.#panes.timed(
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    ))
      yield { role: "hour", from: fromTs, through: toTs, spread: pane };
  }

  get referenceKind(): "first" | "span" | "registered" {
    const { kind } = this.#setup.rule;
    return kind === "baseline" ? "registered" : kind;
  }

  get referenceRows(): number {
    const { rule } = this.#setup;
    if (rule.kind !== "baseline") return (this.#taken?.spread ?? this.#spanRows())?.rows ?? 0;
    const { reference } = rule;
    if (reference.kind === "rows") return reference.spread.rows;
    return Object.values(reference.counts).reduce((sum, count) => sum + count, 0);
  }

  /** Goes on with what was kept; what the rule has no use for any more is left out. */
  resume(kept: KeptSpread): void {
    const { rule, rowsAreKept } = this.#setup;
    const { role, from, through, spread } = kept;
    if (role === "first" && rule.kind === "first") this.#taken = kept;
    if (role === "span" && rule.kind === "span" && rule.from === from && rule.to === through) {
      // Of rows that are read again, the part that is still there counts anew; of others this is all there is.
      if (rowsAreKept) this.#spanBefore = spread;
      else this.#span?.merge(spread);
    }
    if (role !== "hour" || rowsAreKept) return;
    if (spread instanceof CategorySpread) for (const name of spread.counts.keys()) this.#names.of(name);
    this.#panes.at(through)?.merge(spread);
  }

  add(ts: number, value: StreamValue, sign: 1 | -1): void {
    const counted = this.kind === "category" ? this.#names.of(String(value)) : value;
    this.#panes.at(ts)?.add(counted, sign);
    const { rule } = this.#setup;
    // A reference stays what it was when its rows are forgotten.
    if (rule.kind === "span" && sign === 1 && ts > rule.from && ts <= rule.to) this.#span?.add(counted, 1);
  }

  at(now: number): WindowDrift[] {
    this.#take(now);
    this.#panes.advance(now);
    const reference = this.#reference();
    return this.#setup.windows.map(({ name, lengthMs }) => {
      const from = Math.max(now - lengthMs, this.#taken?.through ?? Number.NEGATIVE_INFINITY);
      const current = this.#rows(from, now);
      const { rows } = current;
      const none = (reason: string): WindowDrift => ({ window: name, rows, distances: null, reason });
      if (reference === null) return none("reference");
      if (rows < ROWS_MIN) return none("too_few");
      const distances = compareSpreads(reference, current);
      return distances === null ? none("kind") : { window: name, rows, distances, reason: null };
    });
  }

  archive(io: Archive): void {
    const { rule } = this.#setup;
    archiveSame(io, rule.kind === "baseline" ? rule.kind : JSON.stringify(rule), "a reference of drift");
    this.#names.archive(io);
    this.#panes.archive(io, (pane) => pane.archive(io));
    this.#span?.archive(io);
    // One that was taken after the checkpoint has been resumed already.
    if (!archiveFlag(io, this.#taken !== null)) return;
    const taken = io.reading ? null : this.#taken;
    const from = io.number(taken?.from ?? 0);
    const through = io.number(taken?.through ?? 0);
    const spread = taken?.spread ?? createSpread(this.kind, MERGED_BUCKETS, { left: MERGED_BUCKETS });
    spread.archive(io);
    this.#taken = { role: "first", from, through, spread };
  }

  release(): void {
    this.#panes.clear();
    this.#span?.release();
  }

  #create(buckets: number): Spread {
    return createSpread(this.kind, buckets, this.#setup.purse);
  }

  #rows(from: number, to: number): Spread {
    const merged = createSpread(this.kind, MERGED_BUCKETS, { left: MERGED_BUCKETS });
    for (const pane of this.#panes.between(from, to)) merged.merge(pane);
    return merged;
  }

  /** Of the configured span: before or after the restart, whichever has more. */
  #spanRows(): Spread | null {
    const [before, now] = [this.#spanBefore, this.#span];
    return before !== null && now !== null && before.rows > now.rows ? before : now;
  }

  #reference(): Reference | null {
    const { rule } = this.#setup;
    if (rule.kind === "baseline") return rule.reference;
    const spread = this.#taken?.spread ?? this.#spanRows();
    if (spread === null || spread.rows < ROWS_MIN) return null;
    // A copy: to be compared it may have to give up precision.
    const copy = createSpread(this.kind, MERGED_BUCKETS, { left: MERGED_BUCKETS });
    copy.merge(spread);
    return { kind: "rows", spread: copy };
  }

  /** Once enough rows have come, the first hours that are over become the reference. */
  #take(now: number): void {
    const { rule } = this.#setup;
    if (rule.kind !== "first" || this.#taken !== null) return;
    const first = this.#panes.starts()[0];
    let rows = 0;
    for (const start of this.#panes.starts()) {
      const through = start + HOUR_MS;
      if (first === undefined || through > now) return;
      rows += this.#rows(start, through).rows;
      if (rows < rule.rows) continue;
      this.#taken = { role: "first", from: first, through, spread: this.#rows(first, through) };
      return;
    }
  }
}
