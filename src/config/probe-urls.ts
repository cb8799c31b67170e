// Probe addresses: `{upstream}` filled in, and looked at.

import type { Origin, Parsed } from "./addresses.ts";
import { parseAddress } from "./addresses.ts";

const PLACEHOLDER = "{upstream}";

function expand(text: string, upstream: Origin): string {
  if (!text.startsWith(PLACEHOLDER)) return text;
  const rest = text.slice(PLACEHOLDER.length);
  // A request over a socket file is written unix:/run/model.sock:/path.
  return upstream.kind === "unix" && rest !== "" ? `${upstream.url}:${rest}` : `${upstream.url}${rest}`;
}

/** The address a probe goes to, complete: http(s)://…, tcp://host:port, unix:/path or unix:/path:/request/path. */
export function probeUrl(text: string, upstream: Origin): Parsed<string> {
  const url = expand(text, upstream);
  if (url.startsWith("h2c:"))
    return { wrong: "can only be connected to, as its upstream speaks HTTP/2 alone: write tcp://host:port" };
  if (/[{}\s]/.test(url))
    return { wrong: `must not hold "{", "}" or spaces, but for ${PLACEHOLDER} at the beginning` };
  if (/^https?:\/\/[^/]/i.test(url) && URL.canParse(url)) return { value: url };
  if (/^unix:\/[^:]+(?::\/.*)?$/.test(url)) return { value: url };
  if (/^tcp:\/\//i.test(url)) {
    const address = parseAddress(url.slice("tcp://".length).replace(/\/$/, ""));
    return "wrong" in address ? { wrong: "must be tcp://host:port" } : { value: url.replace(/\/$/, "") };
  }
  return { wrong: "must be http://…, https://…, tcp://host:port or unix:/path" };
}

/** The probe that is made when none is configured: can the model server be connected to? */
export function connectUrl(upstream: Origin): string {
  if (upstream.kind === "unix") return upstream.url;
  return upstream.url.replace(/^(?:https?|h2c):/, "tcp:");
}
