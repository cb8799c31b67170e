// Header and trailer lines, read strictly (RFC 9112 §5): what is not exactly a field line is refused, never repaired.

/** 1 for each byte that may stand in a field name (RFC 9110 §5.6.2, tchar). */
export const TOKEN = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  TOKEN[char.charCodeAt(0)] = 1;
}

/** A control byte, a CR without its LF, or an LF without its CR. */
const STRAY = /[^\t\r\n -~\x80-\xff]|\r[^\n]|[^\r]\n/;

/** Are the first `length` bytes of this text a token (RFC 9110 §5.6.2)? */
export function isToken(text: string, length: number): boolean {
  for (let at = 0; at < length; at++) if (TOKEN[text.charCodeAt(at)] !== 1) return false;
  return length > 0;
}

const COLON = 58;
const SPACE = 32;
const TAB = 9;

/** Does this text (whole lines) hold a byte that no line may hold? */
export function hasStrayBytes(text: string): boolean {
  return STRAY.test(text);
}

/**
 * Appends the lines of `text` from `from` to its end, each closed by CRLF, to `lines` as [name, value, ...].
 * The text has passed `hasStrayBytes`. Gives what is wrong, or null.
 */
export function readFieldLines(text: string, from: number, lines: string[]): string | null {
  let at = from;
  while (at < text.length) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return "a header line without its end";
    let colon = at;
    while (TOKEN[text.charCodeAt(colon)] === 1) colon++;
    if (colon === at || text.charCodeAt(colon) !== COLON) return "a header line that is not `name: value`";
    lines.push(text.slice(at, colon), bare(text, colon + 1, end));
    at = end + 2;
  }
  return null;
}

/** text[from, to) without the spaces and tabs around it: they are no part of a value (RFC 9110 §5.5). */
export function bare(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  // By hand: a pattern anchored at the end begins again at each space of a long run within the value.
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

export function isBlank(code: number | undefined): boolean {
  return code === SPACE || code === TAB;
}
