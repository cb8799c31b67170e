"""Random streams of several models, and what must come out of them: rules 1 to 13 of test/golden/SEMANTICS.md, once more, from the
text alone. Shares no code with Outrider, nor with test/golden/reference.py. Each stream comes in three forms that must end alike:
as it came, permuted, and with every event sent twice.

usage: oracle.py FOLDER SEED COUNT  -> FOLDER/<seed>-{plain,permuted,doubled}/{config.json,events.ndjson,expected.json}"""
import json, math, os, random, sys, warnings
from fractions import Fraction

import numpy as np
from sklearn import metrics as sk

HOUR = 3_600_000
WINDOWS = {"1h": HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "all": None}
NOW = 1_768_000_000_000 // HOUR * HOUR + 59_999
MODELS = {
    "price": {"task": "regression"},
    "fraud": {"task": "binary", "classes": ["ok", "fraud"], "positive": "fraud", "threshold": 0.7},
    "flag": {"task": "binary", "classes": ["0", "1"], "positive": "0", "threshold": 0.25},
    "margin": {"task": "binary", "classes": ["no", "yes"], "positive": "yes", "score_kind": "margin", "threshold": 0},
    "topic": {"task": "multiclass", "classes": ["a", "b", "1"]},
}
SPELLINGS = {"1": [1, 1.0, True, "1"], "0": [0, 0.0, False, "0", -0.0]}
PER_CLASS = [f"{name}_{average}" for name in ("precision", "recall", "f1") for average in ("micro", "macro", "weighted")]
AREAS = [f"roc_auc_{kind}_{average}" for kind in ("ovr", "ovo") for average in ("macro", "weighted")]
NAMES = {
    "regression": ["mse", "rmse", "mae", "r2"],
    "binary": ["accuracy", "precision", "recall", "f1", "roc_auc"],
    "multiclass": ["accuracy", *PER_CLASS, *AREAS],
}


# ---- streams

