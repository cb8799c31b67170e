"""A gRPC client as MLServer's users write it: asks what standard input says and tells what it got, as JSON."""

import json
import sys

import grpc
from mlserver.grpc import dataplane_pb2 as pb
from mlserver.grpc.dataplane_pb2_grpc import GRPCInferenceServiceStub

COMPRESSION = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate, "none": grpc.Compression.NoCompression}


def infer_request(ask):
    rows = ask["rows"]
    request = pb.ModelInferRequest(model_name=ask["model"], model_version=ask["version"], id=ask["id"] or "")
    tensor = request.inputs.add(name="x", datatype="FP64", shape=[len(rows), len(rows[0])])
    tensor.contents.fp64_contents.extend(value for row in rows for value in row)
    for name in ask["outputs"]:
        request.outputs.add(name=name)
    return request


def told(response, call):
    outputs = {output.name: list(output.contents.fp64_contents or output.contents.int64_contents) for output in response.outputs}
    return {
        "id": response.id,
        "version": response.model_version,
        "outputs": outputs,
        "initial": {key: value for key, value in call.initial_metadata()},
        "trailing": {key: value for key, value in call.trailing_metadata()},
    }


def failed(error):
    return {
        "code": error.code().name,
        "details": error.details(),
        "initial": {key: value for key, value in (error.initial_metadata() or ())},
        "trailing": {key: value for key, value in (error.trailing_metadata() or ())},
    }


def main():
    work = json.load(sys.stdin)
    channel = grpc.insecure_channel(work["target"], options=[("grpc.enable_retries", 0)])
    stub = GRPCInferenceServiceStub(channel)
    answers = []
    # All at once: one connection, many streams.
    calls = [
        stub.ModelInfer.future(
            infer_request(ask),
            timeout=ask.get("timeout", 60),
            metadata=tuple(ask.get("metadata", {}).items()),
            compression=COMPRESSION[ask.get("compression", "none")],
        )
        for ask in work["asks"]
    ]
    for call in calls:
        try:
            answers.append(told(call.result(), call))
        except grpc.RpcError as error:
            answers.append(failed(error))
    result = {"answers": answers}
    if work.get("service"):
        result["live"] = stub.ServerLive(pb.ServerLiveRequest()).live
        result["metadata"] = stub.ModelMetadata(pb.ModelMetadataRequest(name=work["asks"][0]["model"])).name
        result["index"] = sorted({model.name for model in stub.RepositoryIndex(pb.RepositoryIndexRequest()).models})
    json.dump(result, sys.stdout)


main()
