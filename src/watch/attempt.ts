// One probe, once: a request or a connection, and what came of it. Never rejects.

import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { request as httpRequest } from "../kernel/http.ts";
import { codeOf } from "../kernel/problem.ts";
import { wayOf, type Place } from "./way.ts";

/** Why a probe failed, or "ok". */
export type ProbeReason =
  | "ok"
  | "timeout"
  | "refused"
  | "reset"
  | "dns"
  | "tls"
  | "unreachable"
  | "status"
  | "invalid"
  | "error";

/** Beside what a request may go to: tcp://host:port and unix:/socket, which are only connected to. */
export interface Attempt extends Place {
  readonly expectStatus: number | null;
}

export interface Verdict {
  readonly up: boolean;
  readonly reason: ProbeReason;
  readonly status: number | null;
  readonly certExpiresAtMs: number | null;
}

/** A health page needs no more; what is longer is cut off and the status counts. */
const BODY_BYTES_MAX = 64 * 1024;

const REASONS: Readonly<Record<string, ProbeReason>> = {
  ECONNREFUSED: "refused",
  ENOENT: "refused",
  EACCES: "refused",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ETIMEDOUT: "timeout",
  ENOTFOUND: "dns",
  EAI_AGAIN: "dns",
  EAI_FAIL: "dns",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EADDRNOTAVAIL: "unreachable",
  EPROTO: "tls",
  ERR_INVALID_URL: "invalid",
};

function reasonOf(thrown: unknown): ProbeReason {
  const code = codeOf(thrown) ?? "";
  const known = REASONS[code];
  if (known !== undefined) return known;
  if (code.startsWith("HPE_")) return "invalid";
  return /CERT|TLS|SSL|SIGNATURE|ISSUER/.test(code) ? "tls" : "error";
}

function expiryOf(response: IncomingMessage): number | null {
  const { socket } = response;
  if (!(socket instanceof TLSSocket)) return null;
  const ends = Date.parse(socket.getPeerCertificate().valid_to ?? "");
  return Number.isFinite(ends) ? ends : null;
}

/** Reads the body to its end or to the cap: an answer that breaks off is not an answer. */
function drain(response: IncomingMessage, done: () => void): void {
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) return;
    done();
    response.destroy();
  });
  response.on("end", done);
}

function attemptRequest(attempt: Attempt, signal: AbortSignal): Promise<Verdict> {
  const { options, secure } = wayOf(attempt);
  return new Promise((resolve, reject) => {
    const request: ClientRequest = (secure ? httpsRequest : httpRequest)({ ...options, signal });
    request.on("response", (response) => {
      const status = response.statusCode ?? 0;
      const wanted =
        attempt.expectStatus === null ? status >= 200 && status < 400 : status === attempt.expectStatus;
      const certExpiresAtMs = expiryOf(response);
      response.on("error", reject);
      drain(response, () =>
        resolve({ up: wanted, reason: wanted ? "ok" : "status", status, certExpiresAtMs }),
      );
    });
    // A server that answers with another protocol has answered, but not us.
    request.on("upgrade", (_response, socket: Socket) => {
      socket.destroy();
      resolve({ up: false, reason: "status", status: 101, certExpiresAtMs: null });
    });
    request.on("error", reject);
    request.end();
  });
}

function attemptConnection(url: string, signal: AbortSignal): Promise<Verdict> {
  const tcp = url.startsWith("tcp:") ? new URL(url) : null;
  const target =
    tcp === null
      ? { path: url.slice("unix:".length) }
      : { host: tcp.hostname.replace(/^\[(.*)\]$/, "$1"), port: Number(tcp.port) };
  return new Promise((resolve, reject) => {
    const socket = connect(target);
    const cut = (): void => {
      socket.destroy();
      reject(new Error("aborted"));
    };
    signal.addEventListener("abort", cut, { once: true });
    socket.on("error", reject);
    socket.on("connect", () => {
      resolve({ up: true, reason: "ok", status: null, certExpiresAtMs: null });
      socket.destroy();
    });
    socket.on("close", () => signal.removeEventListener("abort", cut));
  });
}

/** `signal` ends the attempt; whoever aborts knows why. */
export async function attemptProbe(attempt: Attempt, signal: AbortSignal): Promise<Verdict> {
  try {
    const request = /^(?:https?:|unix:[^:]+:\/)/i.test(attempt.url);
    return await (request ? attemptRequest(attempt, signal) : attemptConnection(attempt.url, signal));
  } catch (thrown) {
    const reason = signal.aborted ? "timeout" : reasonOf(thrown);
    return { up: false, reason, status: null, certExpiresAtMs: null };
  }
}
