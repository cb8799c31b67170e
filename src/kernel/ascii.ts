// Words of ASCII within bytes or a text, without a string made of them.

const LETTER_A = 97;
const LETTER_Z = 122;

/** Do the bytes from `at` on say `text` (its letters lower case), its letters in any case? */
export function says(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const byte = bytes[at + i] ?? 0;
    // Only letters may differ in that bit.
    if (byte !== code && (code < LETTER_A || code > LETTER_Z || (byte | 0x20) !== code)) return false;
  }
  return true;
}

/** The same for the characters of a text. */
export function textSays(all: string, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const other = all.charCodeAt(at + i);
    if (other !== code && (code < LETTER_A || code > LETTER_Z || (other | 0x20) !== code)) return false;
  }
  return true;
}

/** The same latin-1 text in memory of its own: a part of a longer text keeps that one, and is compared and searched more slowly. */
export function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
