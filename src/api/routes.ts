// Every call of the API, once: dispatch, the Allow header, the overview at / and the OpenAPI document all read this table.

import type { z } from "zod";
import type { Scope } from "./contract.ts";
import { LABEL_TYPES } from "./label-formats.ts";
import * as estimates from "./estimate-shapes.ts";
import * as shapes from "./schemas.ts";
import * as versions from "./version-shapes.ts";

export interface RouteBody {
  /** content type -> shape of one body. */
  readonly types: Readonly<Record<string, z.ZodType | null>>;
}

export interface Route {
  readonly operation: string;
  readonly method: "get" | "post";
  /** OpenAPI spelling: `{name}` is one percent-encoded segment. */
  readonly path: string;
  /** What a token must be allowed to; null: open to everybody who may connect. */
  readonly scope: Scope | null;
  readonly summary: string;
  readonly query?: z.ZodObject;
  readonly body?: RouteBody;
  readonly answer: { readonly type: string; readonly shape: z.ZodType | null };
  /** Statuses of its refusals, beside 401 and 403. */
  readonly refusals: readonly number[];
}

const json = (shape: z.ZodType | null): Route["answer"] => ({ type: "application/json", shape });
const [JSON_TYPE, NDJSON_TYPE, CSV_TYPE] = LABEL_TYPES;

