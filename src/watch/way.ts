// Where a request of our own to the model server goes: URLs and socket files as options of node:http.

import type { RequestOptions } from "node:http";

/** PEM texts. */
export interface UpstreamTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface Place {
  /** http(s)://… or unix:/socket:/path. */
  readonly url: string;
  readonly tls: UpstreamTls | null;
}

export interface Way {
  readonly options: RequestOptions & UpstreamTls;
  readonly secure: boolean;
}

/** `unix:/socket:/path` and URLs as options of a request that shares no connection with anything else. */
export function wayOf({ url, tls }: Place): Way {
  const headers = { "user-agent": "outrider-probe", accept: "*/*" };
  const socket = /^unix:([^:]+):(\/.*)$/.exec(url);
  if (socket !== null) {
    const [, socketPath = "", path = "/"] = socket;
    return {
      options: { agent: false, socketPath, path, headers: { ...headers, host: "localhost" } },
      secure: false,
    };
  }
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const target = { host: hostname.replace(/^\[(.*)\]$/, "$1"), port, path: `${pathname}${search}` };
  return { options: { agent: false, headers, ...target, ...tls }, secure: protocol === "https:" };
}
