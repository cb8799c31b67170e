// The beginning of an exchange: what its head says, which route it is, and the draft of what will be sealed.

import { Draft } from "./draft.ts";
import type { RelayRequest } from "./client-request.ts";
import { readRequestHead, type RequestHead } from "./request-head.ts";
import type { Road } from "./road.ts";
import { copyBytesMax, routeOf, type Route } from "./rules.ts";
import { BodyTap } from "./tap.ts";

/** Usage and the end of a stream stand in its last events. */
const TAIL_BYTES = 8 * 1024;

export interface Opening {
  readonly route: Route | null;
  readonly head: RequestHead;
  readonly draft: Draft;
}

export function openExchange(road: Road, request: RelayRequest): Opening {
  const { snapshot } = road.rules;
  const target = request.url;
  const route = routeOf(road.rules, target);
  const limits = {
    bodyBytesMax: copyBytesMax(road.rules, route),
    totalBytesMax: snapshot.capture.totalBytesMax,
  };
  const head = readRequestHead(request.rawHeaders, {
    httpVersion: request.httpVersion,
    peer: request.peer,
    upstreamHost: road.upstreamHost,
    upstreamAuthority: road.upstreamAuthority,
    traceSampleRatio: snapshot.traceSampleRatio,
  });
  const draft = new Draft({
    clock: road.clock,
    method: request.method,
    target,
    httpVersion: request.httpVersion,
    requestHeaders: request.rawHeaders,
    predictionId: head.predictionId,
    trace: head.tracing.trace,
    request: new BodyTap(road.budget, limits),
    response: new BodyTap(road.budget, { ...limits, tailBytes: TAIL_BYTES }),
  });
  return { route, head, draft };
}
