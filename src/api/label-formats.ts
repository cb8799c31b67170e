// The three ways labels are written -> the intake. Each reader ends "whole", or "cut" when going on is useless.

import { setImmediate as turn } from "node:timers/promises";
import { type BodyWatch, type ByteBudget, bodySlices, wholeBody } from "./body.ts";
import type { ApiLimits } from "./contract.ts";
import { createCsvReader } from "./csv-rows.ts";
import type { LabelIntake } from "./intake.ts";
import { itemSpans, parseItem, withoutBom } from "./json-items.ts";
import { REFUSED, parseLabelCells, parseLabelEvent, parsePlainLabel } from "./label-event.ts";
import { createNdjsonReader } from "./ndjson.ts";

export const LABEL_TYPES = ["application/json", "application/x-ndjson", "text/csv"] as const;
export type LabelType = (typeof LABEL_TYPES)[number];

/** Items of a JSON body that are handled before others get a turn. */
const ITEMS_PER_TURN = 2_000;

export interface Reading {
  readonly watch: BodyWatch;
  readonly intake: LabelIntake;
  readonly limits: ApiLimits;
  readonly budget: ByteBudget;
  /** True once the sidecar is stopping. */
  readonly refusing: () => boolean;
}

type Ending = "whole" | "cut";

function take(
  intake: LabelIntake,
  parsed: ReturnType<typeof parseLabelEvent>,
  at: { readonly line: number; readonly bytes: number },
): void {
  if ("result" in parsed) intake.reject(parsed, at.line);
  else intake.add(parsed, at.line, at.bytes);
}

async function goesOn({ intake, refusing }: Reading): Promise<boolean> {
  return (await intake.flow()) === "go-on" && !refusing();
}

function nowMs({ watch }: Reading): number {
  return Math.floor(watch.clock.wallMs());
}

async function readNdjson(reading: Reading): Promise<Ending> {
  const { watch, intake, limits } = reading;
  let receivedAt = nowMs(reading);
  const reader = createNdjsonReader(limits.lineBytesMax, {
    value: (value, line, bytes) => take(intake, parseLabelEvent(value, receivedAt), { line, bytes }),
    broken: (why, line) => intake.reject(REFUSED[why], line),
    plain: (text, span, line) => {
      const event = parsePlainLabel(text, span, receivedAt);
      if (event !== null) intake.add(event, line, span.to - span.from);
      return event !== null;
    },
  });
  for await (const slice of bodySlices(watch)) {
    receivedAt = nowMs(reading);
    reader.push(slice);
    if (!(await goesOn(reading))) return "cut";
  }
  reader.end();
  return "whole";
}

async function readCsv(reading: Reading): Promise<Ending> {
  const { watch, intake, limits } = reading;
  let receivedAt = nowMs(reading);
  const reader = createCsvReader(limits.lineBytesMax, (cells, line, bytes) =>
    take(intake, parseLabelCells(cells, receivedAt), { line, bytes }),
  );
  for await (const slice of bodySlices(watch)) {
    receivedAt = nowMs(reading);
    await reader.push(slice);
    if (!(await goesOn(reading))) return "cut";
  }
  await reader.end();
  return "whole";
}

/** Throws `invalid_json` unless every item is JSON; an item over the limit is refused later, unread. */
async function checkItems(body: Buffer, itemBytesMax: number): Promise<void> {
  let item = 0;
  for (const span of itemSpans(body)) {
    item++;
    if (span.end - span.start <= itemBytesMax) parseItem(body, span, item);
    if (item % ITEMS_PER_TURN === 0) await turn();
  }
}

async function takeItems(body: Buffer, reading: Reading): Promise<Ending> {
  const { intake, limits } = reading;
  const receivedAt = nowMs(reading);
  let item = 0;
  for (const span of itemSpans(body)) {
    const line = ++item;
    const bytes = span.end - span.start;
    if (bytes > limits.lineBytesMax) intake.reject(REFUSED.tooLong, line);
    else take(intake, parseLabelEvent(parseItem(body, span, line), receivedAt), { line, bytes });
    if (item % ITEMS_PER_TURN !== 0) continue;
    if (!(await goesOn(reading))) return "cut";
    await turn();
  }
  return "whole";
}

/** An array is stored only when all of it is JSON, so it is read twice: to check, then to take. */
async function readJson(reading: Reading): Promise<Ending> {
  const { watch, limits, budget } = reading;
  const held = { bytes: 0 };
  try {
    const hint = ": send application/x-ndjson, which has no limit";
    const whole = await wholeBody(watch, { bytesMax: limits.jsonBytesMax, budget, held, hint });
    const body = withoutBom(whole);
    await checkItems(body, limits.lineBytesMax);
    return await takeItems(body, reading);
  } finally {
    budget.give(held.bytes);
  }
}

/** Reads the labels of a request, whichever way they are written. Throws an ApiProblem, or when the client leaves. */
export function readLabels(type: LabelType, reading: Reading): Promise<Ending> {
  switch (type) {
    case "application/json":
      return readJson(reading);
    case "application/x-ndjson":
      return readNdjson(reading);
    case "text/csv":
      return readCsv(reading);
  }
}
