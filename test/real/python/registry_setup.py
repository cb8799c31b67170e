"""Registers two versions of the model in `folder` with a real MLflow server; prints what was made as JSON.

argv: tracking URI, folder of a saved model. The versions are two runs that log the same model with other results.
"""

import json
import sys

import mlflow
from mlflow import MlflowClient

uri, folder = sys.argv[1:3]
mlflow.set_tracking_uri(uri)
client = MlflowClient(uri)
experiment = mlflow.create_experiment("outrider")
name = "diabetes"
client.create_registered_model(name)
made = []
for rmse in (55.0, 53.0):
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_param("alpha", 0.1)
        mlflow.log_metric("rmse", rmse)
        mlflow.log_artifacts(folder, artifact_path="model")
        source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version(name, source, run_id=run.info.run_id)
    made.append({"version": version.version, "run": run.info.run_id})
client.set_registered_model_alias(name, "champion", made[0]["version"])
print(json.dumps({"experiment": experiment, "name": name, "versions": made}))
