"""Trains the demo's models and writes src/demo/model-data.json: run it again and the same bytes come out.

    .real/python/bin/python test/real/python/train_demo_models.py [OUT]

Half of each data set is held out and shipped as the demo's traffic, so the quality that the demo measures live
converges to the evaluation figures recorded here, which come from the same held-out rows.
"""

import json
import pathlib
import sys

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 20
HELD_OUT = 0.5
TRAINED_ON = "2026-11-24"
REFERENCE_ROWS = 12


def linear(x, y, columns):
    model = LinearRegression().fit(x[:, columns], y)
    weights = {
        "kind": "linear",
        "columns": columns,
        "weights": model.coef_.tolist(),
        "intercept": float(model.intercept_),
    }
    return model, weights


def boosted(x, y, columns):
    model = GradientBoostingRegressor(
        n_estimators=70, max_depth=2, learning_rate=0.08, subsample=0.7, random_state=SEED
    ).fit(x[:, columns], y)
    trees = []
    for estimator in model.estimators_[:, 0]:
        tree = estimator.tree_
        trees.append(
            {
                "feature": tree.feature.tolist(),
                "threshold": tree.threshold.tolist(),
                "left": tree.children_left.tolist(),
                "right": tree.children_right.tolist(),
                "value": tree.value[:, 0, 0].tolist(),
            }
        )
    weights = {
        "kind": "boosted-trees",
        "columns": columns,
        "initial": float(model.init_.constant_[0, 0]),
        "rate": model.learning_rate,
        "trees": trees,
    }
    return model, weights


def logistic(x, y, columns):
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    model.fit(x[:, columns], y)
    scaler, regression = model[0], model[1]
    weights = {
        "kind": "logistic",
        "columns": columns,
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "weights": regression.coef_[0].tolist(),
        "intercept": float(regression.intercept_[0]),
    }
    return model, weights


def evaluate(task, model, x, y):
    predicted = model.predict(x)
    if task == "regression":
        return {
            "rmse": float(root_mean_squared_error(y, predicted)),
            "mae": float(mean_absolute_error(y, predicted)),
            "r2": float(r2_score(y, predicted)),
        }
    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "precision": float(precision_score(y, predicted)),
        "recall": float(recall_score(y, predicted)),
        "f1": float(f1_score(y, predicted)),
        "roc_auc": float(roc_auc_score(y, model.predict_proba(x)[:, 1])),
    }


def reference(task, model, x):
    rows = x[:REFERENCE_ROWS]
    values = model.predict(rows).tolist()
    chances = model.predict_proba(rows)[:, 1].tolist() if task == "binary" else [None] * len(rows)
    return [{"value": float(v), "probability": p} for v, p in zip(values, chances)]


DIABETES = load_diabetes(scaled=False)
CANCER = load_breast_cancer()
DATA_SETS = [
    {
        "name": "diabetes",
        "task": "regression",
        "title": "Diabetes progression one year after baseline (442 patients)",
        "source": "Efron, Hastie, Johnstone, Tibshirani: Least Angle Regression, Annals of Statistics 32 (2004)",
        "licence": "public data, shipped with scikit-learn (BSD-3-Clause) as load_diabetes(scaled=False)",
        "target": "disease progression, 25 to 346",
        "features": list(DIABETES.feature_names),
        "x": DIABETES.data,
        "y": DIABETES.target,
        "models": [
            ("1.0.0", "linear regression on age, sex and blood pressure", linear, [0, 1, 3]),
            ("1.1.0", "gradient boosted trees on all ten features", boosted, list(range(10))),
        ],
    },
    {
        "name": "breast-cancer",
        "task": "binary",
        "title": "Breast Cancer Wisconsin (Diagnostic) (569 tumours)",
        "source": "Wolberg, Mangasarian, Street, Street, UCI Machine Learning Repository (1995)",
        "licence": "CC BY 4.0 at UCI, shipped with scikit-learn (BSD-3-Clause) as load_breast_cancer",
        "target": "1 = malignant (scikit-learn's 0), 0 = benign",
        "features": [str(name) for name in CANCER.feature_names],
        "x": CANCER.data,
        "y": 1 - CANCER.target,
        "models": [
            ("1", "logistic regression on mean texture and mean smoothness", logistic, [1, 4]),
            ("2", "logistic regression on all thirty features", logistic, list(range(30))),
        ],
    },
]


def main():
    data_sets, models = [], []
    for entry in DATA_SETS:
        task, y_all = entry["task"], entry["y"]
        x, x_held, y, y_held = train_test_split(
            entry["x"],
            y_all,
            test_size=HELD_OUT,
            random_state=SEED,
            stratify=y_all if task == "binary" else None,
        )
        data_sets.append(
            {key: entry[key] for key in ("name", "task", "title", "source", "licence", "target", "features")}
            | {
                "trainingRows": len(x),
                "rows": [
                    {"features": features, "target": target}
                    for features, target in zip(x_held.tolist(), y_held.tolist())
                ],
            }
        )
        for version, algorithm, fit, columns in entry["models"]:
            model, weights = fit(x, y, columns)
            held = x_held[:, columns]
            models.append(
                {
                    "name": entry["name"],
                    "version": version,
                    "task": task,
                    "algorithm": algorithm,
                    "evaluation": evaluate(task, model, held, y_held),
                    "weights": weights,
                    "reference": reference(task, model, held),
                }
            )
    provenance = {
        "trainedWith": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}",
        "script": "test/real/python/train_demo_models.py",
        "trainedOn": TRAINED_ON,
        "splitSeed": SEED,
        "heldOutShare": HELD_OUT,
    }
    default = pathlib.Path(__file__).resolve().parents[3] / "src" / "demo" / "model-data.json"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    text = json.dumps({"provenance": provenance, "dataSets": data_sets, "models": models}, separators=(",", ":"))
    out.write_text(text + "\n")
    for model in models:
        print(model["name"], model["version"], model["evaluation"], file=sys.stderr)
    print(f"{out}: {len(text)} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
