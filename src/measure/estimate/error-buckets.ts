// How far off a regression was, by what it predicted: exact, retractable sums of errors per bucket of predicted values.

import { type Archive, archiveMap, numberKey } from "../../kernel/archive.ts";
import { ExactSum } from "../exact-sum.ts";
import { ALL_BITS, floatKey } from "./float-key.ts";

/** Buckets of one pane, some 300 bytes each; beyond, they get coarser. */
const BUCKETS = 64;

export interface ErrorSums {
  rows: number;
  readonly absolute: ExactSum;
  readonly squared: ExactSum;
}

export function archiveErrorSums(io: Archive, sums: ErrorSums): void {
  sums.rows = io.number(sums.rows);
  sums.absolute.archive(io);
  sums.squared.archive(io);
}

const emptySums = (): ErrorSums => ({ rows: 0, absolute: new ExactSum(), squared: new ExactSum() });

/** Ascending by predicted value. */
export interface ErrorBucket {
  readonly key: number;
  readonly rows: number;
  readonly absolute: number;
  readonly squared: number;
}

export class ErrorBuckets {
  readonly #limit: number;
  #sums = new Map<number, ErrorSums>();
  #bits = ALL_BITS;

  constructor(limit = BUCKETS) {
    this.#limit = limit;
  }

  get bits(): number {
    return this.#bits;
  }

  /** Adds one labelled row (sign 1) or takes it back (sign -1). */
  add(predicted: number, error: number, sign: 1 | -1): void {
    const key = floatKey(predicted, this.#bits, false);
    const sums = this.#at(key);
    sums.rows += sign;
    sums.absolute.add(sign * Math.abs(error));
    sums.squared.add(sign * error * error);
    if (sums.rows === 0) this.#sums.delete(key);
    if (this.#sums.size === 0) this.#bits = ALL_BITS;
    this.#fit();
  }

  merge(other: ErrorBuckets): void {
    if (other.#sums.size === 0) return;
    if (this.#sums.size === 0) this.#bits = other.#bits;
    this.coarsenTo(other.#bits);
    for (const [key, sums] of other.#sums) this.#join(floatKey(key, this.#bits, false), sums);
    this.#fit();
  }

  coarsenTo(bits: number): void {
    if (bits >= this.#bits) return;
    this.#bits = bits;
    const old = this.#sums;
    this.#sums = new Map();
    for (const [key, sums] of old) this.#join(floatKey(key, bits, false), sums);
  }

  /** Of all buckets, in no order. */
  sums(): Iterable<Readonly<ErrorSums>> {
    return this.#sums.values();
  }

  buckets(): ErrorBucket[] {
    return [...this.#sums]
      .map(([key, { rows, absolute, squared }]) => ({
        key,
        rows,
        absolute: absolute.value(),
        squared: squared.value(),
      }))
      .toSorted((a, b) => a.key - b.key);
  }

  archive(io: Archive): void {
    const sumsOf = (known: ErrorSums | undefined): ErrorSums => {
      const sums = known ?? emptySums();
      archiveErrorSums(io, sums);
      return sums;
    };
    this.#bits = io.number(this.#bits);
    archiveMap(io, this.#sums, { key: numberKey(io), value: sumsOf });
  }

  #fit(): void {
    while (this.#sums.size > this.#limit && this.#bits > 0) this.coarsenTo(this.#bits - 1);
  }

  #at(key: number): ErrorSums {
    const known = this.#sums.get(key);
    if (known !== undefined) return known;
    const fresh = emptySums();
    this.#sums.set(key, fresh);
    return fresh;
  }

  #join(key: number, sums: ErrorSums): void {
    const into = this.#at(key);
    into.rows += sums.rows;
    into.absolute.merge(sums.absolute, 1);
    into.squared.merge(sums.squared, 1);
  }
}
