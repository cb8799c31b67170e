// JSON as model servers and their clients really write it: byte order marks, UTF-16, NaN and Infinity, integers beyond 2^53.
// Of duplicate keys the last one counts, as in every common parser.

import { parseExactly } from "../kernel/parse-exactly.ts";

/**
 * NaN and Infinity (Python writes them) become null, so that one bad row does not cost all others.
 * A text without end matches too: were it tried again from each of its quotes, time would grow with the square.
 */
const NOT_JSON = /"(?:[^"\\]+|\\[^])*"?|-?\b(?:NaN|Infinity)\b/g;
const everywhere = (): boolean => true;

function parseStrict(text: string): unknown {
  return parseExactly(text, everywhere);
}

/** Parses JSON text; undefined when it is none. */
export function parseJsonText(text: string): unknown {
  try {
    return parseStrict(text);
  } catch {
    if (!text.includes("NaN") && !text.includes("Infinity")) return undefined;
  }
  try {
    return parseStrict(text.replace(NOT_JSON, (token) => (token.startsWith('"') ? token : "null")));
  } catch {
    return undefined;
  }
}

/** Parses JSON in UTF-8, or in UTF-16 behind its byte order mark; undefined when it is none. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return parseJsonText(bytes.toString("utf16le", 2));
  if (bytes[0] === 0xfe && bytes[1] === 0xff) {
    const even = bytes.subarray(2, bytes.length - (bytes.length % 2));
    return parseJsonText(Buffer.from(even).swap16().toString("utf16le"));
  }
  const mark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return parseJsonText(bytes.toString("utf8", mark));
}
