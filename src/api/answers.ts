// What the ledger and the measuring room know, as the API's documents: times become RFC 3339, ambiguity becomes a refusal.

import type { Group } from "../facts/group.ts";
import type { LabelRevision } from "../facts/label.ts";
import type { ComparisonView, ModelVersionView, ModelView, PredictionView } from "./contract.ts";
import { ApiProblem } from "./problems.ts";
import { rfc3339, timeOrNull } from "./timestamp.ts";

type Json = Readonly<Record<string, unknown>>;
/** Ids and models that a refusal names. */
const NAMED_MAX = 100;

function predictionDocument(view: PredictionView, others: readonly PredictionView[]): Json {
  const { id, aliases, model, version, slice, prediction, score, scores, traceId, exchange } = view;
  const labels = view.labels.map(({ label, ts, receivedAt, state, absent }) => ({
    label,
    ts: rfc3339(ts),
    receivedAt: rfc3339(receivedAt),
    state,
    ...(absent === true ? { absent } : {}),
  }));
  return {
    id,
    aliases,
    model,
    version,
    slice,
    ts: rfc3339(view.ts),
    prediction,
    score,
    scores,
    traceId,
    exchange,
    labels,
    registered: view.registered,
    links: {
      version: `/v1/models/${encodeURIComponent(model)}/versions/${encodeURIComponent(version)}`,
      labels: `/v1/labels/${encodeURIComponent(id)}`,
    },
    others: others.map((other) => ({ version: other.version, ts: rfc3339(other.ts) })),
  };
}

/** The one prediction that is meant. Throws unknown_prediction, ambiguous_model or ambiguous_id. */
export function onePrediction(
  found: readonly PredictionView[],
  wanted: { readonly model?: string | undefined; readonly version?: string | undefined },
): Json {
  const fits = found.filter(
    (view) =>
      (wanted.model === undefined || view.model === wanted.model) &&
      (wanted.version === undefined || view.version === wanted.version),
  );
  const [newest, ...others] = fits.toSorted((a, b) => b.ts - a.ts);
  if (newest === undefined) {
    throw new ApiProblem("unknown_prediction", "no prediction with this id or alias is kept");
  }
  const models = [...new Set(fits.map((view) => view.model))];
  if (models.length > 1) {
    const members = { models: models.slice(0, NAMED_MAX) };
    throw new ApiProblem("ambiguous_model", "several models know this id: add ?model=", { members });
  }
  const ids = [...new Set(fits.map((view) => view.id))];
  if (ids.length > 1) {
    const members = { ids: ids.slice(0, NAMED_MAX), count: ids.length };
    throw new ApiProblem("ambiguous_id", "several predictions share this id: ask for one of `ids`", {
      members,
    });
  }
  return predictionDocument(newest, others);
}

/** All revisions for an id. Throws unknown_label. */
export function labelHistory(id: string, found: readonly LabelRevision[], model: string | undefined): Json {
  const fits = model === undefined ? found : found.filter((revision) => revision.model === model);
  if (fits.length === 0) throw new ApiProblem("unknown_label", "no label with this id is kept");
  const labels = fits.map((revision) => ({
    id: revision.id,
    model: revision.model,
    label: revision.label,
    ts: rfc3339(revision.ts),
    receivedAt: rfc3339(revision.receivedAt),
    state: revision.state,
    ...(revision.absent === true ? { absent: true } : {}),
  }));
  return { id, labels };
}

export function comparisonDocument(view: ComparisonView): Json {
  return { ...view, at: rfc3339(view.at), countedUntil: timeOrNull(view.countedUntil) };
}

function versionDocument(view: ModelVersionView): Json {
  return {
    version: view.version,
    firstSeen: timeOrNull(view.firstSeen),
    lastSeen: timeOrNull(view.lastSeen),
    predictions: view.predictions,
    labels: view.labels,
    registered: view.registered,
    stage: view.stage,
    metadata: view.metadata,
    registries: view.registries.map((known) => ({ ...known, checkedAt: rfc3339(known.checkedAt) })),
  };
}

export function modelsDocument(models: readonly ModelView[]): Json {
  return {
    models: models.map(({ name, task, versions }) => ({
      name,
      task,
      versions: versions.map(versionDocument),
    })),
  };
}

/** Throws unknown_model. */
export function oneModel(models: readonly ModelView[], name: string): ModelView {
  const model = models.find((known) => known.name === name);
  if (model === undefined) throw new ApiProblem("unknown_model", "no model of this name is known");
  return model;
}

/** Each version with its own groups, slices left to GET /v1/quality. */
export function measuredVersions(model: ModelView, groups: readonly Group[]): readonly Json[] {
  return model.versions.map((view) => ({
    ...versionDocument(view),
    quality: groups.filter(({ version, slice }) => version === view.version && slice === ""),
  }));
}
