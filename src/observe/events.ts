// A body that came as a stream, cut into its events: server-sent events, or JSON lines. Chunks of HTTP are no events.

/** More events of one body are not looked at. */
const EVENTS_MAX = 20_000;
const LF = 0x0a;
const CR = 0x0d;

export interface StreamEvent {
  readonly data: string;
  /** Bytes of the body up to the end of the event's last line of data. */
  readonly end: number;
}

export type StreamFormat = "sse" | "lines";

/** The format of a stream by its media type, or by its first bytes where no type was sent (LitServe); null: no stream. */
export function streamFormat(type: string, bytes: Uint8Array): StreamFormat | null {
  const begin = Buffer.from(bytes.subarray(0, 64))
    .toString("latin1")
    .replace(/^\u00ef\u00bb\u00bf/, "")
    .trimStart();
  const looksLikeSse = /^(?:(?:data|event|id|retry):|:)/.test(begin);
  if (type === "text/event-stream") return begin.startsWith("{") ? "lines" : "sse";
  if (/^application\/(?:x-)?(?:ndjson|jsonl|json-seq|stream\+json)$/.test(type)) return "lines";
  if (type !== "") return null;
  if (looksLikeSse) return "sse";
  return begin.startsWith("{") ? "lines" : null;
}

/** Calls `line` with the bounds of each line that has ended; CR, LF and CRLF end one. `ended`: the rest is a line too. */
function eachLine(bytes: Buffer, ended: boolean, line: (from: number, to: number) => void): void {
  let from = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte !== LF && byte !== CR) continue;
    line(from, at);
    if (byte === CR && bytes[at + 1] === LF) at++;
    from = at + 1;
  }
  if (ended && from < bytes.length) line(from, bytes.length);
}

/**
 * The events in `bytes`, in order. `ended`: the body ends here, so that its last event counts even without a blank
 * line behind it (the standard would drop it; servers forget that line).
 */
export function eventsOf(bytes: Buffer, format: StreamFormat, ended: boolean): StreamEvent[] {
  const events: StreamEvent[] = [];
  const add = (data: string, end: number): void => {
    if (events.length < EVENTS_MAX) events.push({ data, end });
  };
  if (format === "lines") {
    eachLine(bytes, ended, (from, to) => {
      const text = bytes.toString("utf8", from, to).trim();
      if (text !== "") add(text, to);
    });
    return events;
  }
  let data: string[] = [];
  let end = 0;
  const dispatch = (): void => {
    if (data.length > 0) add(data.join("\n"), end);
    data = [];
  };
  eachLine(bytes, ended, (from, to) => {
    if (from === to) dispatch();
    else if (bytes.toString("latin1", from, Math.min(to, from + 5)) === "data:") {
      data.push(bytes.toString("utf8", bytes[from + 5] === 0x20 ? from + 6 : from + 5, to));
      end = to;
    }
  });
  if (ended) dispatch();
  return events;
}
