// The beginning of an exchange: what its head says, which way and route it takes, and the draft of what will be sealed.

import type { RawHeaders } from "../facts/exchange.ts";
import { Draft } from "./draft.ts";
import { carriesPredictions, isGrpc } from "./grpc.ts";
import type { RelayRequest } from "./client-request.ts";
import { hostOfTarget, plainRequestHead, readRequestHead, type RequestHead } from "./request-head.ts";
import type { Road, Way } from "./road.ts";
import { ANY_ROUTE, copyBytesMax, routeOf, type Route } from "./rules.ts";
import { BodyTap } from "./tap.ts";

/** Usage and the end of a stream stand in its last events. */
const TAIL_BYTES = 8 * 1024;

/** A request as it came, in whatever version of HTTP. */
export interface Incoming {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly rawHeaders: RawHeaders;
  readonly peer: string;
  /** HTTP/2: whether a body comes. Null: the header lines tell. */
  readonly bodyFollows: boolean | null;
}

export interface Opened {
  readonly route: Route | null;
  readonly head: RequestHead;
  readonly draft: Draft;
  readonly way: Way;
  readonly grpc: boolean;
}

export function openExchange(road: Road, request: RelayRequest): Opened {
  const { method, url: target, httpVersion, peer, plainHead: plain } = request;
  // A plain head names no gRPC call.
  if (plain !== null && road.speaks === "http/1.1" && road.upstreamHost === null) {
    const { scheme, rules } = road;
    const own = request.ownLines(plain.host, scheme);
    const head = plainRequestHead(plain, { own, traceSampleRatio: rules.snapshot.traceSampleRatio });
    const start = { method, target, httpVersion, observed: plain.observed };
    return opened(road, start, { head, way: road, grpc: false });
  }
  const { rawHeaders } = request;
  return openIncoming(road, { method, target, httpVersion, rawHeaders, peer, bodyFollows: null });
}

export function openIncoming(road: Road, request: Incoming): Opened {
  const { method, target, httpVersion, rawHeaders, peer, bodyFollows } = request;
  const grpc = isGrpc(rawHeaders);
  const way = grpc ? road.grpc : road;
  const head = readRequestHead(rawHeaders, {
    httpVersion,
    peer,
    upstreamHost: way.upstreamHost,
    targetHost: hostOfTarget(target),
    upstreamAuthority: way.upstreamAuthority,
    traceSampleRatio: road.rules.snapshot.traceSampleRatio,
    scheme: road.scheme,
    bodyFollows,
  });
  return opened(road, { method, target, httpVersion, observed: rawHeaders }, { head, way, grpc });
}

interface Start {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  /** The lines that are told to the observer, at least. */
  readonly observed: RawHeaders;
}

function opened(
  road: Road,
  start: Start,
  { head, way, grpc }: { readonly head: RequestHead; readonly way: Way; readonly grpc: boolean },
): Opened {
  const { method, target, httpVersion, observed } = start;
  const { clock, rules, budget } = road;
  const route = grpc && carriesPredictions(target) ? ANY_ROUTE : routeOf(rules, target);
  const bodyBytesMax = copyBytesMax(rules, route);
  const { totalBytesMax } = rules.snapshot.capture;
  const draft = new Draft({
    clock,
    method,
    target,
    httpVersion,
    requestHeaders: observed,
    predictionId: head.predictionId,
    trace: head.tracing.trace,
    request: new BodyTap(budget, { bodyBytesMax, totalBytesMax, tailBytes: 0 }),
    response: new BodyTap(budget, { bodyBytesMax, totalBytesMax, tailBytes: TAIL_BYTES }),
  });
  if (head.framing === "length") draft.expectRequest(head.bodyBytes);
  return { route, head, draft, way, grpc };
}
