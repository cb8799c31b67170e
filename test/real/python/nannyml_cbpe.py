"""NannyML's estimate of performance without labels, on data made here: JSON on stdout.

Each case has reference rows (labelled) and chunks (scores only for the estimate; the labels are given to judge it).
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")

from nannyml import CBPE, load_synthetic_car_loan_dataset  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.tree import DecisionTreeClassifier  # noqa: E402

METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def frame(score, y):
    score = np.asarray(score, dtype=float)
    return pd.DataFrame({"score": score, "decided": (score >= 0.5).astype(int), "y": np.asarray(y, dtype=int)})


def overconfident(rng, n, shift=0.0):
    odds = rng.normal(shift, 1.8, n)
    return frame(sigmoid(odds), rng.random(n) < sigmoid(0.6 * odds - 0.3))


def rare(rng, n):
    odds = rng.normal(-4.5, 2.0, n)
    return frame(sigmoid(1.3 * odds + 2.5), rng.random(n) < sigmoid(odds))


def tree(rng):
    def draw(n, shift):
        x = rng.normal(shift, 1, (n, 4))
        return x, rng.random(n) < sigmoid(1.5 * x[:, 0] - x[:, 1] * x[:, 2])

    model = DecisionTreeClassifier(max_leaf_nodes=8, random_state=0).fit(*draw(3000, 0))
    score = lambda x: model.predict_proba(x)[:, 1]  # noqa: E731
    x, y = draw(8000, 0)
    reference = frame(score(x), y)
    chunks = []
    for i in range(6):
        x, y = draw(2000, 0.08 * i)
        chunks.append(frame(score(x), y))
    return reference, chunks


def digits(model):
    x, y = load_digits(return_X_y=True)
    y = (y >= 5).astype(int)
    order = np.random.default_rng(3).permutation(len(y))
    x, y = x[order] / 16 + np.random.default_rng(4).normal(0, 0.25, x.shape), y[order]
    model.fit(x[:539], y[:539])
    score = model.predict_proba(x)[:, 1]
    rows = frame(score, y)
    return rows[539:1168], [rows[1168:]]


def car_loan():
    reference, analysis, targets = load_synthetic_car_loan_dataset()
    column = "repaid" if "repaid" in reference else "y_true"
    joined = analysis.merge(targets, on="id") if "id" in targets else analysis.join(targets)

    def rows(of):
        return pd.DataFrame({"score": of["y_pred_proba"], "decided": of["y_pred"], "y": of[column]}).astype(
            {"score": float, "decided": int, "y": int}
        )

    reference = rows(reference).iloc[:20000]
    analysis = rows(joined)
    return reference, [analysis.iloc[i : i + 5000] for i in range(0, len(analysis), 5000)]


def estimate(reference, chunks):
    estimator = CBPE(
        y_pred="decided", y_pred_proba="score", y_true="y", problem_type="classification_binary",
        metrics=METRICS, chunk_size=len(reference),
    )
    estimator.fit(reference.reset_index(drop=True))
    told = []
    for chunk in chunks:
        estimator.chunker.chunk_size = len(chunk)
        result = estimator.estimate(chunk.drop(columns="y").reset_index(drop=True)).filter(period="analysis").to_df()
        told.append({metric: float(result[(metric, "value")].iloc[0]) for metric in METRICS})
    return told


def columns(rows):
    return {name: rows[name].tolist() for name in ["score", "decided", "y"]}


def main():
    rng = np.random.default_rng(1)
    cases = {
        "synthetic, overconfident, covariate shift": (
            overconfident(rng, 10000),
            [overconfident(rng, 2000, 0.1 * i) for i in range(10)],
        ),
        "synthetic, rare positives, miscalibrated": (rare(rng, 20000), [rare(rng, 4000) for _ in range(6)]),
        "decision tree, 8 scores": tree(rng),
        "digits, logistic regression": digits(LogisticRegression(max_iter=2000)),
        "digits, GaussianNB": digits(GaussianNB()),
        "NannyML's car loans": car_loan(),
    }
    told = [
        {
            "name": name,
            "reference": columns(reference),
            "chunks": [columns(chunk) | {"estimates": one} for chunk, one in zip(chunks, estimate(reference, chunks))],
        }
        for name, (reference, chunks) in cases.items()
    ]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
