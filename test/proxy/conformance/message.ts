// An HTTP/1.1 message read by the letter of RFC 9112, independent of the relay's own readers. Latin-1 text stands for bytes.

export interface Message {
  /** Request line or status line. */
  readonly start: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly framing: "none" | "length" | "chunked" | "close";
  /** What of the body has come. */
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
  readonly complete: boolean;
  /** Bytes of the message when it is complete. */
  readonly size: number;
}

export type Reading =
  | { readonly kind: "message"; readonly message: Message }
  /** The head is not whole. */
  | { readonly kind: "partial" }
  | { readonly kind: "defect"; readonly defect: string };

export interface ReadingContext {
  /** Method of the request an answer belongs to; null: a request is read. */
  readonly answerTo: string | null;
  /** The connection has ended behind the bytes. */
  readonly ended: boolean;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// Visible bytes, blanks and obs-text; a request may carry nothing else onwards.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const REQUEST_LINE = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [\x21-\x7e\x80-\xff]+ HTTP\/1\.[01]$/;
const STATUS_LINE = /^HTTP\/1\.[01] [1-9]\d\d( [\t\x20-\x7e\x80-\xff]*)?$/;

const defect = (text: string): Reading => ({ kind: "defect", defect: text });

export function valuesOf(message: Pick<Message, "fields">, name: string): string[] {
  return message.fields.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value);
}

/** Field lines of a section that ends with an empty line; a text says what is wrong. */
export function readFields(section: string): [string, string][] | string {
  const fields: [string, string][] = [];
  for (const line of section === "" ? [] : section.split("\r\n")) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(0, colon));
    if (!TOKEN.test(name)) return `field name ${JSON.stringify(line.slice(0, 80))}`;
    const value = line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "");
    if (!VALUE.test(value)) return `field value ${JSON.stringify(line.slice(0, 80))}`;
    fields.push([name, value]);
  }
  return fields;
}

/** Reads the first message of `text`. */
export function readMessage(text: string, context: ReadingContext): Reading {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return { kind: "partial" };
  const line = text.indexOf("\r\n");
  const start = text.slice(0, line);
  const isAnswer = context.answerTo !== null;
  if (!(isAnswer ? STATUS_LINE : REQUEST_LINE).test(start))
    return defect(`start line ${JSON.stringify(start)}`);
  const fields = readFields(line === end ? "" : text.slice(line + 2, end));
  if (typeof fields === "string") return defect(fields);
  const head = { start, fields, size: end + 4, status: isAnswer ? Number(start.slice(9, 12)) : 0 };
  return readBody(text, head, context);
}

interface Head {
  readonly start: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly size: number;
  readonly status: number;
}

function readBody(text: string, head: Head, context: ReadingContext): Reading {
  const lengths = valuesOf(head, "content-length");
  const encodings = valuesOf(head, "transfer-encoding");
  if (lengths.length > 1) return defect("more than one Content-Length");
  if (lengths.length > 0 && encodings.length > 0) return defect("Content-Length and Transfer-Encoding");
  if (encodings.length > 0 && (encodings.length > 1 || encodings[0]?.toLowerCase() !== "chunked"))
    return defect(`Transfer-Encoding ${encodings.join(" | ")}`);
  if (lengths.length > 0 && !/^\d{1,15}$/.test(lengths[0] ?? ""))
    return defect(`Content-Length ${lengths[0]}`);
  if (encodings.length > 0 && head.start.endsWith("HTTP/1.0")) return defect("chunks in HTTP/1.0");
  const bodiless =
    context.answerTo !== null &&
    (context.answerTo === "HEAD" || head.status < 200 || head.status === 204 || head.status === 304);
  const message = { start: head.start, fields: head.fields, trailers: [], body: "" };
  if (!bodiless && encodings.length > 0) return readChunks(text, head, message);
  if (!bodiless && lengths.length > 0) {
    const length = Number(lengths[0]);
    const body = text.slice(head.size, head.size + length);
    const size = head.size + length;
    return {
      kind: "message",
      message: { ...message, framing: "length", body, complete: body.length === length, size },
    };
  }
  if (bodiless || context.answerTo === null)
    return { kind: "message", message: { ...message, framing: "none", complete: true, size: head.size } };
  const body = text.slice(head.size);
  return {
    kind: "message",
    message: { ...message, framing: "close", body, complete: context.ended, size: text.length },
  };
}

type Begun = Pick<Message, "start" | "fields" | "trailers" | "body">;

function readChunks(text: string, head: Head, begun: Begun): Reading {
  let at = head.size;
  let body = "";
  const part = (): Reading => ({
    kind: "message",
    message: { ...begun, body, framing: "chunked", complete: false, size: text.length },
  });
  for (;;) {
    const line = text.indexOf("\n", at);
    if (line < 0) return part();
    const size = /^([0-9A-Fa-f]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?\r$/.exec(text.slice(at, line))?.[1];
    if (size === undefined)
      return defect(`chunk line ${JSON.stringify(text.slice(at, line + 1).slice(0, 80))}`);
    const length = Number.parseInt(size, 16);
    at = line + 1;
    if (length === 0) break;
    body += text.slice(at, at + length);
    if (text.length < at + length + 2) {
      const over = text.slice(at + length);
      return over === "" || over === "\r" ? part() : defect(`behind a chunk ${JSON.stringify(over)}`);
    }
    if (text.slice(at + length, at + length + 2) !== "\r\n") return defect("a chunk without its CRLF");
    at += length + 2;
  }
  const end = text.startsWith("\r\n", at) ? at : text.indexOf("\r\n\r\n", at) + 2;
  if (end < at) return part();
  const trailers = readFields(text.slice(at, Math.max(at, end - 2)));
  if (typeof trailers === "string") return defect(`trailer: ${trailers}`);
  return {
    kind: "message",
    message: { ...begun, body, trailers, framing: "chunked", complete: true, size: end + 2 },
  };
}
