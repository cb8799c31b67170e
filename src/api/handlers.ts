// One handler per operation of the route table; a missing one is a type error.

import type { Request, Response } from "express";
import {
  comparisonDocument,
  labelHistory,
  measuredVersions,
  modelsDocument,
  oneModel,
  onePrediction,
} from "./answers.ts";
import type { ApiNeeds, ApiOptions } from "./contract.ts";
import { driftQuery, estimatesQuery } from "./estimate-shapes.ts";
import { openApiDocument, overviewText } from "./openapi.ts";
import { readPage, type Page } from "./page/page.ts";
import type { LabelsPost } from "./post-labels.ts";
import { ApiProblem, sendJson } from "./problems.ts";
import { param, parseQuery } from "./request.ts";
import type { Operation } from "./routes.ts";
import { comparisonQuery, narrowing, ofModel, qualityQuery, statusQuery } from "./schemas.ts";
import { rfc3339 } from "./timestamp.ts";
import { registryHandlers } from "./registry-calls.ts";
import { versionHandlers } from "./version-calls.ts";

export type Handler = (request: Request, response: Response) => void | Promise<void>;

function sendText(response: Response, text: string): void {
  response.statusCode = 200;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(text);
}

function sendPage(response: Response, { html, policy }: Page): void {
  response.statusCode = 200;
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.setHeader("content-security-policy", policy);
  response.setHeader("referrer-policy", "no-referrer");
  response.end(html);
}

/** Read when it is first asked for: most sidecars never show it. */
function pageOnce(): () => Page {
  let page: Page | null = null;
  return () => (page ??= readPage());
}

function versionsOf(needs: ApiNeeds, name: string): ReturnType<typeof measuredVersions> {
  const model = oneModel(needs.models(), name);
  return measuredVersions(model, needs.quality({ model: name }).groups);
}

function readHandlers(
  needs: ApiNeeds,
): Pick<
  Record<Operation, Handler>,
  | "getPrediction"
  | "getLabels"
  | "getQuality"
  | "getEstimates"
  | "getDrift"
  | "getComparison"
  | "getModels"
  | "getVersions"
  | "getModelVersion"
> {
  return {
    getPrediction: (request, response) => {
      const wanted = parseQuery(narrowing, request);
      sendJson(response, onePrediction(needs.prediction(param(request, "id")), wanted));
    },
    getLabels: (request, response) => {
      const { model } = parseQuery(ofModel, request);
      const id = param(request, "id");
      sendJson(response, labelHistory(id, needs.labelsOf(id), model));
    },
    getQuality: (request, response) => {
      const { at, groups } = needs.quality(parseQuery(qualityQuery, request));
      sendJson(response, { at: rfc3339(at), groups });
    },
    getEstimates: (request, response) => {
      sendJson(response, needs.estimates(parseQuery(estimatesQuery, request)));
    },
    getDrift: (request, response) => sendJson(response, needs.drift(parseQuery(driftQuery, request))),
    getComparison: (request, response) => {
      sendJson(response, comparisonDocument(needs.compare(parseQuery(comparisonQuery, request))));
    },
    getModels: (_request, response) => sendJson(response, modelsDocument(needs.models())),
    getVersions: (request, response) => {
      const name = param(request, "model");
      const versions = versionsOf(needs, name);
      sendJson(response, { model: name, task: oneModel(needs.models(), name).task, versions });
    },
    getModelVersion: (request, response) => {
      const name = param(request, "model");
      const wanted = param(request, "version");
      const version = versionsOf(needs, name).find((document) => document["version"] === wanted);
      if (version === undefined) throw new ApiProblem("unknown_version", "this model has no such version");
      sendJson(response, { model: name, task: oneModel(needs.models(), name).task, ...version });
    },
  };
}

export function createHandlers(
  options: ApiOptions,
  needs: ApiNeeds,
  labels: LabelsPost,
): Readonly<Record<Operation, Handler>> {
  const openApi = openApiDocument(options.softwareVersion);
  const page = pageOnce();
  const overview = overviewText(options.softwareVersion);
  return {
    ...readHandlers(needs),
    ...versionHandlers(needs),
    ...registryHandlers(needs),
    postLabels: (request, response) => labels.handle(request, response),
    getStatus: (request, response) => {
      sendJson(response, needs.status(parseQuery(statusQuery, request).window));
    },
    getStatusPage: (_request, response) => sendPage(response, page()),
    getServed: (_request, response) => sendJson(response, needs.version()),
    getLive: (_request, response) => {
      const { live } = needs.health();
      sendJson(response, { status: live ? "ok" : "stuck" }, live ? 200 : 503);
    },
    getReady: (_request, response) => {
      const { ready, body } = needs.health();
      sendJson(response, body, ready ? 200 : 503);
    },
    getOpenApi: (_request, response) => sendJson(response, openApi),
    getOverview: (request, response) => {
      response.setHeader("vary", "accept");
      if (request.headers.accept?.includes("text/html") === true) sendPage(response, page());
      else sendText(response, overview);
    },
  };
}
