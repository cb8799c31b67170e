// Messages of the Open Inference Protocol over gRPC, encoded by protobufjs from the published schema.

import { gzipSync } from "node:zlib";
import protobuf from "protobufjs";

const { root } = protobuf.parse(
  `
  syntax = "proto3";
  package inference;
  message InferParameter {
    oneof parameter_choice { bool bool_param = 1; int64 int64_param = 2; string string_param = 3; }
  }
  message InferTensorContents {
    repeated bool bool_contents = 1; repeated int32 int_contents = 2; repeated int64 int64_contents = 3;
    repeated uint32 uint_contents = 4; repeated uint64 uint64_contents = 5; repeated float fp32_contents = 6;
    repeated double fp64_contents = 7; repeated bytes bytes_contents = 8;
  }
  message Tensor {
    string name = 1; string datatype = 2; repeated int64 shape = 3;
    map<string, InferParameter> parameters = 4; InferTensorContents contents = 5;
  }
  message ModelInferRequest {
    string model_name = 1; string model_version = 2; string id = 3; map<string, InferParameter> parameters = 4;
    repeated Tensor inputs = 5; repeated Tensor outputs = 6; repeated bytes raw_input_contents = 7;
  }
  message ModelInferResponse {
    string model_name = 1; string model_version = 2; string id = 3; map<string, InferParameter> parameters = 4;
    repeated Tensor outputs = 5; repeated bytes raw_output_contents = 6;
  }
  message ModelStreamInferResponse { string error_message = 1; ModelInferResponse infer_response = 2; }
`,
  { keepCase: true },
);

/** A message of the published schema, as its own programs write it. */
export function encoded(type: string, value: object): Buffer {
  const message = root.lookupType(`inference.${type}`);
  return Buffer.from(message.encode(message.fromObject(value)).finish());
}

/** With gRPC's head of five bytes. */
export function framed(message: Buffer, compressed = false): Buffer {
  const head = Buffer.alloc(5);
  const bytes = compressed ? gzipSync(message) : message;
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}