class Stream:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.models = ["price", *self.random.sample(sorted(set(MODELS) - {"price"}), 2)]
        self.ends = sorted(NOW + self.random.choice([0, 1, 60_000, -HOUR, 25 * HOUR]) for _ in range(3))
        self.numbers = ["plain", "offset", "constant", "huge", "zeros"][seed % 5]

    def events(self):
        r, at, events = self.random, NOW - 200 * HOUR, []
        for number in range(r.choice([60, 250, 500])):
            at += r.choice([0, 1, 1000, 60_000, HOUR // 4])
            chance = r.random()
            if chance < 0.45: event = self.prediction()
            elif chance < 0.94: event = self.label()
            elif chance < 0.97: event = {"kind": "restart"}
            elif chance < 0.98: event = {"kind": "query", "name": f"during {number}"}
            else: event = r.choice(events) if events else {"kind": "note"}
            events.append({**event, "at": at})
        return events + self.queries(at)

    def queries(self, at):
        return [{"kind": "query", "name": f"end {i}", "at": max(at, end)} for i, end in enumerate(self.ends)]

    def prediction(self):
        r = self.random
        model = r.choice(self.models)
        event = {"kind": "prediction", "model": model, "version": r.choice(["1", "2"]), "id": f"p{r.randrange(40)}", "ts": self.time()}
        event.update(self.answer(model))
        if r.random() < 0.3: event["slice"] = {"region": r.choice(["eu", "us"])}
        if r.random() < 0.05: r.choice(self.spoilers(event))()
        return event

    def spoilers(self, event):
        return [lambda: event.pop("id"), lambda: event.pop("ts"), lambda: event.update(id=7), lambda: event.update(ts="today"),
                lambda: event.update(model="nobody"), lambda: event.update(prediction=math.nan, score=math.nan),
                lambda: event.update(prediction=None, score=None), lambda: event.update(prediction="no such", score=1.5)]

    def time(self):
        r = self.random
        if r.random() < 0.4: return r.choice(self.ends) - r.choice([0, HOUR, 24 * HOUR, 168 * HOUR]) + r.choice([-1, 0, 1])
        return NOW - int(r.choice([HOUR, 24 * HOUR, 168 * HOUR, 220 * HOUR]) * r.random())

    def number(self):
        r = self.random
        if self.numbers == "offset": return 1e9 + r.gauss(0, 1e-3)
        if self.numbers == "constant": return 0.1
        if self.numbers == "huge": return r.choice([1e160, -1e200, r.gauss(0, 1)])
        if self.numbers == "zeros": return r.choice([0, -0.0, 1e-100, 1, -2.5])
        return r.gauss(10, 3)

    def spelled(self, name):
        return self.random.choice(SPELLINGS.get(name, [name]))

    def answer(self, model):
        r, setup = self.random, MODELS[model]
        if setup["task"] == "regression": return {"prediction": self.number()}
        name = self.spelled(r.choice(setup["classes"]))
        if setup["task"] == "multiclass":
            weights = [r.random() + 0.01 for _ in setup["classes"]]
            scores = {name: weight / sum(weights) for name, weight in zip(setup["classes"], weights)}
            said = name if r.random() < 0.95 else "unheard of"
            return {"prediction": said, "scores": scores} if r.random() < 0.8 else {"prediction": said}
        score = r.gauss(0, 2) if model == "margin" else r.choice([r.random(), round(r.random(), 1), 0.7, 0.25, 0, 1])
        return r.choice([{"score": score}, {"score": score}, {"prediction": name}, {"score": score, "prediction": name}])

    def label(self):
        r = self.random
        model = r.choice(self.models)
        task = MODELS[model]["task"]
        told = self.number() if task == "regression" else self.spelled(r.choice(MODELS[model]["classes"]))
        if task == "multiclass" and r.random() < 0.05: told = "unseen"
        if r.random() < 0.12: told = None
        event = {"kind": "label", "model": model, "id": f"p{r.randrange(40)}", "label": told, "ts": NOW - r.randrange(50) * HOUR}
        if r.random() < 0.15: del event["ts"]
        if r.random() < 0.05:
            r.choice([lambda: event.pop("label"), lambda: event.update(label="" if task == "multiclass" else "no such"),
                      lambda: event.update(label=[1]), lambda: event.update(model="nobody"), lambda: event.update(ts="today")])()
        return event


def permuted(events, seed):
    """Any order, but for what the rules decide by arrival: predictions of one id, labels of one id and ts."""
    kept = [{**event, "ts": event.get("ts", event["at"])} if event["kind"] == "label" else event
            for event in events if event["kind"] in ("prediction", "label")]
    ties = {}
    for place, event in enumerate(kept):
        what = "version" if event["kind"] == "prediction" else "ts"
        ties.setdefault(repr([event["kind"], event.get("model"), event.get("id"), event.get(what)]), []).append(place)
    order = list(range(len(kept)))
    random.Random(seed).shuffle(order)
    place_of = {place: new for new, place in enumerate(order)}
    for places in ties.values():
        for place, new in zip(places, sorted(place_of[place] for place in places)): order[new] = place
    first = min((event["at"] for event in kept), default=NOW)
    return [{**kept[place], "at": first + i} for i, place in enumerate(order)] + [e for e in events if e.get("name", "").startswith("end")]


def doubled(events):
    return [event for event in events for _ in range(2 if event["kind"] in ("prediction", "label") else 1)]


# ---- rules 1 to 9

def is_number(value): return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
def is_time(value): return isinstance(value, int) and not isinstance(value, bool)
def is_name(value): return isinstance(value, str) and value != ""


def class_of(value):
    """One spelling for 1, 1.0, true and "1"; None: it is no class."""
    if isinstance(value, str): return value or None
    if isinstance(value, bool) or (is_number(value) and value == int(value)): return str(int(value))
    return None


def usable(event):
    setup = MODELS.get(event.get("model"))
    if setup is None or not is_time(event.get("ts")) or not all(is_name(event.get(key)) for key in ("id", "version")): return False
    said, score = event.get("prediction"), event.get("score")
    if setup["task"] == "regression": return is_number(said)
    if setup["task"] == "multiclass": return class_of(said) is not None
    if score is not None and not (is_number(score) and ("score_kind" in setup or 0 <= score <= 1)): return False
    return (said is not None or score is not None) and (said is None or class_of(said) in setup["classes"])


def truth_of(event):
    """(ts, value); None: the label is refused."""
    setup, ts = MODELS.get(event.get("model")), event.get("ts", event["at"])
    if setup is None or not is_name(event.get("id")) or "label" not in event or not is_time(ts): return None
    told = event["label"]
    if told is None: return ts, None
    if setup["task"] == "regression": return (ts, float(told)) if is_number(told) else None
    name = class_of(told)
    known = name is not None and (setup["task"] == "multiclass" or name in setup["classes"])
    return (ts, name) if known else None


def answers(events, evaluated):
    predictions, truths, queries = {}, {}, []
    for event in events:
        if event["kind"] == "prediction" and usable(event):
            predictions.setdefault((event["model"], event["version"], event["id"]), event)
        elif event["kind"] == "label":
            truth, key = truth_of(event), (event.get("model"), event.get("id"))
            if truth is not None and (key not in truths or truth[0] >= truths[key][0]): truths[key] = truth
        elif event["kind"] == "query":
            queries.append({"name": event["name"], "at": event["at"], "groups": groups_at(event["at"], predictions, truths, evaluated)})
    return queries


def groups_at(at, predictions, truths, evaluated):
    members = {}
    for (model, version, _), row in predictions.items():
        members.setdefault((model, version, ""), []).append(row)
        for name, value in row.get("slice", {}).items(): members.setdefault((model, version, f"{name}={value}"), []).append(row)
    groups = []
    for (model, version, part), rows in sorted(members.items()):
        for window, length in WINDOWS.items():
            inside = [row for row in rows if length is None or at - length < row["ts"] <= at]
            pairs = [(row, truths[(model, row["id"])][1]) for row in inside if truths.get((model, row["id"]), (0, None))[1] is not None]
            # In one order, or the last digits of what numpy adds up would depend on it.
            pairs.sort(key=lambda pair: pair[0]["id"])
            key = json.dumps([model, [[{**row, "at": 0}, truth] for row, truth in pairs]])
            if key not in evaluated: evaluated[key] = evaluate(MODELS[model], pairs)
            groups.append({"model": model, "version": version, "slice": part, "window": window, "n_predictions": len(inside),
                           "n_labeled": len(pairs), "coverage": len(pairs) / len(inside) if inside else None, **evaluated[key]})
    return groups


# ---- rules 10 to 14

def evaluate(setup, pairs):
    names = NAMES[setup["task"]]
    empty = {"regression": {}, "binary": {"confusion": dict.fromkeys(("tp", "fp", "fn", "tn"), 0)}, "multiclass": {"confusion": {}}}
    if not pairs:
        return {"metrics": dict.fromkeys(names), "undefined": dict.fromkeys(names, "no_labels"), "extra": {}, **empty[setup["task"]]}
    values, extra, more = {"regression": regression, "binary": binary, "multiclass": multiclass}[setup["task"]](setup, pairs)
    # A text where a number should be is the reason why there is none.
    reasons = {name: value for name, value in values.items() if isinstance(value, str)}
    metrics = {name: None if name in reasons else values[name] for name in names}
    return {"metrics": metrics, "undefined": reasons, "extra": extra, **more}


def regression(_, pairs):
    truths, errors = [truth for _, truth in pairs], [truth - float(row["prediction"]) for row, truth in pairs]
    exact = [Fraction(truth) for truth in truths]
    sizes = [Fraction(abs(error)) for error in errors]
    n, mean = len(pairs), sum(exact) / len(pairs)
    spread = sum((truth - mean) ** 2 for truth in exact)
    values = {"mae": float(sum(sizes) / n)}
    if any(math.isinf(error * error) for error in errors): values.update(mse="overflow", rmse="overflow", r2="overflow")
    else:
        squares = sum(Fraction(error * error) for error in errors)
        values.update(mse=float(squares / n), rmse=math.sqrt(squares / n))
        values["r2"] = "too_few" if n < 2 else "constant_target" if spread == 0 else float(1 - squares / spread)
    extra = {"me": float(sum(map(Fraction, errors)) / n), "medae": float(np.median(np.abs(errors))), "max_error": max(map(abs, errors))}
    if any(abs(truth) < np.finfo(float).eps for truth in truths): values["mape"] = "zero_target"
    else: extra["mape"] = float(sum(size / abs(truth) for size, truth in zip(sizes, exact)) / n)
    if any(truths): extra["wape"] = float(sum(sizes) / sum(map(abs, exact)))
    return values, extra, {}


def binary(setup, pairs):
    positive, threshold = setup["positive"], setup.get("threshold", 0.5)
    said = [class_of(row["prediction"]) == positive if row.get("prediction") is not None else row["score"] >= threshold for row, _ in pairs]
    true = [truth == positive for _, truth in pairs]
    count = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}
    for s, t in zip(said, true): count[("t" if s == t else "f") + ("p" if s else "n")] += 1
    tp, fp, fn, tn = (count[name] for name in ("tp", "fp", "fn", "tn"))
    values = {"accuracy": (tp + tn) / len(pairs), "precision": tp / (tp + fp) if tp + fp else "no_predicted_positive",
              "recall": tp / (tp + fn) if tp + fn else "no_actual_positive",
              "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else "no_positive"}
    extra = {"balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2} if tp + fn and tn + fp else {}
    if "balanced_accuracy" in extra and 0 < tp + fp < len(pairs): extra["mcc"] = float(sk.matthews_corrcoef(true, said))
    scored = [(float(row["score"]), truth == positive) for row, truth in pairs if row.get("score") is not None]
    scores, hits = np.array([score for score, _ in scored]), np.array([hit for _, hit in scored])
    if not scored: values["roc_auc"] = "no_scores"
    elif hits.all() or not hits.any(): values["roc_auc"] = "single_class"
    else:
        values["roc_auc"] = float(sk.roc_auc_score(hits, scores))
        extra["average_precision"] = float(sk.average_precision_score(hits, scores))
    if scored and "score_kind" not in setup:
        extra["brier"] = float(np.mean((scores - hits) ** 2))
        extra["log_loss"] = float(sk.log_loss(hits, scores, labels=[False, True]))
        extra["ece10"] = sum(abs((scores - hits)[(scores <= (i + 1) / 10) & ((scores > i / 10) | (i == 0))].sum()) for i in range(10)) / len(scored)
    return values, extra, {"confusion": count}


def multiclass(setup, pairs):
    said, true = [class_of(row["prediction"]) for row, _ in pairs], [truth for _, truth in pairs]
    values, confusion = {"accuracy": float(sk.accuracy_score(true, said))}, {}
    for t, s in zip(true, said): confusion.setdefault(t, {})[s] = confusion.get(t, {}).get(s, 0) + 1
    for average in ("micro", "macro", "weighted"):
        figures = sk.precision_recall_fscore_support(true, said, average=average, zero_division=0)
        values.update({f"{name}_{average}": float(figure) for name, figure in zip(("precision", "recall", "f1"), figures)})
    classes = sorted(setup["classes"])
    scored = [([row["scores"][name] for name in classes], truth) for row, truth in pairs if row.get("scores") and truth in classes]
    truths = [truth for _, truth in scored]
    for name in AREAS:
        if len(set(truths)) < 2: values[name] = "single_class" if scored else "no_scores"
        else:
            kind, average = name.split("_")[2:]
            area = float(sk.roc_auc_score(truths, np.array([each for each, _ in scored]), multi_class=kind, average=average, labels=classes))
            values[name] = "class_absent" if math.isnan(area) else area
    extra = {"balanced_accuracy": float(sk.balanced_accuracy_score(true, said))}
    if scored: extra["log_loss"] = float(sk.log_loss(truths, np.array([each for each, _ in scored]), labels=classes))
    return values, extra, {"confusion": confusion}


def main(folder, first, count):
    warnings.simplefilter("ignore")
    for seed in range(int(first), int(first) + int(count)):
        events, evaluated = Stream(seed).events(), {}
        forms = {"plain": events, "permuted": permuted(events, seed), "doubled": doubled(events)}
        ends = {}
        for form, sent in forms.items():
            queries = answers(sent, evaluated)
            ends[form] = [query for query in queries if query["name"].startswith("end")]
            into = os.path.join(folder, f"{seed}-{form}")
            os.makedirs(into)
            expected = {"queries": queries, "counters": {}, "tolerance": {"default_rel": 1e-9, "default_abs": 1e-12}}
            for name, content in (("config.json", {"models": MODELS}), ("expected.json", expected)):
                with open(os.path.join(into, name), "w") as out: json.dump(content, out)
            with open(os.path.join(into, "events.ndjson"), "w") as out: out.writelines(json.dumps(event) + "\n" for event in sent)
        assert ends["plain"] == ends["permuted"] == ends["doubled"], f"seed {seed}: the rules themselves do not hold"


main(*sys.argv[1:4])
