"""The two public data sets, split the same way for every real server, and the rows that a test sends them."""

import json
import pathlib

from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import train_test_split

SEED = 11


def split(name):
    """x_train, x_held, y_train, y_held; class 1 of breast-cancer is malignant."""
    if name == "diabetes":
        data = load_diabetes(scaled=False)
        return train_test_split(data.data, data.target, test_size=0.5, random_state=SEED)
    data = load_breast_cancer()
    target = 1 - data.target
    return train_test_split(data.data, target, test_size=0.5, random_state=SEED, stratify=target)


def feature_names(name):
    data = load_diabetes() if name == "diabetes" else load_breast_cancer()
    return [str(feature) for feature in data.feature_names]


def described(name, version, task, model, x, y):
    """What a test needs to know of one model: its held-out rows, the truth, and scikit-learn's own answers."""
    scores = model.predict_proba(x)[:, 1].tolist() if task == "binary" else [None] * len(x)
    rows = zip(x.tolist(), y.tolist(), model.predict(x).tolist(), scores)
    return {
        "name": name,
        "version": version,
        "task": task,
        "features": feature_names(name),
        "rows": [{"features": f, "target": t, "prediction": p, "score": s} for f, t, p, s in rows],
    }


def write(folder, models):
    (pathlib.Path(folder) / "models.json").write_text(json.dumps({"models": models}))
