// POST /v1/labels: who may send, how many at a time, and one answer that leaves only after the labels are on disk.

import type { IncomingMessage, ServerResponse } from "node:http";
import { messageOf } from "../kernel/problem.ts";
import { ByteBudget, lingerOver } from "./body.ts";
import type { ApiLimits, ApiNeeds } from "./contract.ts";
import { type LabelIntake, type Tally, createIntake } from "./intake.ts";
import { LABEL_TYPES, type LabelType, readLabels } from "./label-formats.ts";
import { ApiProblem, asProblem, sendJson, sendProblem } from "./problems.ts";

const RETRY_AFTER = Object.freeze({ "retry-after": "5" });

export interface LabelsPost {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** New and running requests are answered 503 from now on; what was kept stays kept. */
  refuse(): void;
}

function contentTypeOf(request: IncomingMessage): LabelType {
  const [name = "", ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";");
  const type = LABEL_TYPES.find((known) => known === name.trim());
  if (type === undefined) {
    throw new ApiProblem("unsupported_media_type", `send Content-Type ${LABEL_TYPES.join(", ")}`);
  }
  const charset = parameters.find((parameter) => parameter.trim().startsWith("charset="));
  if (charset !== undefined && !/^\s*charset="?utf-?8"?\s*$/.test(charset)) {
    throw new ApiProblem("unsupported_media_type", "labels are read as UTF-8: send charset=utf-8 or none");
  }
  const coding = request.headers["content-encoding"] ?? "identity";
  const transfer = request.headers["transfer-encoding"] ?? "chunked";
  if (coding.toLowerCase() !== "identity" || transfer.trim().toLowerCase() !== "chunked") {
    throw new ApiProblem(
      "unsupported_content_encoding",
      "send the body uncompressed, without Content-Encoding",
      {
        headers: { "accept-encoding": "identity" },
      },
    );
  }
  return type;
}

/** For answers about a request that broke off: the tally, and how many labels are safe all the same. */
function brokenOff(tally: Tally): Readonly<Record<string, unknown>> {
  const { joined, waiting, duplicate, corrected, stale, retracted } = tally;
  return { ...tally, kept: joined + waiting + duplicate + corrected + stale + retracted };
}

function stopping(tally: Tally | null): ApiProblem {
  return new ApiProblem("stopping", "the sidecar is stopping: send the same labels again later", {
    headers: { ...RETRY_AFTER, connection: "close" },
    members: tally === null ? {} : brokenOff(tally),
  });
}

function answer(response: ServerResponse, intake: LabelIntake, ending: "whole" | "cut"): void {
  const tally = intake.tally();
  const { failure } = intake;
  if (failure !== null) {
    const code = failure.kind === "timeout" ? "store_timeout" : "store_unavailable";
    const members = { cause: failure.cause, ...brokenOff(tally) };
    sendProblem(response, new ApiProblem(code, failure.message, { headers: RETRY_AFTER, members }));
  } else if (ending === "cut") sendProblem(response, stopping(tally));
  else if (tally.received > 0 && tally.rejected === tally.received) {
    sendProblem(response, new ApiProblem("all_rejected", "no label was accepted", { members: tally }));
  } else sendJson(response, tally);
}

class Labels implements LabelsPost {
  readonly #limits: ApiLimits;
  readonly #needs: ApiNeeds;
  readonly #budget: ByteBudget;
  #running = 0;
  #refusing = false;

  constructor(limits: ApiLimits, needs: ApiNeeds) {
    this.#limits = limits;
    this.#needs = needs;
    this.#budget = new ByteBudget(limits.jsonBytesHeldMax);
  }

  refuse(): void {
    this.#refusing = true;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const linger = (): void => lingerOver(request, this.#needs.clock);
    response.once("finish", linger);
    const type = contentTypeOf(request);
    if (this.#refusing) throw stopping(null);
    if (this.#running >= this.#limits.requestsInFlightMax) {
      const message = `more than ${this.#limits.requestsInFlightMax} label requests at one time`;
      throw new ApiProblem("busy", message, { headers: { "retry-after": "1" } });
    }
    this.#running++;
    try {
      await this.#take(type, request, response);
    } finally {
      this.#running--;
    }
  }

  async #take(type: LabelType, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock } = this.#needs;
    const limits = this.#limits;
    const intake = createIntake({
      clock,
      storeTimeoutMs: limits.storeTimeoutMs,
      labels: (events) => this.#needs.labels(events),
      countLabel: (outcome, times) => this.#needs.countLabel(outcome, times),
    });
    const watch = { request, response, clock, idleMs: limits.bodyIdleMs };
    const refusing = (): boolean => this.#refusing;
    try {
      const ending = await readLabels(type, { watch, intake, limits, budget: this.#budget, refusing });
      if (ending === "whole") await intake.finish();
      else await intake.abandon();
      answer(response, intake, ending);
    } catch (thrown) {
      await intake.abandon();
      const problem = asProblem(thrown);
      if (problem instanceof ApiProblem) throw problem.with(brokenOff(intake.tally()));
      if (!request.destroyed || request.complete) throw thrown;
      // The client left, or was told 408: nobody is there to answer.
      this.#needs.log.debug({ error: messageOf(thrown) }, "a label request broke off");
    }
  }
}

export function createLabelsPost(limits: ApiLimits, needs: ApiNeeds): LabelsPost {
  return new Labels(limits, needs);
}
