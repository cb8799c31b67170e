// model-data.json is made by a script in another language: each model's numbers are looked at before they are used.

export type Task = "regression" | "binary";

/** One tree as parallel arrays, node 0 is the root; `left` is -1 at a leaf. */
export interface Tree {
  readonly feature: readonly number[];
  readonly threshold: readonly number[];
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly value: readonly number[];
}

export type Weights =
  | {
      readonly kind: "linear";
      readonly columns: readonly number[];
      readonly weights: readonly number[];
      readonly intercept: number;
    }
  | {
      readonly kind: "logistic";
      readonly columns: readonly number[];
      readonly mean: readonly number[];
      readonly scale: readonly number[];
      readonly weights: readonly number[];
      readonly intercept: number;
    }
  | {
      readonly kind: "boosted-trees";
      readonly columns: readonly number[];
      readonly initial: number;
      readonly rate: number;
      readonly trees: readonly Tree[];
    };

/** What scikit-learn itself answered for one held-out row. */
export interface Answer {
  readonly value: number;
  /** Probability of class 1; null for regression. */
  readonly probability: number | null;
}

export interface TrainedModel {
  readonly name: string;
  readonly version: string;
  readonly task: Task;
  readonly algorithm: string;
  /** Metrics on the held-out rows, by scikit-learn. */
  readonly evaluation: Readonly<Record<string, number>>;
  readonly weights: Weights;
  /** scikit-learn's answers for the first held-out rows, in their order. */
  readonly reference: readonly Answer[];
}

export interface DemoRow {
  readonly features: readonly number[];
  readonly target: number;
}

export interface DemoDataSet {
  /** Also the name of the models trained on it. */
  readonly name: string;
  readonly task: Task;
  readonly title: string;
  readonly source: string;
  readonly licence: string;
  readonly target: string;
  readonly features: readonly string[];
  readonly trainingRows: number;
  /** The held-out rows: no model has seen them. */
  readonly rows: readonly DemoRow[];
}

export interface Provenance {
  readonly trainedWith: string;
  readonly script: string;
  readonly trainedOn: string;
  readonly splitSeed: number;
  readonly heldOutShare: number;
}

export interface DemoData {
  readonly provenance: Provenance;
  readonly dataSets: readonly DemoDataSet[];
  readonly models: readonly TrainedModel[];
}

class Fields {
  readonly #of: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    if (!isRecord(value)) throw new TypeError(`model data: ${path} is no object`);
    this.#of = value;
    this.#path = path;
  }

  #wrong(key: string, wanted: string): TypeError {
    return new TypeError(`model data: ${this.#path}.${key} is no ${wanted}`);
  }

  get(key: string): unknown {
    return this.#of[key];
  }

  number(key: string): number {
    const value = this.#of[key];
    if (typeof value !== "number") throw this.#wrong(key, "number");
    return value;
  }

  text(key: string): string {
    const value = this.#of[key];
    if (typeof value !== "string") throw this.#wrong(key, "text");
    return value;
  }

  task(): Task {
    const value = this.#of["task"];
    if (value !== "regression" && value !== "binary") throw this.#wrong("task", "task");
    return value;
  }

  list<T>(key: string, item: (fields: unknown, path: string) => T): T[] {
    const value: unknown = this.#of[key];
    if (!Array.isArray(value)) throw this.#wrong(key, "list");
    const items: readonly unknown[] = value;
    return items.map((each, i) => item(each, `${this.#path}.${key}[${i}]`));
  }

  allNumbers(): Record<string, number> {
    return Object.fromEntries(Object.keys(this.#of).map((key) => [key, this.number(key)]));
  }

  numbers(key: string): number[] {
    return this.list(key, (value, path) => {
      if (typeof value !== "number") throw new TypeError(`model data: ${path} is no number`);
      return value;
    });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseTree(value: unknown, path: string): Tree {
  const of = new Fields(value, path);
  return {
    feature: of.numbers("feature"),
    threshold: of.numbers("threshold"),
    left: of.numbers("left"),
    right: of.numbers("right"),
    value: of.numbers("value"),
  };
}

function parseWeights(value: unknown, path: string): Weights {
  const of = new Fields(value, path);
  const columns = of.numbers("columns");
  const kind = of.text("kind");
  if (kind === "boosted-trees") {
    return {
      kind,
      columns,
      initial: of.number("initial"),
      rate: of.number("rate"),
      trees: of.list("trees", parseTree),
    };
  }
  const weights = of.numbers("weights");
  const intercept = of.number("intercept");
  if (kind === "linear") return { kind, columns, weights, intercept };
  if (kind === "logistic") {
    return { kind, columns, mean: of.numbers("mean"), scale: of.numbers("scale"), weights, intercept };
  }
  throw new TypeError(`model data: ${path}: unknown kind ${kind}`);
}

function parseModel(value: unknown, path: string): TrainedModel {
  const of = new Fields(value, path);
  const evaluation = new Fields(of.get("evaluation"), `${path}.evaluation`);
  return {
    name: of.text("name"),
    version: of.text("version"),
    task: of.task(),
    algorithm: of.text("algorithm"),
    evaluation: evaluation.allNumbers(),
    weights: parseWeights(of.get("weights"), `${path}.weights`),
    reference: of.list("reference", (each, at) => {
      const answer = new Fields(each, at);
      const probability = answer.get("probability") === null ? null : answer.number("probability");
      return { value: answer.number("value"), probability };
    }),
  };
}

function parseDataSet(value: unknown, path: string): DemoDataSet {
  const of = new Fields(value, path);
  return {
    name: of.text("name"),
    task: of.task(),
    title: of.text("title"),
    source: of.text("source"),
    licence: of.text("licence"),
    target: of.text("target"),
    features: of.list("features", String),
    trainingRows: of.number("trainingRows"),
    rows: of.list("rows", (each, at) => {
      const row = new Fields(each, at);
      return { features: row.numbers("features"), target: row.number("target") };
    }),
  };
}

/** Throws TypeError naming the first place that is not what the training script writes. */
export function parseDemoData(value: unknown): DemoData {
  const of = new Fields(value, "$");
  const from = new Fields(of.get("provenance"), "$.provenance");
  return {
    provenance: {
      trainedWith: from.text("trainedWith"),
      script: from.text("script"),
      trainedOn: from.text("trainedOn"),
      splitSeed: from.number("splitSeed"),
      heldOutShare: from.number("heldOutShare"),
    },
    dataSets: of.list("dataSets", parseDataSet),
    models: of.list("models", parseModel),
  };
}
