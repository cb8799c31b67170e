"""Trains two versions of two scikit-learn models and lays them out as an MLServer model repository in the folder named."""

import json
import pathlib
import sys

import joblib
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import data

MODELS = [
    ("diabetes", "1.0.0", "regression", lambda: make_pipeline(StandardScaler(), Ridge(alpha=2000.0))),
    ("diabetes", "1.1.0", "regression", lambda: make_pipeline(StandardScaler(), LinearRegression())),
    ("breast-cancer", "1", "binary", lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.0003))),
    ("breast-cancer", "2", "binary", lambda: make_pipeline(StandardScaler(), LogisticRegression(C=1.0))),
]


def main():
    out = pathlib.Path(sys.argv[1])
    described = []
    for name, version, task, create in MODELS:
        x, x_held, y, y_held = data.split(name)
        model = create().fit(x, y)
        folder = out / "repository" / f"{name}-{version}"
        folder.mkdir(parents=True)
        joblib.dump(model, folder / "model.joblib")
        settings = {
            "name": name,
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./model.joblib", "version": version},
        }
        (folder / "model-settings.json").write_text(json.dumps(settings))
        described.append(data.described(name, version, task, model, x_held, y_held))
    data.write(out, described)


if __name__ == "__main__":
    main()
