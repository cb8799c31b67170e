// Answers of our own on a stream, and what of the model's answer cannot be one.

import type { AnswerHead } from "../answer-reader.ts";
import { problemAnswer, type Failure, type OwnAnswer } from "../failures.ts";
import { grpcFailureLines } from "../grpc.ts";
import { readResponseHead, type ResponseHead } from "../response-head.ts";

/** Tells a client of a failure, one of gRPC by a status of its own. */
export function failureAnswer(failure: Failure, { id, grpc }: { id: string; grpc: boolean }): OwnAnswer {
  if (grpc) return { status: 200, lines: grpcFailureLines(failure, id), body: "" };
  return problemAnswer(failure, id);
}

export interface StreamHeadContext {
  /** A HEAD request was asked: no body follows, whatever the lines say. */
  readonly headOnly: boolean;
  /** Lower-case name of the header that carries the version, or null. */
  readonly versionHeader: string | null;
}

/** The model's head as a stream's. */
export function readStreamHead(came: AnswerHead, context: StreamHeadContext): ResponseHead {
  const { status, lines, receivedVersion } = came;
  const head = readResponseHead(lines, { ...context, status, httpVersion: "2", receivedVersion });
  return status <= 599 ? head : { ...head, defect: `the status ${status} does not exist in HTTP/2` };
}
