// The head of a client's request, read strictly (RFC 9112 §3, §5): one exact request line, exact field lines, nothing repaired.

import { hasStrayBytes, isToken, readFieldLines } from "./field-lines.ts";

/** A head read line by line. */
export interface ReadHead {
  readonly plain: false;
  readonly method: string;
  /** As it came: path, absolute form, or whatever else stood there. */
  readonly target: string;
  readonly httpVersion: "1.0" | "1.1";
  readonly lines: string[];
}

/** What is wrong with a head, and the status that says so. */
export interface BadHead {
  readonly status: number;
  readonly defect: string;
}

// Visible bytes and bytes beyond ASCII; hasStrayBytes has looked for controls already.
const NO_BLANKS = /^[^\t ]+$/;
const VERSION = /^HTTP\/\d\.\d$/;

/** Reads `text`: a head's lines, each with its CRLF, without the empty line that ended it. */
export function readRequestLine(text: string): ReadHead | BadHead {
  if (hasStrayBytes(text)) return bad("a control byte or a bare line end in the head");
  const end = text.indexOf("\r\n");
  const first = text.indexOf(" ");
  const last = end - " HTTP/1.1".length;
  if (first <= 0 || first >= last || !isToken(text, first)) return bad("a request line that is not one");
  const version = text.slice(last + 1, end);
  const target = text.slice(first + 1, last);
  if (text[last] !== " " || !VERSION.test(version) || !NO_BLANKS.test(target))
    return bad("a request line that is not `METHOD target HTTP/1.1`");
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0")
    return { status: 505, defect: `${version}, which is not spoken here: send HTTP/1.1` };
  const lines: string[] = [];
  const defect = readFieldLines(text, end + 2, lines);
  if (defect !== null) return bad(defect);
  const httpVersion = version === "HTTP/1.1" ? "1.1" : "1.0";
  return { plain: false, method: text.slice(0, first), target, httpVersion, lines };
}

function bad(defect: string): BadHead {
  return { status: 400, defect };
}
