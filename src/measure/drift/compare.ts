// A span of a stream against its reference: common bins, and the four distances over them.

import { alignKeys } from "../estimate/decisions.ts";
import {
  type BinnedPair,
  jensenShannon,
  kolmogorovSmirnov,
  type KolmogorovSmirnov,
  type OrderedPair,
  populationStability,
  populationStabilityNoise,
  wasserstein,
} from "./distances.ts";
import { CategorySpread, NumberSpread, type Spread } from "./spread.ts";

const BINS = 10;
/** Points that stand for one bin of a baseline that is only known in bins. */
const POINTS = 20;

/** A baseline registered as bins: `counts[i]` rows within (edges[i], edges[i + 1]]; or rows per category. */
export type Baseline =
  | { readonly kind: "bins"; readonly edges: readonly number[]; readonly counts: readonly number[] }
  | { readonly kind: "categories"; readonly counts: Readonly<Record<string, number>> };

export type Reference = { readonly kind: "rows"; readonly spread: Spread } | Baseline;

export interface Distances {
  /** Population stability index over the bins, and its mean without any change. */
  readonly psi: number;
  readonly psiNoise: number;
  /** Root of the Jensen-Shannon divergence, base 2. */
  readonly jensenShannon: number;
  /** null for categories: they have no order. */
  readonly ks: KolmogorovSmirnov | null;
  /** In the unit of the values; null for categories. */
  readonly wasserstein: number | null;
}

interface Column {
  readonly values: readonly number[];
  readonly counts: readonly number[];
}

function columnOf({ sketch }: NumberSpread): Column {
  const at = Array.from({ length: sketch.size }, (_, i) => i);
  return { values: at.map((i) => sketch.key(i)), counts: at.map((i) => sketch.count(i, 0)) };
}

/** A baseline's bins with their rows spread evenly over points within: good for distances to a bin's width. */
function pointsOf(edges: readonly number[], counts: readonly number[]): Column {
  const values: number[] = [];
  const weights: number[] = [];
  for (const [i, count] of counts.entries()) {
    const from = edges[i] ?? 0;
    const width = (edges[i + 1] ?? from) - from;
    for (let point = 1; point <= POINTS; point++) {
      values.push(from + (width * point) / POINTS);
      weights.push(count / POINTS);
    }
  }
  return { values, counts: weights };
}

/** Both columns over the union of their values. */
function ordered(reference: Column, current: Column, merged: boolean): OrderedPair {
  const values: number[] = [];
  const left: number[] = [];
  const right: number[] = [];
  let r = 0;
  let c = 0;
  while (r < reference.values.length || c < current.values.length) {
    const ours = reference.values[r] ?? Number.POSITIVE_INFINITY;
    const its = current.values[c] ?? Number.POSITIVE_INFINITY;
    values.push(Math.min(ours, its));
    left.push(ours <= its ? (reference.counts[r++] ?? 0) : 0);
    right.push(its <= ours ? (current.counts[c++] ?? 0) : 0);
  }
  return { values, reference: left, current: right, merged };
}

/** Upper edges of at most ten bins that hold a tenth of the reference each, ties kept together; the last one is open. */
export function quantileEdges({ values, counts }: Column): number[] {
  const rows = counts.reduce((sum, count) => sum + count, 0);
  const edges: number[] = [];
  let passed = 0;
  for (const [i, count] of counts.entries()) {
    passed += count;
    // Several tenths may end in one value: it becomes one bin.
    if (passed < ((edges.length + 1) * rows) / BINS || passed === rows) continue;
    edges.push(values[i] ?? 0);
    while (edges.length < BINS - 1 && passed >= ((edges.length + 1) * rows) / BINS) edges.push(Number.NaN);
  }
  return edges.filter((edge) => !Number.isNaN(edge));
}

/** Rows per bin: bin i holds values up to edges[i], the last one all above. */
function binned({ values, counts }: Column, edges: readonly number[]): number[] {
  const bins = Array.from({ length: edges.length + 1 }, () => 0);
  let bin = 0;
  for (const [i, value] of values.entries()) {
    while (bin < edges.length && value > (edges[bin] ?? 0)) bin++;
    bins[bin] = (bins[bin] ?? 0) + (counts[i] ?? 0);
  }
  return bins;
}

function overBins(pair: BinnedPair): Pick<Distances, "psi" | "psiNoise" | "jensenShannon"> {
  return {
    psi: populationStability(pair),
    psiNoise: populationStabilityNoise(pair),
    jensenShannon: jensenShannon(pair),
  };
}

function compareNumbers(
  reference: Column,
  current: Column,
  how: { edges: number[]; merged: boolean },
): Distances {
  const { edges, merged } = how;
  const pair = { reference: binned(reference, edges), current: binned(current, edges) };
  const order = ordered(reference, current, merged);
  return { ...overBins(pair), ks: kolmogorovSmirnov(order), wasserstein: wasserstein(order) };
}

function compareCategories(
  reference: ReadonlyMap<string, number>,
  current: ReadonlyMap<string, number>,
): Distances {
  const names = [...new Set([...reference.keys(), ...current.keys()])].toSorted();
  const count = (of: ReadonlyMap<string, number>): number[] => names.map((name) => of.get(name) ?? 0);
  const pair = { reference: count(reference), current: count(current) };
  return { ...overBins(pair), ks: null, wasserstein: null };
}

/** null: the two are not of one kind. Neither may be empty. Gives up precision of the sketches where it differs. */
export function compareSpreads(reference: Reference, current: Spread): Distances | null {
  if (reference.kind === "categories") {
    if (!(current instanceof CategorySpread)) return null;
    return compareCategories(new Map(Object.entries(reference.counts)), current.counts);
  }
  if (reference.kind === "bins") {
    if (!(current instanceof NumberSpread)) return null;
    const column = pointsOf(reference.edges, reference.counts);
    return compareNumbers(column, columnOf(current), { edges: reference.edges.slice(1, -1), merged: true });
  }
  const { spread } = reference;
  if (spread instanceof CategorySpread) {
    return current instanceof CategorySpread ? compareCategories(spread.counts, current.counts) : null;
  }
  if (!(spread instanceof NumberSpread) || !(current instanceof NumberSpread)) return null;
  alignKeys([spread.sketch, current.sketch]);
  const column = columnOf(spread);
  return compareNumbers(column, columnOf(current), {
    edges: quantileEdges(column),
    merged: !spread.sketch.isExact,
  });
}
