// What the API room asks for, answered from the ledger, the measuring room and the book of models.

import type { ApiNeeds, LabelsKept, ModelView, PredictionView } from "../api/contract.ts";
import type { Config } from "../config/config.ts";
import type { LabelOutcome } from "../facts/label.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { Problem } from "../kernel/problem.ts";
import type { FoundPrediction, Ledger } from "../ledger/types.ts";
import type { VersionRecord } from "../facts/version.ts";
import type { Drift } from "../measure/drift/drift.ts";
import type { Estimates } from "../measure/estimate/estimates.ts";
import type { Measure } from "../measure/measure.ts";
import type { ModelBook } from "../observe/models.ts";
import { version } from "../kernel/version.ts";
import { driftView, estimatesView } from "./estimate-views.ts";
import type { StateBook } from "./state-book.ts";
import type { KnownVersion } from "../versions/registries.ts";
import type { StatusDesk } from "./status/status-desk.ts";
import type { ObserverVersions } from "./version-desk.ts";

export interface ApiParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly ledger: Ledger;
  readonly measure: Measure;
  readonly book: ModelBook;
  readonly states: StateBook;
  readonly countLabel: (outcome: LabelOutcome, times: number) => void;
  readonly compare: ApiNeeds["compare"];
  readonly estimates: Estimates;
  readonly drift: Drift;
  readonly versions: ObserverVersions;
  readonly status: StatusDesk;
}

function viewOf(found: FoundPrediction, versions: ObserverVersions): PredictionView {
  const {
    id,
    aliases,
    model,
    version: of,
    slice,
    ts,
    prediction,
    score,
    scores,
    traceId,
    exchange,
    labels,
  } = found;
  return {
    id,
    aliases,
    model,
    version: of,
    slice,
    ts,
    prediction,
    score,
    scores,
    traceId,
    exchange,
    labels,
    registered: (versions.record(model, of)?.registration ?? null) !== null,
  };
}

interface Listed {
  readonly name: string;
  readonly task: string;
  readonly versions: ModelView["versions"][number][];
}

/** What the version ledger says of a version. */
function filed(
  record: VersionRecord | null,
  known: readonly KnownVersion[],
): Pick<ModelView["versions"][number], "registered" | "stage" | "metadata" | "registries"> {
  const metadata = record?.registration ?? null;
  const registries = known.map(({ registry, found: { status, description, tags }, checkedAt }) => ({
    registry,
    status,
    description,
    tags,
    checkedAt,
  }));
  return { registered: metadata !== null, stage: record?.stage ?? null, metadata, registries };
}

export function modelViews({
  measure,
  book,
  versions,
}: Pick<ApiParts, "measure" | "book" | "versions">): ModelView[] {
  const views = new Map<string, Listed>();
  for (const spec of book.all()) views.set(spec.name, { name: spec.name, task: spec.task, versions: [] });
  for (const series of measure.series()) {
    const view = views.get(series.model) ?? { name: series.model, task: "auto", versions: [] };
    views.set(series.model, view);
    view.versions.push({
      version: series.version,
      firstSeen: series.firstTs,
      lastSeen: series.lastTs,
      predictions: series.predictions,
      labels: series.labels,
      ...filed(
        versions.record(series.model, series.version),
        versions.registries.known(series.model, series.version),
      ),
    });
  }
  const known = new Set(measure.series().map((series) => `${series.model}\0${series.version}`));
  for (const record of versions.records()) {
    const view = views.get(record.model) ?? { name: record.model, task: "auto", versions: [] };
    views.set(record.model, view);
    if (known.has(`${record.model}\0${record.version}`)) continue;
    const unseen = { firstSeen: null, lastSeen: null, predictions: 0, labels: 0 };
    view.versions.push({
      version: record.version,
      ...unseen,
      ...filed(record, versions.registries.known(record.model, record.version)),
    });
  }
  return [...views.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export function windowsOf(parts: Pick<ApiParts, "book">, config: Config): ReadonlySet<string> {
  return new Set([
    "1h",
    "24h",
    "7d",
    "all",
    ...config.models.flatMap((m) => m.windows),
    ...parts.book.all().flatMap((s) => s.windows),
  ]);
}

/** Throws a Problem when it is none of those that are measured. */
function checkWindow(window: string | undefined, known: ReadonlySet<string>): void {
  if (window === undefined || known.has(window)) return;
  const message = `window is not measured; it is one of ${[...known].join(", ")}`;
  throw new Problem("unknown_window", message, "window");
}

export function createApiNeeds(config: Config, parts: ApiParts): ApiNeeds {
  const { clock, log, ledger, measure } = parts;
  return {
    clock,
    log,
    labels: async (events): Promise<LabelsKept> => await ledger.label(events),
    countLabel: parts.countLabel,
    prediction: (id) => ledger.find(id).map((found) => viewOf(found, parts.versions)),
    labelsOf: (id) => ledger.labelsOf(id),
    quality: ({ model, version: of, window, slice, basis }) => {
      checkWindow(window, windowsOf(parts, config));
      if (basis !== undefined && basis !== "all" && basis !== "matured") {
        throw new Problem("unknown_basis", `basis is "all" or "matured"`, "basis");
      }
      const at = clock.wallMs();
      const filter = Object.fromEntries(
        Object.entries({ model, version: of, window, slice, basis }).filter(
          ([, value]) => value !== undefined,
        ),
      );
      return { at, groups: measure.groups(at, filter) };
    },
    estimates: (query) => {
      const at = clock.wallMs();
      return estimatesView(parts.estimates.at(at), query, at);
    },
    drift: (query) => {
      const at = clock.wallMs();
      return driftView(parts.drift.at(at), query, at);
    },
    compare: parts.compare,
    status: (window = "24h") => {
      checkWindow(window, windowsOf(parts, config));
      return parts.status.status(window);
    },
    models: () => modelViews(parts),
    versions: parts.versions.desk,
    version: () => ({ outrider: version, models: parts.versions.models() }),
    health: () => ({ live: true, ready: true, body: { status: "ready", parts: parts.states.all() } }),
  };
}

/** The address for people. */
export function urlOf(address: { readonly host: string; readonly port: number } | null): string {
  if (address === null) return "";
  return `http://${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
