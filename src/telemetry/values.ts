// Values of dimensions, made safe: bounded, well-formed, without the characters that break a reader.

/** Longer values are cut. */
export const VALUE_LENGTH_MAX = 128;

const PLAIN = /^[\x20-\x7e]*$/;
/** A NUL ends Prometheus' lexer; no control character is worth an exposition that cannot be read. */
const CONTROL = /\p{Cc}/gu;

/** The value as it is counted and shown. Holds no control characters, so one of them can separate values in a key. */
export function safeValue(value: string): string {
  if (value.length <= VALUE_LENGTH_MAX && PLAIN.test(value)) return value;
  return value.slice(0, VALUE_LENGTH_MAX).toWellFormed().replace(CONTROL, "\ufffd");
}

/** Between values in a key. */
export const SEPARATOR = "\u0001";
