// Extractors and exchanges for the tests of this room.

import type { Exchange, RawHeaders } from "../../src/facts/exchange.ts";
import type { ModelSpec } from "../../src/facts/model.ts";
import { createExtractor } from "../../src/observe/extractor.ts";
import type { Extractor, ModelRule, Reading } from "../../src/observe/extractor.ts";
import { createModelBook } from "../../src/observe/models.ts";
import type { ModelBook } from "../../src/observe/models.ts";
import { exchangeOf } from "../support/exchange.ts";

const defaults = {
  threshold: 0.5,
  scoreKind: "probability",
  labelOffset: 0,
  minSamples: 1,
  maxClasses: 20,
  labelHorizonMs: 7 * 86_400_000,
  windows: ["1h", "all"],
} as const;

export function specOf(name: string, over: Partial<ModelSpec> = {}): ModelSpec {
  return { ...defaults, name, task: "auto", classes: null, positive: null, ...over };
}

export const binary = (name: string, over: Partial<ModelSpec> = {}): ModelSpec =>
  specOf(name, { task: "binary", classes: ["0", "1"], positive: "1", ...over });

export function bookOf(configured: readonly ModelSpec[] = [], modelsMax = 20): ModelBook {
  return createModelBook({ configured, modelsMax, defaults });
}

type RuleParts = Partial<Omit<ModelRule, "extract">> & { extract?: Partial<ModelRule["extract"]> };

export function ruleOf(name: string, over: RuleParts = {}): ModelRule {
  const { extract, ...rest } = over;
  return {
    name,
    match: { path: null },
    version: null,
    slices: [],
    ...rest,
    extract: {
      reader: null,
      prediction: null,
      score: null,
      scores: null,
      at: null,
      id: null,
      version: null,
      sumToOne: true,
      ...extract,
    },
  };
}

export interface Rig {
  readonly extractor: Extractor;
  readonly book: ModelBook;
  /** Reads, and lets the book learn, as the observer does. */
  readonly read: (exchange: Exchange) => Reading;
}

export function rigOf(
  models: readonly ModelSpec[] = [],
  rules: readonly ModelRule[] = [],
  more: { external?: string; idHeader?: string; bodyBytesMax?: number; sampled?: boolean } = {},
): Rig {
  const { external = null, idHeader = null, ...rest } = more;
  const book = bookOf(models);
  const extractor = createExtractor(
    { rules, idHeader, specs: book, ...rest },
    { externalVersion: () => external },
  );
  return {
    extractor,
    book,
    read: (exchange) => {
      const reading = extractor.read(exchange);
      book.learn(reading.model, reading.predictions);
      return reading;
    },
  };
}

export function bytesOf(content: unknown): Exchange["response"] {
  const bytes = Buffer.isBuffer(content)
    ? content
    : Buffer.from(typeof content === "string" ? content : JSON.stringify(content));
  return { bytes, total: bytes.length, kept: "whole" };
}

/** An answer to POST /predict (or wherever). Texts and buffers are bodies as they are, everything else becomes JSON. */
export function answer(
  body: unknown,
  over: Partial<Exchange> & { headers?: RawHeaders; asked?: unknown } = {},
): Exchange {
  const { headers, asked, ...rest } = over;
  return exchangeOf({
    target: "/predict",
    response: bytesOf(body),
    ...(headers === undefined ? {} : { responseHeaders: headers }),
    ...(asked === undefined ? {} : { request: bytesOf(asked) }),
    ...rest,
  });
}

/** [value, score, scores] of each prediction, with plain objects. */
export function said(reading: Reading): unknown[] {
  return reading.predictions.map(({ value, score, scores }) => [
    value,
    score,
    scores === null ? null : { ...scores },
  ]);
}
