// How a tunnel asks the model for an upgrade: through node:http, on a connection that nothing else uses.

import type { ClientRequest, RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { isIP } from "node:net";
import { request as httpRequest } from "../kernel/http.ts";
import { HEAD_BYTES_MAX } from "./answer-reader.ts";
import { parseUpstreamUrl, tlsNow, type DialOptions } from "./dial.ts";

/** Not sent before `end` is called. `lines` are flat, all that is sent. */
export function askAlone(
  to: Pick<DialOptions, "url" | "tls">,
  ask: { readonly method: string; readonly target: string; readonly lines: readonly string[] },
): ClientRequest {
  const tls = tlsNow(to.tls);
  const { origin, socketPath } = parseUpstreamUrl(to.url);
  const { protocol, hostname, port } = new URL(origin);
  const host = hostname.replace(/^\[|\]$/g, "");
  const options: RequestOptions & { servername?: string } = {
    agent: false,
    setHost: false,
    method: ask.method,
    path: ask.target,
    headers: ask.lines,
    maxHeaderSize: HEAD_BYTES_MAX,
    ...(socketPath === null ? { host, ...(port === "" ? {} : { port }) } : { socketPath }),
  };
  // An address has no server name; without this node:http would take it from the client's Host line.
  const servername = tls?.servername ?? (isIP(host) === 0 ? host : "");
  const asking =
    protocol === "https:" ? httpsRequest({ ...options, ...tls, servername }) : httpRequest(options);
  // node:http would leave out the lines beyond the 2000th, and tell nobody.
  asking.maxHeadersCount = 0;
  return asking;
}
