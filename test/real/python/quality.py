"""scikit-learn's word on several sets of rows: JSON [{task, y, prediction, score?, scores?, classes?}] on stdin, JSON [{metrics, baseline}] on stdout.

`metrics` has the names of Outrider's groups. `baseline` is what scikit-learn's dummies score on the same rows.
"""

import json
import math
import sys
import warnings

import numpy as np
from sklearn import metrics as m
from sklearn.dummy import DummyClassifier, DummyRegressor


def plain(found):
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def regression(rows):
    y, said = np.array(rows["y"], float), np.array(rows["prediction"], float)

    def score(said):
        return {
            "mse": m.mean_squared_error(y, said),
            "rmse": m.root_mean_squared_error(y, said),
            "mae": m.mean_absolute_error(y, said),
            "r2": m.r2_score(y, said),
            "me": np.mean(y - said),
            "medae": m.median_absolute_error(y, said),
            "max_error": m.max_error(y, said),
            "mape": m.mean_absolute_percentage_error(y, said),
            "wape": np.abs(y - said).sum() / np.abs(y).sum(),
        }

    def dummy(strategy):
        return score(DummyRegressor(strategy=strategy).fit(np.zeros((len(y), 1)), y).predict(np.zeros((len(y), 1))))

    of_mean, of_median = dummy("mean"), dummy("median")
    baseline = {name: of_mean[name] for name in ("mse", "rmse", "r2")}
    baseline |= {name: of_median[name] for name in ("mae", "medae", "mape", "wape")}
    return plain(score(said)), plain(baseline)


def calibration_error(y, score):
    bins = np.searchsorted([i / 10 for i in range(1, 10)], score)
    gaps = [abs(score[bins == i].sum() - y[bins == i].sum()) for i in range(10)]
    return sum(gaps) / len(y)


def binary(rows):
    y, score = np.array(rows["y"], int), np.array(rows["score"], float)
    said = (score >= 0.5).astype(int)

    def of(said, score):
        return {
            "accuracy": m.accuracy_score(y, said),
            "precision": m.precision_score(y, said, zero_division=np.nan),
            "recall": m.recall_score(y, said),
            "f1": m.f1_score(y, said),
            "specificity": m.recall_score(y, said, pos_label=0),
            "prevalence": y.mean(),
            "balanced_accuracy": m.balanced_accuracy_score(y, said),
            "mcc": m.matthews_corrcoef(y, said),
            "roc_auc": m.roc_auc_score(y, score),
            "average_precision": m.average_precision_score(y, score),
            "log_loss": m.log_loss(y, score),
            "brier": m.brier_score_loss(y, score),
            "ece10": calibration_error(y, score),
        }

    share = np.full(len(y), y.mean())
    majority = of(np.full(len(y), int(y.mean() >= 0.5)), share)
    always = of(np.ones(len(y), int), share)
    scored = ("roc_auc", "average_precision", "log_loss", "brier")
    baseline = {name: majority[name] for name in ("accuracy", "balanced_accuracy", "mcc", *scored)}
    baseline |= {name: always[name] for name in ("precision", "recall", "f1")}
    return plain(of(said, score)), plain(baseline)


def multiclass(rows):
    classes = rows["classes"]
    y, said = np.array(rows["y"]), np.array(rows["prediction"])
    scores = np.array(rows["scores"], float)

    def of(said, scores):
        found = {"accuracy": m.accuracy_score(y, said)}
        for average in ("micro", "macro", "weighted"):
            three = m.precision_recall_fscore_support(y, said, average=average, zero_division=0)
            for name, value in zip(("precision", "recall", "f1"), three):
                found[f"{name}_{average}"] = value
        for kind in ("ovr", "ovo"):
            for average in ("macro", "weighted"):
                found[f"roc_auc_{kind}_{average}"] = m.roc_auc_score(
                    y, scores, multi_class=kind, average=average, labels=classes
                )
        outcome = (y[:, None] == np.array(classes)[None, :]).astype(float)
        return found | {
            "balanced_accuracy": m.balanced_accuracy_score(y, said),
            "mcc": m.matthews_corrcoef(y, said),
            "log_loss": m.log_loss(y, scores, labels=classes),
            "brier": np.mean(np.sum((scores - outcome) ** 2, axis=1)),
        }

    nothing = np.zeros((len(y), 1))
    dummy = DummyClassifier(strategy="prior").fit(nothing, y)
    return plain(of(said, scores)), plain(of(dummy.predict(nothing), dummy.predict_proba(nothing)))


TASKS = {"regression": regression, "binary": binary, "multiclass": multiclass}


def main():
    warnings.simplefilter("ignore")
    answers = []
    for rows in json.load(sys.stdin):
        found, baseline = TASKS[rows["task"]](rows)
        answers.append({"metrics": found, "baseline": baseline})
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
