// Upgrades (WebSocket and its kin): the handshake goes through node:http, then bytes pass both ways until one side ends.

import type { ClientRequest, IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Outcome, OwnError } from "../facts/exchange.ts";
import { afterReading, type Timer } from "../kernel/clock.ts";
import { codeOf } from "../kernel/problem.ts";
import { answerLines } from "./answer-head.ts";
import { Draft, outcomeOfStatus } from "./draft.ts";
import { FrameMeter } from "./frames.ts";
import {
  describeFailure,
  outcomeOf,
  ownErrorOfCode,
  problemMessage,
  statusOf,
  type Failure,
} from "./failures.ts";
import type { RelayRequest } from "./client-request.ts";
import { hostOfTarget, readRequestHead, upstreamTarget, type RequestHead } from "./request-head.ts";
import { readResponseHead } from "./response-head.ts";
import type { Road, Underway } from "./road.ts";
import { routeOf } from "./rules.ts";
import { BodyTap } from "./tap.ts";
import { closeSoon, copyLines, headText, pass, passAnswer, pump, withoutLength } from "./tunnel-bytes.ts";
import { askAlone } from "./tunnel-dial.ts";
import type { UpstreamOptions } from "./upstream.ts";

/** How long the other side may take to accept what is still to be flushed when one side has closed. */
const FLUSH_MS = 5000;
const EARLY_BYTES_MAX = 64 * 1024;
const ignore = (): void => {};

export interface TunnelOptions extends UpstreamOptions {
  /** Without a byte either way, once it is established; 0: no limit. */
  readonly idleMs: number;
  /** Told of each tunnel that ends by it. */
  readonly onIdle: () => void;
}

export interface TunnelEnds {
  readonly request: RelayRequest;
  readonly socket: Duplex;
  /** Bytes that came glued to the client's handshake. */
  readonly glued: Buffer;
}

export class Tunnel implements Underway {
  slot = -1;
  readonly #road: Road;
  readonly #options: TunnelOptions;
  readonly #ends: TunnelEnds;
  readonly #head: RequestHead;
  readonly #draft: Draft;
  #asking: ClientRequest | null = null;
  #refusal: IncomingMessage | null = null;
  #upstream: Duplex | null = null;
  #timer: Timer | null = null;
  #outcome: Outcome | null = null;
  #delivered = false;
  /** null: the upgrade was to something other than a WebSocket. */
  #meter: FrameMeter | null = null;
  /** What the client sends before the answer: read, so that its leaving is noticed, and kept up to a bound. */
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #movedMs = 0;
  /** While the connection to the model is being opened. */
  #dialledMs: number | null = null;

