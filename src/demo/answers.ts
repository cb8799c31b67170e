// What the demo server says about its models and their predictions, in the Open Inference Protocol's words.

import type { DemoModel } from "./models.ts";
import { BadRequest, type InferRequest } from "./parse-infer.ts";

interface Tensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: "FP64" | "INT64";
  readonly data: readonly number[];
}

export interface InferAnswer {
  readonly model_name: string;
  readonly model_version: string;
  readonly id: string;
  readonly outputs: readonly Tensor[];
}

/** `predict` has one value a row; a classifier adds `predict_proba`, both classes of each row in row-major order. */
export function inferAnswer(model: DemoModel, request: InferRequest, newId: () => string): InferAnswer {
  const answers = request.rows.map((row) => model.predict(row));
  const count = answers.length;
  const tensors: Tensor[] = [
    {
      name: "predict",
      shape: [count, 1],
      datatype: model.task === "binary" ? "INT64" : "FP64",
      data: answers.map((answer) => answer.value),
    },
  ];
  if (model.task === "binary") {
    const data = answers.flatMap(({ probability }) => [1 - (probability ?? 0), probability ?? 0]);
    tensors.push({ name: "predict_proba", shape: [count, 2], datatype: "FP64", data });
  }
  const { outputs } = request;
  const known = new Set(tensors.map((tensor) => tensor.name));
  const unknown = outputs?.find((name) => !known.has(name));
  if (unknown !== undefined) throw new BadRequest(400, "no output of this model has the name asked for");
  return {
    model_name: model.name,
    model_version: model.version,
    id: request.id ?? newId(),
    outputs: outputs === null ? tensors : tensors.filter((tensor) => outputs.includes(tensor.name)),
  };
}

/** Metadata of a model: all its versions, newest last. */
export function modelAnswer(models: readonly DemoModel[]): Readonly<Record<string, unknown>> {
  const [first] = models;
  const width = first?.width ?? 0;
  const binary = first?.task === "binary";
  const probabilities = { name: "predict_proba", datatype: "FP64", shape: [-1, 2] };
  return {
    name: first?.name,
    versions: models.map((model) => model.version),
    platform: "outrider-demo",
    inputs: [{ name: "x", datatype: "FP64", shape: [-1, width] }],
    outputs: [
      { name: "predict", datatype: binary ? "INT64" : "FP64", shape: [-1, 1] },
      ...(binary ? [probabilities] : []),
    ],
  };
}
