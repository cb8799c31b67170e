// The answer to "how good is it?" for one (model, version, slice, window).

/** Where the true value lies with a confidence of `level`, given the rows of the group. */
export interface MetricInterval {
  readonly lower: number;
  readonly upper: number;
  readonly level: 0.95;
  /** How it was found: docs/numbers.md names the sources. */
  readonly method: string;
  /** "kurtosis": the errors have such heavy tails that the interval of a mean square, or of R2, is too narrow. */
  readonly flag?: "kurtosis";
}
/** Which predictions of a window count: all; or the window ends where nearly all labels are in. */
export type Basis = "all" | "matured";

/** The group objects of the golden cases and of GET /v1/quality. Absent metrics are null, with the reason in `undefined`. */
export interface Group {
  readonly model: string;
  readonly version: string;
  /** "" or "name=value". */
  readonly slice: string;
  readonly window: string;
  /** Absent: "all". */
  readonly basis?: Basis;
  readonly n_predictions: number;
  readonly n_labeled: number;
  readonly coverage: number | null;
  /** Share labelled within the label horizon, divided by what it is expected to become; null: not known (yet). */
  readonly maturity?: number | null;
  /** Scores, errors or labels were too many to be told apart: what follows from their order, and intervals, come from buckets. */
  readonly approximate?: boolean;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly undefined: Readonly<Record<string, string>>;
  /** binary: tp, fp, fn, tn; multiclass: actual -> predicted -> count. */
  readonly confusion?:
    | Readonly<Record<string, number>>
    | Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Further metrics, and `undefined` with the reasons why some of them are missing. */
  readonly extra: Readonly<Record<string, unknown>>;
  /** 95 % confidence intervals of the metrics that have a value, those in `extra` included; null: none can be given. */
  readonly intervals?: Readonly<Record<string, MetricInterval | null>>;
  /** What the best constant prediction would score on the same labels. */
  readonly baseline?: Readonly<Record<string, number | null>>;
}