  constructor(road: Road, options: TunnelOptions, ends: TunnelEnds) {
    this.#road = road;
    this.#options = options;
    this.#ends = ends;
    const { request } = ends;
    this.#head = readRequestHead(request.rawHeaders, {
      httpVersion: request.httpVersion,
      peer: request.peer,
      upstreamHost: road.upstreamHost,
      targetHost: hostOfTarget(request.url),
      upstreamAuthority: road.upstreamAuthority,
      traceSampleRatio: road.rules.snapshot.traceSampleRatio,
      scheme: road.scheme,
      bodyFollows: null,
    });
    const nothing = { bodyBytesMax: null, totalBytesMax: 0 };
    this.#draft = new Draft({
      clock: road.clock,
      method: request.method,
      target: request.url,
      httpVersion: request.httpVersion,
      requestHead: { observed: request.rawHeaders },
      predictionId: this.#head.predictionId,
      trace: this.#head.tracing.trace,
      request: new BodyTap(road.budget, nothing),
      response: new BodyTap(road.budget, nothing),
    });
    this.#draft.requestWasHead();
    if (ends.glued.length > 0) this.#early.push(ends.glued);
  }

  begin(): void {
    const target = upstreamTarget(this.#ends.request.method, this.#ends.request.url);
    this.#watchClient();
    if (this.#head.refusal !== null || target === null) {
      this.#fail({ code: "bad_request", detail: this.#head.refusal ?? "The request target is not a path." });
      return;
    }
    const asking = this.#dial(target);
    this.#asking = asking;
    asking.on("error", (error) => this.#edge(() => this.#onAskingError(error)));
    asking.on("upgrade", (response, socket, glued) =>
      this.#edge(() => this.#onUpgrade(response, { socket, glued })),
    );
    asking.on("response", (response) => this.#edge(() => this.#onRefusal(response)));
    this.#limitWaiting(asking);
    asking.end();
  }

  #dial(target: string): ClientRequest {
    const { request } = this.#ends;
    const lines = [...this.#head.lines, "Connection", "Upgrade"];
    copyLines(request.rawHeaders, "upgrade", lines);
    this.#dialledMs = this.#road.clock.monotonicMs();
    return askAlone(this.#options, { method: request.method, target, lines });
  }

  /** The connection to the model stands, or will not: counted once. */
  #dialEnded(how: "opened" | "cancelled" | OwnError): void {
    const dialledMs = this.#dialledMs;
    const { counts } = this.#options;
    this.#dialledMs = null;
    if (dialledMs === null || counts === undefined) return;
    if (how === "opened") counts.opened("1.1", this.#road.clock.monotonicMs() - dialledMs);
    else counts.notOpened("1.1", how);
  }

  #limitWaiting(asking: ClientRequest): void {
    const { connectTimeoutMs, responseTimeoutMs } = this.#options;
    const limit = (ms: number, code: OwnError): void => {
      this.#timer?.cancel();
      this.#timer = null;
      if (ms <= 0) return;
      this.#timer = afterReading(this.#road.clock, ms, () =>
        this.#edge(() => this.#fail(describeFailure(code, this.#road.upstreamName, null))),
      );
    };
    limit(connectTimeoutMs, "connect_timeout");
    asking.on("socket", (socket) => {
      const connected = this.#options.url.startsWith("https:") ? "secureConnect" : "connect";
      socket.once(connected, () => {
        this.#dialEnded("opened");
        if (this.#timer !== null) limit(responseTimeoutMs, "response_timeout");
      });
    });
  }

  /** The lines for the client; null: it is no answer that can be passed on, and has failed. */
  #answered(response: IncomingMessage): string[] | null {
    this.#timer?.cancel();
    this.#timer = null;
    const draft = this.#draft;
    const { rules } = this.#road;
    const target = this.#ends.request.url;
    const route = routeOf(rules, target);
    const headMs = draft.headArrived();
    if (response.statusCode === 101 && response.headers.upgrade?.toLowerCase() === "websocket") {
      this.#meter = new FrameMeter(headMs);
    }
    draft.status = response.statusCode ?? 502;
    draft.responseHead = { observed: response.rawHeaders };
    const head = readResponseHead(response.rawHeaders, {
      status: draft.status,
      headOnly: this.#ends.request.method === "HEAD",
      httpVersion: this.#ends.request.httpVersion,
      receivedVersion: response.httpVersion,
      versionHeader: route?.versionHeader ?? null,
    });
    const defect = response.httpVersionMajor === 1 ? head.defect : `HTTP/${response.httpVersion}`;
    if (defect === null) return answerLines(head, draft, { rules, route, target });
    this.#fail(describeFailure("invalid_response", this.#road.upstreamName, new Error(defect)));
    return null;
  }

  #onUpgrade(response: IncomingMessage, other: { socket: Duplex; glued: Buffer }): void {
    const client = this.#ends.socket;
    const upstream = other.socket;
    this.#upstream = upstream;
    upstream.on("error", ignore);
    if (this.#delivered || this.#outcome !== null) {
      upstream.destroy();
      return;
    }
    const answered = this.#answered(response);
    if (answered === null) {
      upstream.destroy();
      return;
    }
    const lines = [...withoutLength(answered), "Connection", "Upgrade"];
    copyLines(response.rawHeaders, "upgrade", lines);
    this.#draft.upgraded = true;
    this.#outcome = "ok";
    client.write(headText(response, lines), "latin1");
    const meter = this.#meter;
    this.#moved();
    this.#watchIdle(this.#options.idleMs);
    const toUpstream = (chunk: Buffer): void => {
      this.#moved();
      const atMs = this.#draft.tunnelRequestBytes(chunk.length);
      meter?.fromClient(chunk, atMs);
    };
    const toClient = (chunk: Buffer): void => {
      this.#moved();
      const atMs = this.#draft.tunnelResponseBytes(chunk.length);
      meter?.fromUpstream(chunk, atMs);
    };
    upstream.once("close", () => this.#edge(() => this.#onUpstreamClosed(upstream)));
    pass(other.glued, client, toClient);
    client.off("data", this.#keepEarly);
    client.off("end", this.#leftEarly);
    for (const chunk of this.#early) pass(chunk, upstream, toUpstream);
    this.#early = [];
    this.#earlyBytes = 0;
    pump(client, upstream, toUpstream);
    pump(upstream, client, toClient);
  }

  #moved(): void {
    this.#movedMs = this.#road.clock.monotonicMs();
  }

  /** One timer serves many bytes: it is set anew only when it fires too early. */
  #watchIdle(waitMs: number): void {
    const { idleMs, onIdle } = this.#options;
    if (idleMs <= 0) return;
    this.#timer = afterReading(this.#road.clock, waitMs, () =>
      this.#edge(() => {
        const leftMs = idleMs - (this.#road.clock.monotonicMs() - this.#movedMs);
        if (leftMs > 0) return this.#watchIdle(Math.ceil(leftMs));
        onIdle();
        this.#cutBy("response_timeout");
        this.#part();
      }),
    );
  }

  get held(): number {
    let bytes = this.#earlyBytes;
    for (const end of [this.#ends.socket, this.#upstream])
      bytes += end === null ? 0 : end.readableLength + end.writableLength;
    return bytes;
  }

  /** The model declined: its ordinary answer goes to the client, and the connection ends with it. */
  #onRefusal(response: IncomingMessage): void {
    const client = this.#ends.socket;
    if (this.#delivered || this.#outcome !== null) {
      response.destroy();
      return;
    }
    const lines = this.#answered(response);
    if (lines === null) return;
    this.#refusal = response;
    const status = response.statusCode ?? 502;
    const bodiless = status === 204 || status === 304 || this.#ends.request.method === "HEAD";
    const chunked = !bodiless && response.headers["content-length"] === undefined;
    if (chunked) lines.push("Transfer-Encoding", "chunked");
    lines.push("Connection", "close");
    this.#outcome = outcomeOfStatus(status);
    client.write(headText(response, lines), "latin1");
    passAnswer(response, client, {
      chunked,
      count: (chunk) => this.#draft.tunnelResponseBytes(chunk.length),
      whole: (trailers) => {
        this.#draft.responseTrailers = trailers;
        return this.#draft.abortedBy === null;
      },
    });
    response.on("error", () => this.#edge(() => this.#brokenBy("upstream", "reset")));
    // Whatever the client still sends is not part of anything.
    client.off("data", this.#keepEarly);
    this.#early = [];
    client.resume();
  }

  #onAskingError(error: Error): void {
    const code = ownErrorOfCode(codeOf(error)) ?? "connection_reset";
    this.#dialEnded(code);
    // To node:http a reset ends an answer that only the connection's end delimits, as a close does.
    if (this.#refusal?.complete === false) this.#brokenBy("upstream", "reset");
    else this.#fail(describeFailure(code, this.#road.upstreamName, error));
  }

  #brokenBy(side: "client" | "upstream", outcome: Outcome): void {
    if (this.#delivered) return;
    this.#draft.abortedBy = side;
    this.#outcome = outcome;
    closeSoon(this.#ends.socket);
  }

  #fail(failure: Failure): void {
    if (this.#delivered || this.#outcome !== null) return;
    this.#dialEnded(failure.code === "draining" ? "cancelled" : failure.code);
    this.#draft.ownError = failure.code;
    this.#draft.status = statusOf(failure.code);
    this.#outcome = outcomeOf(failure.code);
    this.#asking?.destroy();
    this.#ends.socket.write(problemMessage(failure, this.#draft.id), "latin1");
    this.#close(this.#ends.socket);
  }

  #watchClient(): void {
    const client = this.#ends.socket;
    if (client instanceof Socket) client.setTimeout(0);
    client.on("error", ignore);
    client.once("close", () => this.#edge(() => this.#onClientClosed()));
    client.on("data", this.#keepEarly);
    client.on("end", this.#leftEarly);
  }

  readonly #keepEarly = (chunk: Buffer): void => {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > EARLY_BYTES_MAX) this.#ends.socket.pause();
  };

  readonly #leftEarly = (): void => {
    if (this.#outcome === null) this.#ends.socket.destroy();
  };

  #onClientClosed(): void {
    this.#dialEnded("cancelled");
    this.#asking?.destroy();
    if (this.#upstream !== null && !this.#upstream.destroyed) this.#close(this.#upstream);
    const client = this.#ends.socket;
    if (this.#outcome === null || (this.#outcome === "ok" && client.errored !== null)) {
      this.#draft.abortedBy = "client";
      this.#outcome = "client_abort";
    }
    this.#deliver();
  }

  #onUpstreamClosed(upstream: Duplex): void {
    if (upstream.errored !== null && !this.#ends.socket.destroyed) this.#brokenBy("upstream", "reset");
    else this.#close(this.#ends.socket);
  }

  /** Closes after what is still to be flushed, but not later than `FLUSH_MS` from now. */
  #close(side: Duplex): void {
    closeSoon(side);
    const late = this.#road.clock.after(FLUSH_MS, () => side.destroy());
    side.once("close", () => late.cancel());
  }

  cut(): void {
    this.#edge(() => {
      if (this.#outcome === null) this.#fail(describeFailure("draining", this.#road.upstreamName, null));
      else this.#cutBy("draining");
      this.#part();
    });
  }

  #cutBy(ownError: OwnError): void {
    if (this.#delivered) return;
    this.#draft.ownError = ownError;
    this.#outcome = "reset";
  }

  #part(): void {
    this.#deliver();
    this.#upstream?.destroy();
    closeSoon(this.#ends.socket);
  }

  #deliver(): void {
    if (this.#delivered) return;
    this.#delivered = true;
    this.#timer?.cancel();
    this.#draft.webSocket = this.#meter?.facts() ?? null;
    this.#road.ended(this, this.#draft.close(this.#outcome ?? "reset"));
  }

  /** Every callback runs through here: a bug ends this tunnel and nothing else. */
  #edge(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#road.complaints.say("a tunnel failed by a bug", thrown);
      if (!this.#delivered) this.#draft.ownError ??= "internal";
      this.#outcome = "reset";
      this.#asking?.destroy();
      this.#upstream?.destroy();
      this.#ends.socket.destroy();
      this.#deliver();
    }
  }
}
