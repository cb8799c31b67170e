// The beginning of an exchange: what its head says, which way and route it takes, and the draft of what will be sealed.

import type { RawHeaders } from "../facts/exchange.ts";
import { Draft } from "./draft.ts";
import { carriesPredictions, isGrpc } from "./grpc.ts";
import type { RelayRequest } from "./client-request.ts";
import { readRequestHead, type RequestHead } from "./request-head.ts";
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
  return openIncoming(road, {
    method: request.method,
    target: request.url,
    httpVersion: request.httpVersion,
    rawHeaders: request.rawHeaders,
    peer: request.peer,
    bodyFollows: null,
  });
}

export function openIncoming(road: Road, request: Incoming): Opened {
  const { method, target, httpVersion, rawHeaders, peer, bodyFollows } = request;
  const { snapshot } = road.rules;
  const grpc = isGrpc(rawHeaders);
  const way = grpc ? road.grpc : road;
  const route = grpc && carriesPredictions(target) ? ANY_ROUTE : routeOf(road.rules, target);
  const limits = {
    bodyBytesMax: copyBytesMax(road.rules, route),
    totalBytesMax: snapshot.capture.totalBytesMax,
  };
  const head = readRequestHead(rawHeaders, {
    httpVersion,
    peer,
    upstreamHost: way.upstreamHost,
    upstreamAuthority: way.upstreamAuthority,
    traceSampleRatio: snapshot.traceSampleRatio,
    scheme: road.scheme,
    bodyFollows,
  });
  const draft = new Draft({
    clock: road.clock,
    method,
    target,
    httpVersion,
    requestHeaders: rawHeaders,
    predictionId: head.predictionId,
    trace: head.tracing.trace,
    request: new BodyTap(road.budget, limits),
    response: new BodyTap(road.budget, { ...limits, tailBytes: TAIL_BYTES }),
  });
  return { route, head, draft, way, grpc };
}
