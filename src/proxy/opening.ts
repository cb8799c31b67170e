// The beginning of an exchange: what its head says, which way and route it takes, and the draft of what will be sealed.

import type { RawHeaders } from "../facts/exchange.ts";
import { Draft, type Begun, type ObservedHead } from "./draft.ts";
import { carriesPredictions, isGrpc } from "./grpc.ts";
import type { RelayRequest } from "./client-request.ts";
import {
  hostOfTarget,
  plainRequestHead,
  plainTracing,
  readRequestHead,
  type RequestHead,
} from "./request-head.ts";
import type { Road, Way } from "./road.ts";
import type { PlainRequest } from "./plain-request.ts";
import { ANY_ROUTE, routeOf, tapsOf, type Route, type Rules } from "./rules.ts";
import { BodyTap } from "./tap.ts";

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
  readonly rules: Rules;
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
    const tracing = plainTracing(plain, rules.snapshot.traceSampleRatio);
    const head = plainRequestHead(plain, { own, tracing });
    const start = { method, target, httpVersion, requestHead: plain };
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
  return opened(
    road,
    { method, target, httpVersion, requestHead: { observed: rawHeaders } },
    { head, way, grpc },
  );
}

interface Start {
  readonly method: string;
  readonly target: string;
  readonly httpVersion: string;
  readonly requestHead: ObservedHead;
}

function opened(
  road: Road,
  start: Start,
  { head, way, grpc }: { readonly head: RequestHead; readonly way: Way; readonly grpc: boolean },
): Opened {
  const { rules } = road;
  const { target } = start;
  const route = grpc && carriesPredictions(target) ? ANY_ROUTE : routeOf(rules, target);
  const draft = draftOf(road, start, { head, taps: tapsOf(rules, route), begun: null });
  if (head.framing === "length") draft.expectRequest(head.bodyBytes);
  return { rules, route, head, draft, way, grpc };
}

function draftOf(
  { clock, budget }: Road,
  { method, target, httpVersion, requestHead }: Start,
  {
    head,
    taps,
    begun,
  }: { readonly head: RequestHead; readonly taps: Rules["taps"]; readonly begun: Begun | null },
): Draft {
  return new Draft({
    clock,
    method,
    target,
    httpVersion,
    requestHead,
    predictionId: head.predictionId,
    trace: head.tracing.trace,
    request: new BodyTap(budget, taps.request),
    response: new BodyTap(budget, taps.response),
    begun,
  });
}

/** An exchange that has begun: what was found then. */
export interface BegunExchange {
  readonly begun: Begun;
  readonly request: PlainRequest;
  readonly head: RequestHead;
  readonly rules: Rules;
  readonly route: Route | null;
  readonly taps: Rules["taps"];
}

/** As `openExchange`, of one that has begun already. */
export function openBegun(road: Road, exchange: BegunExchange): Opened {
  const { request, head, rules, route, taps, begun } = exchange;
  const { method, target, httpVersion } = request;
  const draft = draftOf(road, { method, target, httpVersion, requestHead: request }, { head, taps, begun });
  return { rules, route, head, draft, way: road, grpc: false };
}
