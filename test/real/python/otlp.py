"""What others read in our telemetry: JSON {bodies: [base64 protobuf], scrapes: [text]} on stdin.

Bodies are decoded with the published classes of opentelemetry-proto, scrapes with the parser of prometheus_client. JSON
{requests, scrapes} on stdout; 64-bit integers of bodies are numbers, times are text.
"""

import base64
import json
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from prometheus_client.parser import text_string_to_metric_families


def attributes(pairs):
    known = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        if pair.key in known or kind not in ("string_value", "int_value", "bool_value", "double_value"):
            raise ValueError(f"attribute {pair.key}: twice, or {kind}")
        known[pair.key] = getattr(pair.value, kind)
    return known


def point(data, kind):
    told = {
        "attributes": attributes(data.attributes),
        "start": str(data.start_time_unix_nano),
        "time": str(data.time_unix_nano),
    }
    if kind != "histogram":
        which = data.WhichOneof("value")
        return told | {"value": getattr(data, which), "as": which}
    return told | {
        "count": data.count,
        "sum": data.sum if data.HasField("sum") else None,
        "bounds": list(data.explicit_bounds),
        "counts": list(data.bucket_counts),
    }


def metric(message):
    kind = message.WhichOneof("data")
    data = getattr(message, kind)
    temporality = getattr(data, "aggregation_temporality", 0)
    return {
        "name": message.name,
        "unit": message.unit,
        "description": message.description,
        "kind": kind,
        "temporality": AggregationTemporality.Name(temporality),
        "monotonic": getattr(data, "is_monotonic", None),
        "points": [point(one, kind) for one in data.data_points],
    }


def request(text):
    message = ExportMetricsServiceRequest.FromString(base64.b64decode(text))
    size = message.ByteSize()
    message.DiscardUnknownFields()
    scopes = [scope for resource in message.resource_metrics for scope in resource.scope_metrics]
    return {
        "unknownBytes": size - message.ByteSize(),
        "resources": [attributes(one.resource.attributes) for one in message.resource_metrics],
        "scopes": [{"name": one.scope.name, "version": one.scope.version} for one in scopes],
        "metrics": [metric(one) for scope in scopes for one in scope.metrics],
    }


def scrape(text):
    return [
        {"family": family.name, "type": family.type, "name": one.name, "labels": one.labels, "value": str(one.value)}
        for family in text_string_to_metric_families(text)
        for one in family.samples
    ]


told = json.load(sys.stdin)
json.dump(
    {"requests": [request(one) for one in told["bodies"]], "scrapes": [scrape(one) for one in told["scrapes"]]},
    sys.stdout,
)
