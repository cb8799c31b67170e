// Generated connections of HTTP/2, frame by frame: valid ones whose every byte is known, and ones in which anything may be wrong.

import fc from "fast-check";
import { mutated, mutations } from "../support/mutations.ts";
import { PREFACE, TYPE, frame, literals, number32, setting } from "./http2-support.ts";

const FLAG = Object.freeze({ endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 });
const PRIORITY = 2;
const PUSH_PROMISE = 5;

type Fields = readonly (readonly [string, string])[];

/** One request, and how it is cut into frames. */
interface StreamPlan {
  readonly fields: Fields;
  readonly body: Buffer;
  readonly trailers: Fields;
  readonly saysLength: boolean;
  readonly priority: boolean;
  /** Of each frame that may have it; null: none. */
  readonly padding: number | null;
  readonly headCuts: readonly number[];
  readonly bodyCuts: readonly number[];
}

/** What a valid connection asks, and what must come of it. */
export interface Asked {
  readonly path: string;
  readonly fields: Fields;
  readonly body: Buffer;
}

export interface Conversation {
  readonly bytes: Buffer;
  /** By stream. */
  readonly asked: ReadonlyMap<number, Asked>;
}

const share = fc.double({ min: 0, max: 1, noNaN: true });
const cuts = fc.array(share, { maxLength: 5 });
const name = fc.stringMatching(/^x-f-[a-z0-9]{1,8}$/);
const value = fc.stringMatching(/^[!-~]([ -~]{0,200}[!-~])?$/);
const fields = fc.array(fc.tuple(name, value), { maxLength: 6 });
const body = fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes));

const streamPlan: fc.Arbitrary<StreamPlan> = fc.record({
  fields,
  body,
  trailers: fc.oneof(fc.constant([]), fields),
  saysLength: fc.boolean(),
  priority: fc.boolean(),
  padding: fc.option(fc.nat(255), { nil: null }),
  headCuts: cuts,
  bodyCuts: cuts,
});

function pieces(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...at.map((one) => Math.floor(one * bytes.length)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, k) => bytes.subarray(ends[k - 1] ?? 0, end));
}

/** RFC 9113 §6.1: one byte says how many there are behind. */
const padded = (payload: Buffer, padding: number | null): Buffer =>
  padding === null ? payload : Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)]);

function headerFrames(block: Buffer, of: { plan: StreamPlan; stream: number; flags: number }): Buffer {
  const { plan, stream } = of;
  const [first = Buffer.alloc(0), ...rest] = pieces(block, plan.headCuts);
  const priority = plan.priority ? Buffer.from([0, 0, 0, 0, 15]) : Buffer.alloc(0);
  const flags =
    of.flags |
    (plan.priority ? FLAG.priority : 0) |
    (plan.padding === null ? 0 : FLAG.padded) |
    (rest.length === 0 ? FLAG.endHeaders : 0);
  const payload = padded(Buffer.concat([priority, first]), plan.padding);
  return Buffer.concat([
    frame(TYPE.headers, flags, { stream, payload }),
    ...rest.map((piece, k) =>
      frame(TYPE.continuation, k === rest.length - 1 ? FLAG.endHeaders : 0, { stream, payload: piece }),
    ),
  ]);
}

/** The frames of one request; a list of fields stays in one piece, since no other frame may come between (RFC 9113 §4.3). */
function* framesOf(plan: StreamPlan, stream: number, path: string): Generator<Buffer> {
  const { length } = plan.body;
  const ended = length === 0 && plan.trailers.length === 0;
  const head = literals([
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "model.example"],
    [":path", path],
    ...(plan.saysLength ? [["content-length", String(length)] as const] : []),
    ...plan.fields,
  ]);
  yield headerFrames(head, { plan, stream, flags: ended ? FLAG.endStream : 0 });
  if (ended) return;
  const parts = pieces(plan.body, plan.bodyCuts);
  for (const [at, part] of parts.entries()) {
    const last = at === parts.length - 1 && plan.trailers.length === 0;
    const flags = (last ? FLAG.endStream : 0) | (plan.padding === null ? 0 : FLAG.padded);
    yield frame(TYPE.data, flags, { stream, payload: padded(part, plan.padding) });
  }
  if (plan.trailers.length > 0)
    yield headerFrames(literals(plan.trailers), { plan, stream, flags: FLAG.endStream });
}

/** What may stand between two frames and changes nothing. */
const harmless: fc.Arbitrary<Buffer> = fc.oneof(
  fc.constant(frame(TYPE.ping, 0, { stream: 0, payload: Buffer.alloc(8, "p") })),
  fc
    .tuple(fc.integer({ min: 32, max: 255 }), fc.nat(255), fc.nat(9), fc.uint8Array({ maxLength: 40 }))
    .map(([type, flags, stream, bytes]) => frame(type, flags, { stream, payload: Buffer.from(bytes) })),
  fc
    .integer({ min: 1, max: 1000 })
    .map((bytes) => frame(TYPE.window, 0, { stream: 0, payload: number32(bytes) })),
  fc.nat(20).map((at) => frame(PRIORITY, 0, { stream: at * 2 + 1, payload: Buffer.from([0, 0, 0, 0, 200]) })),
  fc
    .constantFrom(setting(1, 0), setting(1, 65_536), setting(2, 0), setting(4, 100_000), setting(5, 1 << 20))
    .map((payload) => frame(TYPE.settings, 0, { stream: 0, payload })),
);

