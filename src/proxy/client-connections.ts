// All connections of clients that speak HTTP/1.1: their limits, one sweep a second over them, and what is said to those that break a rule.

import type { Socket } from "node:net";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { RelayResponse } from "./client-answer.ts";
import {
  ClientConnection,
  type ConnectionLimits,
  type ConnectionOwner,
  type Late,
} from "./client-connection.ts";
import type { RelayRequest } from "./client-request.ts";
import { problemMessage, type Failure } from "./failures.ts";
import type { BadHead } from "./request-line.ts";
import { Roll } from "./road.ts";

export interface ConnectionsNeeds {
  readonly clock: Clock;
  readonly limits: ConnectionLimits;
  readonly onRequest: (request: RelayRequest, response: RelayResponse) => void;
  /** The rest of a request that is being relayed is no HTTP. */
  readonly onSpoiled: (request: RelayRequest, failure: Failure) => void;
}

const SWEEP_MS = 1000;

/** Closed for taking too long, by what they took too long for. */
export type LateCounts = Record<Late, number>;

export class ClientConnections implements ConnectionOwner {
  readonly limits: ConnectionLimits;
  readonly #needs: ConnectionsNeeds;
  readonly #roll = new Roll<ClientConnection>();
  readonly late: LateCounts = { head: 0, idle: 0, body: 0, send: 0 };
  /** Messages that were no HTTP. */
  defects = 0;
  draining = false;
  #sweeper: Timer | null = null;
  #date = "";
  #dateUntilMs = 0;

  constructor(needs: ConnectionsNeeds) {
    this.#needs = needs;
    this.limits = needs.limits;
  }

  accept(socket: Socket, first: Buffer | null): void {
    this.#sweeper ??= this.#needs.clock.every(this.#sweepMs(), () => this.#sweep());
    const connection = new ClientConnection(this, socket);
    this.#roll.add(connection);
    connection.begin(first);
  }

  /** Often enough for the shortest limit. */
  #sweepMs(): number {
    const { headMs, idleMs, bodyMs, sendMs } = this.limits;
    const set = [headMs, idleMs, bodyMs, sendMs].filter((ms) => ms > 0);
    return Math.max(20, Math.min(SWEEP_MS, ...set.map((ms) => ms / 4)));
  }

  #sweep(): void {
    const now = this.nowMs();
    for (const connection of this.#roll.all()) connection.check(now);
    if (this.#roll.size > 0) return;
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }

  nowMs(): number {
    return this.#needs.clock.monotonicMs();
  }

  date(): string {
    const now = this.#needs.clock.wallMs();
    if (now >= this.#dateUntilMs || now < this.#dateUntilMs - 1000) {
      this.#date = new Date(now).toUTCString();
      this.#dateUntilMs = Math.floor(now / 1000) * 1000 + 1000;
    }
    return this.#date;
  }

  onRequest(request: RelayRequest, response: RelayResponse): void {
    this.#needs.onRequest(request, response);
  }

  onDefect(connection: ClientConnection, defect: BadHead): void {
    this.defects++;
    connection.sayLast(problemMessage(failureOf(defect), null, defect.status));
  }

  onSpoiled(request: RelayRequest, defect: BadHead): void {
    this.defects++;
    this.#needs.onSpoiled(request, failureOf(defect));
  }

  onLate(connection: ClientConnection, late: Late): void {
    this.late[late]++;
    if (late === "head") {
      const failure = { code: "bad_request", detail: TOO_SLOW } as const;
      connection.sayLast(problemMessage(failure, null, 408));
    } else if (late === "idle") connection.close();
    else connection.socket.destroy();
  }

  onClosed(connection: ClientConnection): void {
    this.#roll.remove(connection);
  }

  /** No further requests: idle connections close, the others after their answer. */
  drain(): void {
    this.draining = true;
    for (const connection of this.#roll.all()) if (connection.idle) connection.close();
  }

  stop(): void {
    this.#sweeper?.cancel();
    this.#sweeper = null;
  }
}

const TOO_SLOW =
  "The request's head did not arrive in time. Send it faster, or raise `proxy.limits.headTimeout`.";

function failureOf(defect: BadHead): Failure {
  return {
    code: "bad_request",
    detail: `What came on the connection is not a valid HTTP/1.1 request: ${defect.defect}.`,
  };
}
