"""scikit-learn's word on a set of rows: JSON {task, y, prediction, score?} on stdin, JSON metrics on stdout.

Undefined metrics (one class only, no rows) are null. Binary: class 1 is positive; score is the probability of class 1.
"""

import json
import math
import sys
import warnings

from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
)


def attempt(compute):
    try:
        value = float(compute())
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def regression(y, prediction):
    return {
        "mse": attempt(lambda: mean_squared_error(y, prediction)),
        "rmse": attempt(lambda: root_mean_squared_error(y, prediction)),
        "mae": attempt(lambda: mean_absolute_error(y, prediction)),
        "r2": attempt(lambda: r2_score(y, prediction)),
    }


def binary(y, prediction, score):
    nan = {"zero_division": float("nan")}
    return {
        "accuracy": attempt(lambda: accuracy_score(y, prediction)),
        "precision": attempt(lambda: precision_score(y, prediction, **nan)),
        "recall": attempt(lambda: recall_score(y, prediction, **nan)),
        "f1": attempt(lambda: f1_score(y, prediction, **nan)),
        "roc_auc": None if score is None else attempt(lambda: roc_auc_score(y, score)),
    }


def main():
    warnings.simplefilter("ignore")
    rows = json.load(sys.stdin)
    if rows["task"] == "regression":
        metrics = regression(rows["y"], rows["prediction"])
    else:
        metrics = binary(rows["y"], rows["prediction"], rows.get("score"))
    json.dump(metrics | {"n": len(rows["y"])}, sys.stdout)


if __name__ == "__main__":
    main()
