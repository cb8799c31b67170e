// Integers in JSON that a double cannot hold: an id or a class that is rounded would be another one.

/** In a text without any, numbers need no second look. */
const LONG_INTEGER = /(?<![\d.])\d{16}/;
/** Those of 64 bits; longer ones are no ids, and a million digits are not worth reading. */
const INTEGER = /^-?\d{16,20}$/;

type Revive = (key: string, value: unknown, context: { readonly source?: string }) => unknown;
// The library's type does not know yet that a reviver is shown the source text of numbers.
const parseWith = JSON.parse as (text: string, revive: Revive) => unknown;

/** The integer as a number when a number can hold it, else as its digits. */
export function exactInteger(integer: bigint): number | string {
  const number = Number(integer);
  return BigInt(number) === integer ? number : integer.toString();
}

/** The digits of `text` when it is an integer of 64 bits or so that a number cannot hold; null: it is none. */
export function longDigits(text: string): string | null {
  if (!INTEGER.test(text)) return null;
  const exact = exactInteger(BigInt(text));
  return typeof exact === "string" ? exact : null;
}

/** What is a number, if only rounded to the nearest double; null: it is text. */
export function numberOf(value: number | string): number | null {
  if (typeof value === "number") return value;
  return longDigits(value) === null ? null : Number(value);
}

/**
 * `JSON.parse`, but integers that a number cannot hold become `held(digits)` where `isExact(key)`; keys of list items are
 * their places. Throws as it does.
 */
export function parseExactly(
  text: string,
  isExact: (key: string) => boolean,
  held: (digits: string) => unknown = (digits) => digits,
): unknown {
  if (!LONG_INTEGER.test(text)) {
    const parsed: unknown = JSON.parse(text);
    return parsed;
  }
  return parseWith(text, (key, value, { source }) => {
    const digits = typeof value === "number" && source !== undefined ? longDigits(source) : null;
    return digits !== null && isExact(key) ? held(digits) : value;
  });
}
