"""Prints as JSON what MLflow's own client sees. argv: tracking URI, registered name, experiment id."""

import json
import sys

import mlflow
from mlflow import MlflowClient

uri, name, experiment = sys.argv[1:4]
mlflow.set_tracking_uri(uri)
client = MlflowClient(uri)
champion = client.get_model_version_by_alias(name, "champion")
runs = {}
for version in client.search_model_versions(f"name='{name}'"):
    metrics = client.get_run(version.run_id).data.metrics if version.run_id else {}
    runs[str(version.version)] = metrics
traces = []
for trace in client.search_traces(locations=[experiment], max_results=50):
    assessments = [
        {"name": a.name, "value": getattr(a.expectation, "value", None), "valid": a.valid}
        for a in trace.info.assessments
    ]
    spans = trace.data.spans
    inputs = spans[0].inputs if spans else None
    traces.append(
        {
            "id": trace.info.trace_id,
            "tags": dict(trace.info.tags),
            "assessments": assessments,
            "inputs": inputs,
        }
    )
print(json.dumps({"champion": str(champion.version), "runs": runs, "traces": traces}))
