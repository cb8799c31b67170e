// What a board consists of, as plain data: rows of panels with their queries. Rendered by render.ts, checked by test/dashboards.

import type { BoardId } from "../../src/dashboards/board-ids.ts";

export interface Target {
  readonly expr: string;
  /** Grafana's legend, e.g. `{{version}}`. */
  readonly legend: string;
  /** Traces of sampled requests as points. */
  readonly exemplar?: boolean;
  /** Why a healthy system has nothing to show here. Absent: the query must give data. */
  readonly mayBeEmpty?: string;
}

export interface Panel {
  readonly title: string;
  /** One or two sentences: what is shown and how to read it. */
  readonly description: string;
  readonly kind: "timeseries" | "stat" | "table" | "heatmap" | "state";
  /** Grafana's unit id. */
  readonly unit: string;
  /** Columns of 24. */
  readonly w: number;
  readonly h: number;
  readonly targets: readonly Target[];
  readonly min?: number;
  readonly max?: number;
  readonly decimals?: number;
  readonly stack?: "normal" | "percent";
  /** From which value on which colour; the first is the base. */
  readonly steps?: readonly (readonly [from: number | null, color: string])[];
  /** Value -> what is written in its place. */
  readonly words?: Readonly<Record<string, { readonly text: string; readonly color: string }>>;
  /** Series whose name fits are dashed lines: objectives, limits, baselines. */
  readonly dashed?: string;
  /** Series whose name fits are thin: bounds of intervals. */
  readonly thin?: string;
  /** Tables: field -> heading; all other fields are hidden. In this order. */
  readonly columns?: Readonly<Record<string, string>>;
  /** Tables: heading -> unit, where it differs. */
  readonly units?: Readonly<Record<string, string>>;
  /** Written where there is nothing. */
  readonly none?: string;
  /** Board that a click leads to, with model and version of the row. */
  readonly leadsTo?: BoardId;
}

export interface Row {
  readonly title: string;
  /** Folded until it is opened. */
  readonly collapsed?: boolean;
  /** Once per value of this variable. */
  readonly repeat?: string;
  readonly panels: readonly Panel[];
}

export interface Variable {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** `label_values(...)`, or words separated by commas. */
  readonly query: string;
  readonly kind: "query" | "custom";
  readonly many: boolean;
  /** What "All" stands for. */
  readonly all?: string;
  /** Chosen at first. */
  readonly first?: string;
}

export interface Board {
  readonly id: BoardId;
  readonly description: string;
  readonly variables: readonly Variable[];
  readonly rows: readonly Row[];
}

/** Sidecars that were chosen. */
export const SIDECAR = 'job=~"$job",instance=~"$instance"';
/** ... and models and versions. */
export const VERSION = `${SIDECAR},model=~"$model",version=~"$version"`;
/** The same for recordings, which are over all instances. */
export const FLEET = 'job=~"$job",model=~"$model",version=~"$version"';
export const MODEL = `${SIDECAR},model=~"$model"`;

/** Series per second, summed. */
export const rate = (selector: string, by = ""): string =>
  `sum${by === "" ? "" : ` by (${by})`} (rate(${selector}[$__rate_interval]))`;

/** How often something happened per step, summed. */
export const grown = (selector: string, by = ""): string =>
  `sum${by === "" ? "" : ` by (${by})`} (increase(${selector}[$__rate_interval]))`;

export const quantile = (q: number, selector: string, by = ""): string =>
  `histogram_quantile(${q}, sum by (${by === "" ? "le" : `le, ${by}`}) (rate(${selector}[$__rate_interval])))`;

export const GREEN = "green";
export const RED = "red";
export const ORANGE = "orange";
export const BLUE = "blue";
export const GREY = "text";

const sidecars: readonly Variable[] = [
  {
    name: "job",
    label: "Job",
    description: "Prometheus job (with OTLP: service name).",
    query: "label_values(outrider_build_info, job)",
    kind: "query",
    many: true,
    all: ".+",
  },
  {
    name: "instance",
    label: "Instance",
    description: "Sidecars.",
    query: 'label_values(outrider_build_info{job=~"$job"}, instance)',
    kind: "query",
    many: true,
    all: ".+",
  },
];

const versions: readonly Variable[] = [
  {
    name: "model",
    label: "Model",
    description: "Models by name. All: also requests of which no model was read.",
    query: 'label_values(outrider_predictions_total{job=~"$job"}, model)',
    kind: "query",
    many: true,
    all: ".*",
  },
  {
    name: "version",
    label: "Version",
    description: "Versions of the chosen models.",
    query: 'label_values(outrider_predictions_total{job=~"$job",model=~"$model"}, version)',
    kind: "query",
    many: true,
    all: ".*",
  },
];

export const VARIABLES = { sidecars, versions: [...sidecars, ...versions] };
