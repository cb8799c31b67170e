// The sidecar's own errors: what went wrong on the way to the model, which status tells it, and the problem document (RFC 9457).

import { STATUS_CODES } from "../kernel/http.ts";
import type { Outcome, OwnError } from "../facts/exchange.ts";
import { codeOf, messageOf } from "../kernel/problem.ts";

/** Trouble that ends an exchange. `detail` names the upstream, what happened, and what to do about it. */
export interface Failure {
  readonly code: OwnError;
  readonly detail: string;
  /** HTTP/2: the code with which the upstream reset the stream. */
  readonly resetCode?: number | null;
  /** Where the code's own does not say it. */
  readonly status?: number;
  /** The model has not processed the request, and says so: a client of HTTP/2 is told the same, and can send it again. */
  readonly unprocessed?: boolean;
}

interface Consequence {
  readonly status: number;
  readonly outcome: Outcome;
}

const CONSEQUENCES: Readonly<Record<OwnError, Consequence>> = Object.freeze({
  connection_refused: { status: 502, outcome: "connect_error" },
  connect_timeout: { status: 504, outcome: "timeout" },
  connection_reset: { status: 502, outcome: "reset" },
  response_timeout: { status: 504, outcome: "timeout" },
  invalid_response: { status: 502, outcome: "reset" },
  dns_failure: { status: 502, outcome: "connect_error" },
  tls_failure: { status: 502, outcome: "connect_error" },
  bad_request: { status: 400, outcome: "rejected" },
  draining: { status: 503, outcome: "rejected" },
  internal: { status: 502, outcome: "reset" },
});

export function statusOf(code: OwnError): number {
  return CONSEQUENCES[code].status;
}

export function outcomeOf(code: OwnError): Outcome {
  return CONSEQUENCES[code].outcome;
}

const SYSTEM_CODES: ReadonlyMap<string, OwnError> = new Map([
  ["ECONNREFUSED", "connection_refused"],
  ["ENOENT", "connection_refused"],
  ["EACCES", "connection_refused"],
  ["EHOSTUNREACH", "connection_refused"],
  ["ENETUNREACH", "connection_refused"],
  ["EADDRNOTAVAIL", "connection_refused"],
  ["EMFILE", "connection_refused"],
  ["ENFILE", "connection_refused"],
  ["ETIMEDOUT", "connect_timeout"],
  ["ECONNRESET", "connection_reset"],
  ["ECONNABORTED", "connection_reset"],
  ["EPIPE", "connection_reset"],
  ["ENOTFOUND", "dns_failure"],
  ["EPROTO", "tls_failure"],
  ["HOSTNAME_MISMATCH", "tls_failure"],
]);

const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_CA|CRL_)/;

/** The own error for a code of the system, of TLS or of an HTTP parser; null when the code says nothing. */
export function ownErrorOfCode(code: string | null): OwnError | null {
  if (code === null) return null;
  const known = SYSTEM_CODES.get(code);
  if (known !== undefined) return known;
  if (code.startsWith("EAI_")) return "dns_failure";
  if (code.startsWith("HPE_") || code === "ERR_HTTP2_ERROR") return "invalid_response";
  return TLS_CODE.test(code) ? "tls_failure" : null;
}

const SENTENCES: Readonly<Record<OwnError, string>> = Object.freeze({
  connection_refused: "cannot be connected to. Start the model server, or correct `upstream`.",
  connect_timeout:
    "did not accept the connection in time. Check that the host is reachable, or raise `proxy.connectTimeout`.",
  connection_reset:
    "closed the connection before its answer was complete. Look into the model server's log for a crash or restart.",
  response_timeout:
    "sent no response head in time. The model is slow or stuck; `proxy.responseTimeout` is the limit (0s: none).",
  invalid_response: "sent something that is not a valid HTTP response.",
  dns_failure: "has a host name that cannot be resolved. Correct `upstream`, or the name server.",
  tls_failure:
    "did not pass the TLS handshake. Check its certificate; a private authority goes into `upstream.tls.caFile`.",
  bad_request: "was not asked: the request cannot be forwarded.",
  draining: "could not finish the answer: the sidecar is shutting down. Send the request again.",
  internal: "was not reached because of a bug in the sidecar. The sidecar's log has it.",
});

/** A failure of the way to `upstreamName`, explained. `thrown` is the low-level cause, if there was one. */
export function describeFailure(code: OwnError, upstreamName: string, thrown: unknown): Failure {
  const low = codeOf(thrown);
  const cause =
    thrown === null ? "" : ` (${low === null ? "" : `${low}: `}${messageOf(thrown).slice(0, 300)})`;
  return { code, detail: `The upstream ${upstreamName} ${SENTENCES[code]}${cause}` };
}

/** A model of HTTP/2 has not processed the request (RFC 9113 §8.7), and it is not sent again. */
export function notProcessed(upstreamName: string, cause: Error): Failure {
  return {
    code: "connection_reset",
    detail: `The upstream ${upstreamName} has not processed the request. Send it again. (${cause.message.slice(0, 300)})`,
    status: 503,
    unprocessed: true,
  };
}

/** A model of HTTP/2 is connected to, and lets no call begin. */
export function noStream(upstreamName: string): Failure {
  return {
    code: "connect_timeout",
    detail: `The upstream ${upstreamName} allowed no further stream in time: as many requests as its SETTINGS_MAX_CONCURRENT_STREAMS says are under way. Raise that, or \`proxy.connectTimeout\`, which is the limit.`,
  };
}

/** An answer of our own; `lines` name the length of its body. */
export interface OwnAnswer {
  readonly status: number;
  readonly lines: string[];
  readonly body: string;
}

/** The problem document that tells a client of a failure. `id`: of the prediction, where there is one. */
export function problemAnswer(
  { code, detail, status = statusOf(code) }: Failure,
  id: string | null,
): OwnAnswer {
  const title = STATUS_CODES[status] ?? "Error";
  const body = `${JSON.stringify({ type: "about:blank", title, status, detail, code })}\n`;
  const lines = [
    "Content-Type",
    "application/problem+json",
    "Content-Length",
    String(Buffer.byteLength(body)),
    "Cache-Control",
    "no-store",
    "x-outrider-error",
    code,
  ];
  if (id !== null) lines.push("x-prediction-id", id);
  return { status, lines, body };
}

/** It as a whole HTTP/1.1 message for a bare socket, which is closed after it. */
export function problemMessage(failure: Failure, id: string | null): string {
  const { status, lines, body } = problemAnswer(failure, id);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n`;
  for (let i = 0; i < lines.length; i += 2) head += `${lines[i]}: ${lines[i + 1]}\r\n`;
  return `${head}Connection: close\r\n\r\n${body}`;
}

/** What the client is told when its request, the model's reading of it, or the whole exchange took longer than a limit allows. */
export const TIME_IS_UP = Object.freeze({
  body: {
    code: "bad_request",
    status: 408,
    detail:
      "The request's body stood still for too long. Send it faster, or raise `proxy.limits.bodyTimeout`.",
  },
  upload: {
    code: "response_timeout",
    detail:
      "The model server took nothing of the request's body for too long. It is stuck, or busy with others; `proxy.limits.uploadTimeout` is the limit (0s: none).",
  },
  total: {
    code: "response_timeout",
    detail: "The exchange took longer than `proxy.limits.requestTimeout` allows.",
  },
} as const satisfies Record<string, Failure>);
