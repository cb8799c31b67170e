// What is known of a short exchange from its request's head, its client and the rules alone: worked out once for a head that comes again
// and again.

import { flat } from "../kernel/ascii.ts";
import { behindId } from "./answer-head.ts";
import type { PlainRequest } from "./plain-request.ts";
import { plainText, type OwnLines } from "./request-head.ts";
import { findRoute, placeOf, versionOf, type Place, type Route, type Rules } from "./rules.ts";

export interface ShortPlan {
  readonly rules: Rules;
  readonly own: OwnLines;
  /** Request line and lines for the upstream but those of the trace, each with its CRLF. */
  readonly text: string;
  /** Of its target; null: nothing is remembered of that. */
  readonly place: Place | null;
  readonly route: Route | null;
  /** Of the answer. */
  readonly version: string | null;
  /** See `behindId`. */
  readonly behindId: string;
}

export function planOf(head: PlainRequest, own: OwnLines, rules: Rules): ShortPlan {
  const known = head.plan;
  if (known !== null && known.rules === rules && known.own === own) return known;
  const { target, lasts } = head;
  const place = placeOf(rules, target);
  const route = place === null ? findRoute(rules, target) : place.route;
  const version = versionOf(rules, { route, target, headerVersion: null });
  const text = plainText(head, own);
  const plan = {
    rules,
    own,
    text: lasts ? flat(text) : text,
    place,
    route,
    version,
    behindId: behindId(version),
  };
  if (lasts) head.plan = plan;
  return plan;
}
