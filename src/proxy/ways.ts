// The ways to the model: of HTTP requests, and of gRPC calls.

import type { Clock } from "../kernel/clock.ts";
import { parseUpstreamUrl } from "./dial.ts";
import { PIECES } from "./http2/pieces.ts";
import { createStreamUpstream } from "./http2/pool.ts";
import { createUpstream } from "./pool.ts";
import type { Way } from "./road.ts";
import type { UpstreamOptions } from "./upstream.ts";

export interface WaysOptions {
  readonly upstream: {
    /** http://, https://, h2c:// or unix:/path. */
    readonly url: string;
    /** Where gRPC calls go; null: to `url`. */
    readonly grpcUrl?: string | null;
  };
  /** What the upstream sees as `Host`: the client's, or its own. */
  readonly host: "preserve" | "upstream";
}

/** Where HTTP requests and gRPC calls go; one way when the model takes both at one address. */
export function waysOf(
  { upstream, host }: WaysOptions,
  options: UpstreamOptions,
  clock: Clock,
): { readonly http: Way; readonly grpc: Way } {
  const wayTo = (url: string, streams: boolean): Way => {
    const { origin, name } = parseUpstreamUrl(url);
    const upstreamAuthority = new URL(origin).host;
    const create = streams ? createStreamUpstream : createUpstream;
    const upstream = create({ ...options, url }, clock);
    const [, ...smaller] = PIECES;
    const byPiece = smaller.map(
      (piece) => [piece, create({ ...options, url, pieceBytes: piece.bytes }, clock)] as const,
    );
    return {
      upstream,
      // The largest is what every way reads.
      byPiece: new Map(byPiece),
      upstreamName: name,
      upstreamAuthority,
      upstreamHost: host === "upstream" ? upstreamAuthority : null,
      speaks: streams ? "h2" : "http/1.1",
    };
  };
  const http = wayTo(upstream.url, parseUpstreamUrl(upstream.url).h2c);
  if (upstream.grpcUrl != null) return { http, grpc: wayTo(upstream.grpcUrl, true) };
  // Over TLS both versions are spoken at one address, by agreement (ALPN).
  return { http, grpc: upstream.url.startsWith("https:") ? wayTo(upstream.url, true) : http };
}
