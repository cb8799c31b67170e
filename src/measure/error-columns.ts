// Errors of many rows taken apart into the addends of each sum, so that a sum goes through all of them while it is at hand.

import { type Addends, type Square, squareInto } from "./exact-sum.ts";

/** Pairs that are taken apart at once: their columns stay in the fastest cache. */
export const ERROR_PAIRS_MAX = 64;
export const MOMENTS = 5;
/** A label this close to 0 makes a relative error meaningless. */
const ZERO_TARGET = 2 ** -52;

/** Rows of a regression: the label, label - prediction, and 1 where it comes or -1 where it goes. */
export interface ErrorPairs {
  readonly labels: Float64Array;
  readonly errors: Float64Array;
  readonly signs: Int8Array;
}

export function createErrorPairs(size: number): ErrorPairs {
  return { labels: new Float64Array(size), errors: new Float64Array(size), signs: new Int8Array(size) };
}

/** Addends by sum, and rows that have none because it would be no double. Good until the next `fillColumns`. */
export interface ErrorColumns {
  readonly label: Addends;
  readonly labelSize: Addends;
  readonly labelSquared: Addends;
  labelSquaredUnits: bigint;
  /** |error| where the prediction is above the label, and below. */
  readonly over: Addends;
  readonly under: Addends;
  readonly squared: Addends;
  /** |error| * |label|. */
  readonly weighted: Addends;
  readonly relative: Addends;
  readonly relativeSquared: Addends;
  /** error^4, error^2 d, error^2 d^2, d^3, d^4 with d = label - centre: for the intervals of MSE and R2 alone. */
  readonly moments: readonly Addends[];
  infinite: number;
  overflow: number;
  weightedOverflow: number;
  zeroTargets: number;
  relativeOverflow: number;
  relativeSquaredOverflow: number;
  momentOverflow: number;
}

const column = (addends = 1): Addends => ({ values: new Float64Array(addends * ERROR_PAIRS_MAX), size: 0 });

const columns: ErrorColumns = {
  label: column(),
  labelSize: column(),
  labelSquared: column(2),
  labelSquaredUnits: 0n,
  over: column(),
  under: column(),
  squared: column(),
  weighted: column(),
  relative: column(),
  relativeSquared: column(),
  moments: Array.from({ length: MOMENTS }, () => column()),
  infinite: 0,
  overflow: 0,
  weightedOverflow: 0,
  zeroTargets: 0,
  relativeOverflow: 0,
  relativeSquaredOverflow: 0,
  momentOverflow: 0,
};
const square: Square = { high: 0, low: 0, units: 0n };

function clear(): void {
  const { label, labelSize, labelSquared, over, under, squared, weighted, relative, relativeSquared } =
    columns;
  const own = [label, labelSize, labelSquared, over, under, squared, weighted, relative, relativeSquared];
  for (const each of own) each.size = 0;
  for (const each of columns.moments) each.size = 0;
  columns.labelSquaredUnits = 0n;
  columns.infinite = 0;
  columns.overflow = 0;
  columns.weightedOverflow = 0;
  columns.zeroTargets = 0;
  columns.relativeOverflow = 0;
  columns.relativeSquaredOverflow = 0;
  columns.momentOverflow = 0;
}

function put(into: Addends, value: number): void {
  into.values[into.size++] = value;
}

function putLabel(label: number, sign: number): void {
  put(columns.label, sign * label);
  put(columns.labelSize, sign * Math.abs(label));
  squareInto(square, label);
  if (square.units !== 0n) {
    columns.labelSquaredUnits += sign === 1 ? square.units : -square.units;
    return;
  }
  put(columns.labelSquared, sign * square.high);
  if (square.low !== 0) put(columns.labelSquared, sign * square.low);
}

function putError(label: number, error: number, sign: number): void {
  const absolute = Math.abs(error);
  const squared = error * error;
  const size = Math.abs(label);
  if (absolute === Infinity) columns.infinite += sign;
  else put(error < 0 ? columns.over : columns.under, sign * absolute);
  if (squared === Infinity) columns.overflow += sign;
  else put(columns.squared, sign * squared);
  const weighted = absolute * size;
  if (weighted === Infinity) columns.weightedOverflow += sign;
  else put(columns.weighted, sign * weighted);
  if (size < ZERO_TARGET) {
    columns.zeroTargets += sign;
    return;
  }
  const relative = absolute / size;
  if (relative === Infinity) {
    columns.relativeOverflow += sign;
    return;
  }
  put(columns.relative, sign * relative);
  const relativeSquared = relative * relative;
  if (relativeSquared === Infinity) columns.relativeSquaredOverflow += sign;
  else put(columns.relativeSquared, sign * relativeSquared);
}

function putMoments(squared: number, distance: number, sign: number): void {
  const distanceSquare = distance * distance;
  const largest = Math.max(squared, distanceSquare);
  // From 1 on none of the five is greater than the square of the greater one; below, all are finite.
  if (!(largest * largest < Infinity)) {
    columns.momentOverflow += sign;
    return;
  }
  const [first, second, third, fourth, fifth] = columns.moments;
  if (!first || !second || !third || !fourth || !fifth) return;
  put(first, sign * (squared * squared));
  put(second, sign * (squared * distance));
  put(third, sign * (squared * distanceSquare));
  put(fourth, sign * (distanceSquare * distance));
  put(fifth, sign * (distanceSquare * distanceSquare));
}

/** Takes pairs [from, to) apart, at most ERROR_PAIRS_MAX. `centre` should lie somewhere near the labels, and must be the same for all pairs. */
export function fillColumns(
  { labels, errors, signs }: ErrorPairs,
  { from, to }: { readonly from: number; readonly to: number },
  centre: number,
): ErrorColumns {
  clear();
  for (let i = from; i < to; i++) {
    const label = labels[i] ?? 0;
    const error = errors[i] ?? 0;
    const sign = signs[i] ?? 1;
    putLabel(label, sign);
    putError(label, error, sign);
    putMoments(error * error, label - centre, sign);
  }
  return columns;
}
