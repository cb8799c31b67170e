// The messages of `inference.GRPCInferenceService` (Open Inference Protocol v2, grpc_predict_v2.proto) as far as predictions
// need them: field numbers and kinds. Unknown fields are passed over, as Protocol Buffers ask.

/** How one field is read. `list`: repeated, numbers packed or not. */
export type FieldKind =
  | "text"
  | "bytes"
  | "bool"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "float"
  | "double"
  | MessageSchema;

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly list?: true;
  /** A map<string, …>: entries of key 1 and value 2. */
  readonly map?: true;
}

export type MessageSchema = ReadonlyMap<number, Field>;

const field = (name: string, kind: FieldKind): Field => ({ name, kind });
const list = (name: string, kind: FieldKind): Field => ({ name, kind, list: true });
const map = (name: string, kind: FieldKind): Field => ({ name, kind, map: true });

/** InferParameter: one of these is set. Triton adds the last two. */
const PARAMETER: MessageSchema = new Map([
  [1, field("bool_param", "bool")],
  [2, field("int64_param", "int64")],
  [3, field("string_param", "text")],
  [4, field("double_param", "double")],
  [5, field("uint64_param", "uint64")],
]);

/** InferTensorContents: the list that fits the datatype. */
const CONTENTS: MessageSchema = new Map([
  [1, list("bool_contents", "bool")],
  [2, list("int_contents", "int32")],
  [3, list("int64_contents", "int64")],
  [4, list("uint_contents", "uint32")],
  [5, list("uint64_contents", "uint64")],
  [6, list("fp32_contents", "float")],
  [7, list("fp64_contents", "double")],
  [8, list("bytes_contents", "bytes")],
]);

/** InferInputTensor and InferOutputTensor are alike. */
const TENSOR: MessageSchema = new Map([
  [1, field("name", "text")],
  [2, field("datatype", "text")],
  [3, list("shape", "int64")],
  [4, map("parameters", PARAMETER)],
  [5, field("contents", CONTENTS)],
]);

export const MODEL_INFER_REQUEST: MessageSchema = new Map([
  [1, field("model_name", "text")],
  [2, field("model_version", "text")],
  [3, field("id", "text")],
  [4, map("parameters", PARAMETER)],
  [5, list("inputs", TENSOR)],
  [7, list("raw_input_contents", "bytes")],
]);

export const MODEL_INFER_RESPONSE: MessageSchema = new Map([
  [1, field("model_name", "text")],
  [2, field("model_version", "text")],
  [3, field("id", "text")],
  [4, map("parameters", PARAMETER)],
  [5, list("outputs", TENSOR)],
  [6, list("raw_output_contents", "bytes")],
]);

/** Triton's stream of answers. */
export const MODEL_STREAM_INFER_RESPONSE: MessageSchema = new Map([
  [1, field("error_message", "text")],
  [2, field("infer_response", MODEL_INFER_RESPONSE)],
]);