export const ROUTES = [
  {
    operation: "postLabels",
    method: "post",
    path: "/v1/labels",
    scope: "labels:write",
    summary:
      "Send ground truth. Answers when the labels are on disk; sending the same labels again changes nothing. " +
      "CSV: columns id and label, optional model and ts, others are ignored; numbers, true and false are read as such, " +
      "null retracts, an empty label is refused.",
    body: {
      types: {
        [JSON_TYPE]: shapes.labelSent.or(shapes.labelSent.array()),
        [NDJSON_TYPE]: shapes.labelSent,
        [CSV_TYPE]: null,
      },
    },
    answer: json(shapes.labelsAnswer),
    refusals: [400, 408, 413, 415, 422, 429, 503],
  },
  {
    operation: "getPrediction",
    method: "get",
    path: "/v1/predictions/{id}",
    scope: "read",
    summary:
      "One prediction with its labels, by id or alias. Known to several versions of a model: the newest, with `others`. " +
      "Known to several models: 409 ambiguous_model; several predictions share it: 409 ambiguous_id with their ids.",
    query: shapes.narrowing,
    answer: json(shapes.predictionAnswer),
    refusals: [400, 404, 409],
  },
  {
    operation: "getLabels",
    method: "get",
    path: "/v1/labels/{id}",
    scope: "read",
    summary: "Every revision of the label for an id, joined or still waiting.",
    query: shapes.ofModel,
    answer: json(shapes.labelHistoryAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getQuality",
    method: "get",
    path: "/v1/quality",
    scope: "read",
    summary: "How good each model version is, by window and slice.",
    query: shapes.qualityQuery,
    answer: json(shapes.qualityAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getEstimates",
    method: "get",
    path: "/v1/estimates",
    scope: "read",
    summary:
      "Before all labels are in: what each metric will probably be (from scores alone), its nowcast (with the labels so far), " +
      "and how far such estimates were off.",
    query: estimates.estimatesQuery,
    answer: json(estimates.estimatesAnswer),
    refusals: [400],
  },
  {
    operation: "getDrift",
    method: "get",
    path: "/v1/drift",
    scope: "read",
    summary:
      "How far predictions, scores and captured inputs are from their reference, and alarms about the errors.",
    query: estimates.driftQuery,
    answer: json(estimates.driftAnswer),
    refusals: [400],
  },
  {
    operation: "getComparison",
    method: "get",
    path: "/v1/compare",
    scope: "read",
    summary:
      "Is the candidate better than the baseline? Differences of losses since both ran, hour by hour, with intervals and p-values " +
      "that hold however often one asks. Labels count once, when they first join; corrections move only the descriptive metrics.",
    query: shapes.comparisonQuery,
    answer: json(shapes.comparisonAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getModels",
    method: "get",
    path: "/v1/models",
    scope: "read",
    summary: "The models and versions seen.",
    answer: json(shapes.modelsAnswer),
    refusals: [],
  },
  {
    operation: "getVersions",
    method: "get",
    path: "/v1/models/{model}/versions",
    scope: "read",
    summary: "The versions of a model, with their live quality.",
    answer: json(shapes.versionsAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getModelVersion",
    method: "get",
    path: "/v1/models/{model}/versions/{version}",
    scope: "read",
    summary: "One version of a model, with its live quality.",
    answer: json(shapes.versionAnswer),
    refusals: [400, 404],
  },
  {
    operation: "postVersion",
    method: "post",
    path: "/v1/models/{model}/versions",
    scope: "versions:write",
    summary:
      "Register a version: a CI job tells what was trained, on what, with which result. The same again changes nothing; " +
      "other content under the same name is 409 version_exists.",
    body: { types: { "application/json": versions.registerBody } },
    answer: json(versions.decisionAnswer),
    refusals: [400, 408, 409, 413, 415, 422, 429, 503],
  },
  {
    operation: "postPromotion",
    method: "post",
    path: "/v1/models/{model}/versions/{version}/promote",
    scope: "versions:write",
    summary:
      "Move a version to a stage. Production holds one version: the one before it is archived in the same step. " +
      "Records and publishes the decision; routes no traffic.",
    body: { types: { "application/json": versions.promoteBody } },
    answer: json(versions.decisionAnswer),
    refusals: [400, 404, 408, 409, 413, 415, 422, 429, 503],
  },
  {
    operation: "postRollback",
    method: "post",
    path: "/v1/models/{model}/rollback",
    scope: "versions:write",
    summary: "Production goes back to the version before, or to the last good one.",
    body: { types: { "application/json": versions.rollbackBody } },
    answer: json(versions.decisionAnswer),
    refusals: [400, 404, 408, 409, 413, 415, 422, 429, 503],
  },
  {
    operation: "getHistory",
    method: "get",
    path: "/v1/models/{model}/history",
    scope: "read",
    summary: "What happened to the versions of a model: who, when, why, and how good they were then.",
    query: versions.historyQuery,
    answer: json(versions.historyAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getProduction",
    method: "get",
    path: "/v1/models/{model}/production",
    scope: "read",
    summary: "The version that was in production at a time.",
    query: versions.productionQuery,
    answer: json(versions.productionAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getRegistries",
    method: "get",
    path: "/v1/models/{model}/registries",
    scope: "read",
    summary:
      "What each registry declares of a model, and what it holds of its versions' live quality, read back from there " +
      "(asked at most once a minute).",
    answer: json(versions.registriesAnswer),
    refusals: [400, 404],
  },
  {
    operation: "postWebhook",
    method: "post",
    path: "/v1/registries/{registry}/webhook",
    scope: null,
    summary:
      "Deliveries of an MLflow webhook: signed with the registry's webhookSecret, at most 5 minutes old. The registry is then " +
      "asked at once; nothing that the delivery says is taken over.",
    body: { types: { "application/json": null } },
    answer: json(null),
    refusals: [400, 404, 408, 413, 415, 429],
  },
  {
    operation: "getStatus",
    method: "get",
    path: "/v1/status",
    scope: "read",
    summary:
      "What the status page shows: the last hour's traffic, errors, uptime, CPU and memory, the quality of each version with its " +
      "course since the start, verdicts, and what needs attention.",
    query: shapes.statusQuery,
    answer: json(shapes.statusAnswer),
    refusals: [400, 404],
  },
  {
    operation: "getServed",
    method: "get",
    path: "/version",
    scope: "read",
    summary: "Versions served and declared, as on the telemetry listener.",
    answer: json(null),
    refusals: [],
  },
  {
    operation: "getLive",
    method: "get",
    path: "/livez",
    scope: null,
    summary: "200 while the process works.",
    answer: json(null),
    refusals: [503],
  },
  {
    operation: "getReady",
    method: "get",
    path: "/readyz",
    scope: null,
    summary: "200 while requests are taken; the body tells the state of every part.",
    answer: json(null),
    refusals: [503],
  },
  {
    operation: "getOpenApi",
    method: "get",
    path: "/openapi.json",
    scope: null,
    summary: "This description.",
    answer: json(null),
    refusals: [],
  },
  {
    operation: "getStatusPage",
    method: "get",
    path: "/status",
    scope: null,
    summary: "The status page. Shows what GET /v1/status answers; asks for a token where one is needed.",
    answer: { type: "text/html", shape: null },
    refusals: [],
  },
  {
    operation: "getOverview",
    method: "get",
    path: "/",
    scope: null,
    summary: "The list of calls, as text; for a browser, the status page.",
    answer: { type: "text/plain", shape: null },
    refusals: [],
  },
] as const satisfies readonly Route[];

export type Operation = (typeof ROUTES)[number]["operation"];
