// The calls about model registries: what they hold of a model, and what they come to tell.

import type { Request, Response } from "express";
import { ByteBudget, lingerOver, wholeBody } from "./body.ts";
import type { ApiNeeds } from "./contract.ts";
import { ApiProblem, sendJson } from "./problems.ts";
import { param } from "./request.ts";
import { timeOrNull } from "./timestamp.ts";

type Handler = (request: Request, response: Response) => void | Promise<void>;

const BODY_BYTES_MAX = 64 * 1024;
const BODIES_HELD_MAX = 16 * BODY_BYTES_MAX;
const BODY_IDLE_MS = 10_000;

async function registriesOf(needs: ApiNeeds, request: Request, response: Response): Promise<void> {
  const model = param(request, "model");
  const found = await needs.versions.registries(model);
  if (found.length === 0) throw new ApiProblem("unknown_model", "no registry watches a model of this name");
  sendJson(response, {
    model,
    registries: found.map((view) => ({ ...view, checkedAt: timeOrNull(view.checkedAt) })),
  });
}

class Webhooks {
  readonly #needs: ApiNeeds;
  readonly #budget = new ByteBudget(BODIES_HELD_MAX);

  constructor(needs: ApiNeeds) {
    this.#needs = needs;
  }

  async take(request: Request, response: Response): Promise<void> {
    const { clock, versions } = this.#needs;
    const held = { bytes: 0 };
    try {
      const watch = { request, response, clock, idleMs: BODY_IDLE_MS };
      const body = await wholeBody(watch, { bytesMax: BODY_BYTES_MAX, budget: this.#budget, held });
      const verdict = versions.webhook(param(request, "registry"), {
        id: request.get("x-mlflow-delivery-id") ?? "",
        timestamp: request.get("x-mlflow-timestamp") ?? "",
        signature: request.get("x-mlflow-signature") ?? "",
        body,
      });
      if (verdict === null) throw new ApiProblem("not_found", "no registry of this name takes webhooks");
      if (verdict.kind === "refused") throw new ApiProblem("invalid_signature", verdict.why);
      sendJson(response, { accepted: true }, 202);
    } finally {
      this.#budget.give(held.bytes);
      lingerOver(request, clock);
    }
  }
}

export function registryHandlers(
  needs: ApiNeeds,
): Readonly<Record<"getRegistries" | "postWebhook", Handler>> {
  const webhooks = new Webhooks(needs);
  return {
    getRegistries: (request, response) => registriesOf(needs, request, response),
    postWebhook: (request, response) => webhooks.take(request, response),
  };
}
