// Other names under which a label for an exchange may arrive: ids that the client, the model or its server gave.

import type { Exchange } from "../facts/exchange.ts";
import type { Heads } from "./heads.ts";
import { isFiniteNumber, isObject, own } from "./json.ts";

const ALIASES_MAX = 8;
const CHARACTERS_MAX = 512;
const CONTROL = /\p{Cc}/u;

/** Headers of the answer that carry an id, in order of trust. */
export const ID_HEADERS: readonly string[] = [
  "ce-id",
  "ce-requestid",
  "x-request-id",
  "x-bentoml-request-id",
  "x-litellm-call-id",
];

export interface IdSources {
  readonly exchange: Exchange;
  /** `idHeader` of the options in lower case. */
  readonly idHeader: string | null;
  readonly requestHeads: Heads;
  readonly responseHeads: Heads;
  /** What stands at the configured path in the answer. */
  readonly configured: unknown;
  readonly responseBody: unknown;
  readonly requestBody: unknown;
}

function idIn(body: unknown): unknown {
  return isObject(body) ? own(body, "id") : undefined;
}

/** At most 8 distinct ids, each 1-512 characters without control characters, the exchange's own id left out. */
export function aliasesOf(from: IdSources): string[] {
  const found: string[] = [];
  const add = (raw: unknown): void => {
    const id = isFiniteNumber(raw) ? String(raw) : raw;
    if (typeof id !== "string" || id === "" || id.length > CHARACTERS_MAX || CONTROL.test(id)) return;
    if (found.length < ALIASES_MAX && id !== from.exchange.id && !found.includes(id)) found.push(id);
  };
  if (from.idHeader !== null) {
    add(from.responseHeads.get(from.idHeader));
    add(from.requestHeads.get(from.idHeader));
  }
  add(from.configured);
  add(from.requestHeads.get("x-request-id"));
  // The model may have overruled the client's choice; the client's labels still carry its own.
  add(from.requestHeads.get("x-prediction-id"));
  add(idIn(from.responseBody));
  for (const name of ID_HEADERS) add(from.responseHeads.get(name));
  add(idIn(from.requestBody));
  return found;
}