const opening = Buffer.concat([PREFACE, frame(TYPE.settings, 0, { stream: 0 })]);

function weave(
  plans: readonly StreamPlan[],
  order: readonly number[],
  noise: readonly Buffer[],
): Conversation {
  const asked = new Map<number, Asked>();
  const waiting = [...plans];
  const begun: Generator<Buffer>[] = [];
  const out: Buffer[] = [opening];
  for (let turn = 0; waiting.length + begun.length > 0; turn++) {
    const pick = (order[turn % order.length] ?? 0) + turn;
    if (noise.length > 0 && pick % 3 === 0) out.push(noise[pick % noise.length] ?? opening);
    const plan = begun.length === 0 || pick % 2 === 0 ? waiting.shift() : undefined;
    if (plan !== undefined) {
      const stream = asked.size * 2 + 1;
      const path = `/stream/${stream}`;
      asked.set(stream, { path, fields: plan.fields, body: plan.body });
      begun.push(framesOf(plan, stream, path));
    }
    // Ids go up: a stream that was taken up begins.
    const at = plan === undefined ? pick % begun.length : begun.length - 1;
    const next = begun[at]?.next();
    if (next === undefined || next.done === true) begun.splice(at, 1);
    else out.push(next.value);
  }
  return { bytes: Buffer.concat(out), asked };
}

/** Requests of a connection, their frames mixed with one another and with others, all of it allowed. */
export const conversations: fc.Arbitrary<Conversation> = fc
  .tuple(
    fc.array(streamPlan, { minLength: 1, maxLength: 6 }),
    fc.array(fc.nat(100), { minLength: 1, maxLength: 30 }),
    fc.array(harmless, { maxLength: 6 }),
  )
  .map(([plans, order, noise]) => weave(plans, order, noise));

const anyStream = fc.oneof(fc.constantFrom(0, 1, 3, 5, 7, 2, 9, 101), fc.constant(2 ** 31 - 1));
const anyNumber = fc.constantFrom(0, 1, 65_535, 65_536, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1);
const anyBytes = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));
const head = literals([
  [":method", "POST"],
  [":scheme", "http"],
  [":authority", "a"],
  [":path", "/broken"],
]);
const blocks = fc.oneof(
  fc.constant(head),
  fc.tuple(fc.constant(head), mutations).map(([bytes, list]) => mutated(bytes, list)),
  fields.map(literals),
  anyBytes,
);
const times = (bytes: Buffer, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => bytes));

/** A request that is reset at once, over and over (CVE-2023-44487). */
const resets = (count: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, at) => [
      frame(TYPE.headers, FLAG.endHeaders | FLAG.endStream, { stream: 1001 + at * 2, payload: head }),
      frame(TYPE.rst, 0, { stream: 1001 + at * 2, payload: number32(8) }),
    ]).flat(),
  );

/** One thing that a client may do, right or wrong. */
const deeds: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: frameOf(TYPE.headers, blocks) },
  { weight: 2, arbitrary: frameOf(TYPE.continuation, blocks) },
  { weight: 4, arbitrary: frameOf(TYPE.data, anyBytes) },
  { weight: 2, arbitrary: frameOf(TYPE.window, anyNumber.map(number32)) },
  { weight: 2, arbitrary: frameOf(TYPE.rst, anyNumber.map(number32)) },
  {
    weight: 2,
    arbitrary: frameOf(
      TYPE.settings,
      fc.tuple(fc.nat(9), anyNumber).map(([id, to]) => setting(id, to)),
    ),
  },
  frameOf(TYPE.settings, anyBytes),
  frameOf(TYPE.goaway, anyBytes),
  frameOf(TYPE.ping, anyBytes),
  frameOf(PRIORITY, anyBytes),
  frameOf(PUSH_PROMISE, blocks),
  // A frame that says it is longer than anything that follows.
  anyBytes.map((bytes) => Buffer.concat([Buffer.from([255, 255, 255, 0, 0, 0, 0, 0, 1]), bytes])),
  anyBytes,
  fc.integer({ min: 1, max: 300 }).map(resets),
  fc
    .tuple(
      harmless,
      fc.constantFrom(frame(TYPE.settings, 0, { stream: 0 }), frame(TYPE.data, 0, { stream: 1 })),
      fc.nat(200),
    )
    .map(([one, other, count]) => times(Buffer.concat([one, other]), count)),
);

function frameOf(type: number, payload: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.oneof(fc.constantFrom(0, 1, 4, 5), fc.nat(255)), anyStream, payload)
    .map(([flags, stream, bytes]) => frame(type, flags, { stream, payload: bytes }));
}

/** Anything at all behind a preface, often behind a request that is well made and left half. */
export const quarrels: fc.Arbitrary<Buffer> = fc.oneof(
  fc
    .tuple(fc.boolean(), fc.array(deeds, { minLength: 1, maxLength: 12 }))
    .map(([begun, list]) =>
      Buffer.concat([
        opening,
        ...(begun ? [frame(TYPE.headers, FLAG.endHeaders, { stream: 1, payload: head })] : []),
        ...list,
      ]),
    ),
  fc
    .tuple(conversations, fc.array(deeds, { maxLength: 3 }))
    .map(([{ bytes }, list]) => Buffer.concat([bytes, ...list])),
  fc.tuple(conversations, mutations).map(([{ bytes }, list]) => mutated(bytes, list)),
);

export const deliveries = cuts;
