// A streamed answer looked into: its events, the answer they make, and when the first token came.

import type { Exchange } from "../facts/exchange.ts";
import { Assembly } from "./assemble.ts";
import { isEncoded, readPrefix } from "./body.ts";
import type { BodyHead } from "./body.ts";
import { eventsOf, mayStream, streamFormat } from "./events.ts";
import type { StreamEvent } from "./events.ts";
import type { JsonObject } from "./json.ts";
import { usageOf } from "./openai.ts";
import type { Generation } from "./rules.ts";

export interface StreamReading {
  /** The answer in one piece; null: nobody's shape. */
  readonly answer: JsonObject | null;
  /** False: the copy ends before the stream does, or the stream broke off within its answer. */
  readonly whole: boolean;
  readonly generation: Generation;
}

/** When the byte before `end` of the decoded body arrived (ms after the request's head); null: not known. */
function arrivalOf(exchange: Exchange, head: BodyHead, end: number): number | null {
  const { bytes, marks = [] } = exchange.response;
  const chunks = marks.length / 2;
  /** Whether the first `count` chunks hold it. */
  const holds = (count: number): boolean => {
    const upTo = count > chunks ? bytes.length : (marks[2 * (count - 1)] ?? 0);
    if (!isEncoded(head)) return upTo >= end;
    return (readPrefix(bytes.subarray(0, upTo), head)?.length ?? 0) >= end;
  };
  let [low, high] = [1, chunks + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  const at = low === 1 ? exchange.clocks.firstByteMs : (marks[2 * (low - 2) + 1] ?? null);
  return at === null || !Number.isFinite(at) ? null : at;
}

/** Milliseconds per token after the first. Where usage is not said, an event with a token counts as one. */
function perToken(firstMs: number | null, lastMs: number | null, tokens: number | null): number | null {
  if (firstMs === null || lastMs === null || tokens === null || tokens < 2) return null;
  return Math.max(0, lastMs - firstMs) / (tokens - 1);
}

function generationOf(
  exchange: Exchange,
  assembly: Assembly,
  seen: { answer: JsonObject | null; head: BodyHead; events: number | null },
): Generation {
  const { clocks } = exchange;
  const { input, output } = usageOf(seen.answer);
  const at = assembly.firstTokenEnd === null ? null : arrivalOf(exchange, seen.head, assembly.firstTokenEnd);
  const tokens = output ?? (seen.events === null ? null : assembly.tokenEvents);
  return {
    operation: assembly.operation,
    requestModel: null,
    firstTokenMs: at === null ? null : Math.max(0, at - Math.min(clocks.requestEndMs ?? 0, at)),
    perTokenMs: perToken(at, clocks.lastByteMs, tokens),
    inputTokens: input,
    outputTokens: output,
    events: seen.events,
  };
}

/** Two lines at least, each an object: one object, on however many lines, is an ordinary answer. */
function areObjects(events: readonly StreamEvent[]): boolean {
  const [first, second] = events;
  const isWhole = (event: StreamEvent | undefined): boolean =>
    event !== undefined && event.data.startsWith("{") && event.data.endsWith("}");
  return isWhole(first) && isWhole(second);
}

/** Before the answer was whole. Clients of streams leave at `[DONE]`, before the body has ended: that is none the less an answer. */
export function isBrokenOff({ abortedBy }: Exchange, stream: StreamReading | null): boolean {
  return abortedBy === "upstream" || (abortedBy === "client" && stream?.whole !== true);
}

/** What the stream in the answer says, as far as it was copied; null when the answer is no stream of events. */
export function readStream(exchange: Exchange, type: string, head: BodyHead): StreamReading | null {
  const { response } = exchange;
  if (!mayStream(type) || response.bytes.length === 0) return null;
  const bytes = readPrefix(response.bytes, head);
  const format = bytes === null ? null : streamFormat(type, bytes);
  if (bytes === null || format === null) return null;
  const copied = response.kept === "whole";
  const events = eventsOf(bytes, format, copied);
  if (type === "" && format === "lines" && !areObjects(events)) return null;
  const assembly = new Assembly();
  for (const event of events) assembly.add(event, "kept");
  const { tail } = response;
  if (tail !== undefined && !isEncoded(head)) {
    // Usage stands in the last events. Where the tail begins within one, that one is no JSON and is passed over.
    for (const event of eventsOf(Buffer.from(tail), format, true)) assembly.add(event, "left-out");
  }
  const answer = assembly.answer();
  const whole = copied && (assembly.finished || (assembly.endsSilently && exchange.abortedBy === null));
  const generation = generationOf(exchange, assembly, {
    answer,
    head,
    events: copied ? events.length : null,
  });
  return { answer, whole, generation };
}
