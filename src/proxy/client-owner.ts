// Whom a client's connection belongs to.

import type { ClientConnection } from "./client-connection.ts";
import type { RelayResponse } from "./client-answer.ts";
import type { ClientReads } from "./client-reads.ts";
import type { RelayRequest } from "./client-request.ts";
import type { ConnectionLimits, Late } from "./connection-limits.ts";
import type { KnownHeads } from "./known-heads.ts";
import type { PlainRequest } from "./plain-request.ts";
import type { ClientPlace, OwnLines } from "./request-head.ts";
import type { BadHead } from "./request-line.ts";
import type { ShortExchange, ShortRequest } from "./short-exchange.ts";

export interface ConnectionOwner {
  readonly limits: ConnectionLimits;
  readonly reads: ClientReads;
  readonly knownHeads: KnownHeads<PlainRequest>;
  readonly draining: boolean;
  /** What a head says to a client whose connection is kept: until when. "": nothing, there is no limit. */
  readonly keepAliveLines: string;
  /** Milliseconds, of the last sweep or later. */
  nowMs(): number;
  /** As it stands in a `Date` line. */
  date(): string;
  ownLines(host: string, client: ClientPlace): OwnLines;
  /** Null: it is to be told as an ordinary one. */
  onShortRequest(request: ShortRequest): ShortExchange | null;
  onRequest(request: RelayRequest, response: RelayResponse): void;
  /** What came is no HTTP, and no exchange is under way to say so. */
  onDefect(connection: ClientConnection, defect: BadHead): void;
  /** The rest of a request that is being relayed is no HTTP. */
  onSpoiled(request: RelayRequest, defect: BadHead): void;
  /** `request`: the one that is under way. */
  onLate(connection: ClientConnection, late: Late, request: RelayRequest | null): void;
  onClosed(connection: ClientConnection): void;
}
