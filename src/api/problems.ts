// Every refusal of the API, in one table: RFC 9457 problem documents with a stable code.

import type { ServerResponse } from "node:http";
import { Problem } from "../kernel/problem.ts";

/** code -> HTTP status. The codes are part of the interface. */
export const PROBLEM_STATUS = Object.freeze({
  invalid_path: 400,
  invalid_parameter: 400,
  invalid_json: 400,
  invalid_utf8: 400,
  invalid_csv: 400,
  missing_column: 400,
  invalid_body: 400,
  unauthorized: 401,
  insufficient_scope: 403,
  invalid_signature: 403,
  host_not_allowed: 403,
  cross_site: 403,
  not_found: 404,
  unknown_prediction: 404,
  unknown_label: 404,
  unknown_model: 404,
  unknown_version: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  ambiguous_model: 409,
  ambiguous_id: 409,
  version_exists: 409,
  not_current: 409,
  gate_closed: 409,
  nothing_before: 409,
  registry_decides: 409,
  body_too_large: 413,
  unsupported_media_type: 415,
  unsupported_content_encoding: 415,
  all_rejected: 422,
  versions_full: 422,
  busy: 429,
  internal: 500,
  store_unavailable: 503,
  store_timeout: 503,
  stopping: 503,
});

export type ApiCode = keyof typeof PROBLEM_STATUS;

const TITLES: Readonly<Record<number, string>> = Object.freeze({
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
});

export interface ProblemExtras {
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the document. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** A refusal that is ready to be sent. */
export class ApiProblem extends Problem {
  readonly status: number;
  readonly extras: ProblemExtras;
  readonly #code: ApiCode;
  constructor(code: ApiCode, message: string, extras: ProblemExtras = {}) {
    super(code, message);
    this.name = "ApiProblem";
    this.status = PROBLEM_STATUS[code];
    this.extras = extras;
    this.#code = code;
  }

  /** The same refusal, telling more. */
  with(members: Readonly<Record<string, unknown>>): ApiProblem {
    const { headers = {}, members: own = {} } = this.extras;
    return new ApiProblem(this.#code, this.message, { headers, members: { ...own, ...members } });
  }
}

/** Status of a Problem that another room threw: by its code's first word. */
function statusOf(problem: Problem): number {
  if (problem instanceof ApiProblem) return problem.status;
  if (problem.code.startsWith("unknown_")) return 404;
  return problem.code.startsWith("ambiguous_") ? 409 : 400;
}

function isHttpError(thrown: unknown): thrown is { readonly status: number } {
  return typeof thrown === "object" && thrown !== null && "status" in thrown && thrown.status === 400;
}

/** What a thrown thing means to the caller, or null for a bug of ours. */
export function asProblem(thrown: unknown): Problem | null {
  if (thrown instanceof Problem) return thrown;
  // The router's own complaint about a path it cannot decode.
  return isHttpError(thrown)
    ? new ApiProblem("invalid_path", "the path is not valid percent-encoding")
    : null;
}

/** Answers with `problem`; does nothing when an answer is already under way. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent) return;
  const status = statusOf(problem);
  const extras = problem instanceof ApiProblem ? problem.extras : {};
  const body = JSON.stringify({
    type: "about:blank",
    title: TITLES[status] ?? "Error",
    status,
    code: problem.code,
    detail: problem.message,
    ...extras.members,
  });
  response.statusCode = status;
  for (const [name, value] of Object.entries(extras.headers ?? {})) response.setHeader(name, value);
  response.setHeader("content-type", "application/problem+json");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}

/** Answers 200 (or `status`) with JSON. */
export function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  const text = JSON.stringify(body);
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.setHeader("content-length", Buffer.byteLength(text));
  response.end(text);
}
