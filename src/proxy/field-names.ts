// Which header lines the relay has an opinion about. Called for every line of every message: no allocation for the others.

import { says, textSays } from "../kernel/ascii.ts";

export const FIELD = Object.freeze({
  other: 0,
  host: 1,
  connection: 2,
  /** Keep-Alive, Proxy-Connection, Upgrade, HTTP2-Settings: known to need removal (RFC 9110 §7.6.1, RFC 7540 §3.2.1). */
  hop: 3,
  transferEncoding: 4,
  contentLength: 5,
  trailer: 6,
  expect: 7,
  via: 8,
  forwardedFor: 9,
  forwardedProto: 10,
  forwardedHost: 11,
  traceparent: 12,
  tracestate: 13,
  predictionId: 14,
  modelVersion: 15,
  te: 16,
});

const NAMES: ReadonlyMap<string, number> = new Map([
  ["host", FIELD.host],
  ["connection", FIELD.connection],
  ["http2-settings", FIELD.hop],
  ["keep-alive", FIELD.hop],
  ["proxy-connection", FIELD.hop],
  ["te", FIELD.te],
  ["upgrade", FIELD.hop],
  ["transfer-encoding", FIELD.transferEncoding],
  ["content-length", FIELD.contentLength],
  ["trailer", FIELD.trailer],
  ["expect", FIELD.expect],
  ["via", FIELD.via],
  ["x-forwarded-for", FIELD.forwardedFor],
  ["x-forwarded-proto", FIELD.forwardedProto],
  ["x-forwarded-host", FIELD.forwardedHost],
  ["traceparent", FIELD.traceparent],
  ["tracestate", FIELD.tracestate],
  ["x-prediction-id", FIELD.predictionId],
  ["x-model-version", FIELD.modelVersion],
]);

// Bit n of INITIALS[length]: some known name of that length begins with the letter n (a = 0).
const INITIALS = new Int32Array(32);
const BY_LENGTH: [string, number][][] = Array.from({ length: 32 }, () => []);
for (const [name, field] of NAMES) {
  INITIALS[name.length] = (INITIALS[name.length] ?? 0) | (1 << (name.charCodeAt(0) - 97));
  BY_LENGTH[name.length]?.push([name, field]);
}

type Known = readonly [name: string, field: number];
const NONE: readonly Known[] = [];

/** The known names of a length that begin with the letter of code `first`, and others of that length; mostly none. */
function candidates(length: number, first: number): readonly Known[] {
  const letters = length < 32 ? (INITIALS[length] ?? 0) : 0;
  if (letters === 0) return NONE;
  const letter = (first | 0x20) - 97;
  if (letter < 0 || letter > 25 || (letters & (1 << letter)) === 0) return NONE;
  return BY_LENGTH[length] ?? NONE;
}

/** One of `FIELD` for a header name (a token) in any case. */
export function fieldOf(name: string): number {
  for (const known of candidates(name.length, name.charCodeAt(0)))
    if (textSays(name, 0, known[0])) return known[1];
  return FIELD.other;
}

/** The same for the token that stands in `bytes` from `at` to `end`. */
export function fieldAt(bytes: Uint8Array, at: number, end: number): number {
  const all = candidates(end - at, bytes[at] ?? 0);
  // By index: what goes through an empty list of another kind is slower, and this is done for each line of each message.
  for (let i = 0; i < all.length; i++) {
    const known = all[i];
    if (known !== undefined && says(bytes, at, known[0])) return known[1];
  }
  return FIELD.other;
}

/** May a `Connection` line name this field away? Not what frames or routes the message, nor what the relay adds. */
export function canBeNamedAway(field: number): boolean {
  return field === FIELD.other || field === FIELD.trailer;
}

/**
 * Adds the tokens of one `Connection` value to `named` (lower case), creating it on the first token that names a field
 * not removed anyway. Null stays null for the everyday `keep-alive`, `close` and `upgrade`.
 */
export function addConnectionTokens(named: Set<string> | null, value: string): Set<string> | null {
  if (value === "keep-alive" || value === "close" || value === "Keep-Alive" || value === "Upgrade")
    return named;
  let found = named;
  for (const part of value.split(",")) {
    const token = part.trim().toLowerCase();
    if (token === "" || token === "close" || !canBeNamedAway(fieldOf(token))) continue;
    found ??= new Set();
    found.add(token);
  }
  return found;
}

/** Takes the lines that `Connection` named out of a flat header list, in place. */
export function removeNamed(lines: string[], named: ReadonlySet<string>): void {
  let kept = 0;
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] ?? "";
    if (named.has(name.toLowerCase())) continue;
    lines[kept] = name;
    lines[kept + 1] = lines[i + 1] ?? "";
    kept += 2;
  }
  lines.length = kept;
}
