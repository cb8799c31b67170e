"""Random streams in the format of the golden cases, with the answers of test/golden/reference.py: odd classes and ids, huge and
tiny numbers, ties, boundaries to the millisecond, corrections, retractions, early labels, duplicates, conflicts, restarts.

usage: golden_random.py FOLDER SEED COUNT  -> FOLDER/<seed>/{config.json,events.ndjson,expected.json}, one folder per seed"""
import importlib.util, json, math, os, random, sys

here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("reference", os.path.join(here, "..", "..", "golden", "reference.py"))
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)
evaluate_plainly = reference.evaluate

HOUR, DAY = 3_600_000, 86_400_000
ODD_NAMES = ["__proto__", "constructor", "toString", "a=b", "x y", "é", "日本", "😀", "1", "0", "true", "null", "NaN", "1.0",
             " 1", "_OTHER", "-0", "1e3", "'", '"', "\\", "a\u0001b", "a\u0000b", "hasOwnProperty", "a" * 300, "length"]
SPELLINGS = {"1": [1, 1.0, True, "1"], "0": [0, 0.0, False, "0", -0.0], "2": [2, 2.0, "2"], "0.5": [0.5, "0.5"]}


def spell(r, name):
    return r.choice(SPELLINGS[name]) if name in SPELLINGS and r.random() < 0.7 else name


def some_float(r, kind):
    if kind == "normal": return r.gauss(0, 1)
    if kind == "integers": return float(r.randint(-5, 5))
    if kind == "offset": return 1e9 + r.gauss(0, 1e-3)
    if kind == "tenth": return 0.1
    if kind == "huge": return r.choice([-1, 1]) * r.choice([1e150, 1e154, 1.4e154, 1e200, 1e300]) * r.random()
    if kind == "tiny": return r.choice([0.0, -0.0, 5e-324, 1e-320, 1e-200, 1e-17, 2.3e-16, -1e-160, 1e-308]) * r.choice([1, 1, r.random()])
    if kind == "wild": return r.choice([-1, 1]) * 10.0 ** r.uniform(-30, 30)
    return float(r.choice([0, 0, 1, 2]))


def some_score(r, kind):
    if kind == "uniform": return r.random()
    if kind == "levels": return r.randint(0, 10) / 10
    if kind == "saturated": return r.choice([0, 1, 1.0, 0.0, 1 - 2 ** -53, 2 ** -1074, r.random() ** 20, 1 - r.random() ** 20])
    if kind == "narrow": return 0.5 + r.choice([-1, 0, 1, 2, -2]) * 2 ** -53 * r.choice([1, 2, 4])
    if kind == "tiny": return 10.0 ** r.uniform(-300, 0)
    if kind == "margin": return r.choice([r.gauss(0, 3), 0.0, -0.0, 1e300, -1e300, float(r.randint(-2, 2))])
    return 0.25


class Model:
    def __init__(self, r, name):
        self.name, self.r = name, r
        self.task = r.choice(["regression", "binary", "binary", "multiclass"])
        self.numbers = r.choice(["normal", "integers", "offset", "tenth", "huge", "tiny", "wild", "few"])
        self.scores = r.choice(["uniform", "levels", "saturated", "narrow", "tiny", "tied", "none", "none"])
        self.config = {"task": self.task}
        if self.task == "binary":
            pair = r.choice([["0", "1"], ["1", "0"], ["ok", "fraud"], ["b", "a"], ["0.5", "2"], r.sample(ODD_NAMES, 2)])
            self.config.update(classes=pair, positive=r.choice(pair))
            if r.random() < 0.3: self.scores = "margin"; self.config["score_kind"] = "margin"
            if r.random() < 0.5: self.config["threshold"] = r.choice([0, 0.5, 0.1, 0.30000000000000004, 1, 5e-4])
        if self.task == "multiclass":
            k = r.choice([2, 3, 3, 4, 7, 24])
            self.config["classes"] = [str(i) for i in range(k)] if k > 7 or r.random() < 0.4 else r.sample(ODD_NAMES, k)
        self.classes = self.config.get("classes", [])
        self.quality = r.choice([0.0, 0.5, 0.9, 1.0])
        self.only = r.choice([None, None, None, r.choice(self.classes) if self.classes else None])
        self.versions = r.sample(["1", "2", "v1", "1.10", "1.9", "ü", "a|b", "__proto__"], r.choice([1, 1, 2, 3]))

    def truth(self):
        r = self.r
        if self.task == "regression": return some_float(r, self.numbers)
        if self.only is not None: return self.only
        if self.task == "multiclass" and r.random() < 0.05: return r.choice(["unseen", "7.5", "3", "99"])
        return r.choice(self.classes)

    def prediction(self, truth):
        r, out = self.r, {}
        if self.task == "regression":
            out["prediction"] = truth if r.random() < self.quality * 0.3 else some_float(r, self.numbers)
            if isinstance(out["prediction"], float) and out["prediction"].is_integer() and abs(out["prediction"]) < 1e9 and r.random() < 0.5: out["prediction"] = int(out["prediction"])
            return out
        said = truth if r.random() < self.quality else r.choice(self.classes)
        if self.task == "binary":
            if self.scores != "none": out["score"] = some_score(r, self.scores)
            if self.scores == "none" or r.random() < 0.3: out["prediction"] = spell(r, said if said in self.classes else self.classes[0])
            if r.random() < 0.1: out.setdefault("prediction", None)
            return out
        out["prediction"] = spell(r, r.choice(["unseen", "77"]) if r.random() < 0.05 else said)
        if self.scores != "none" and r.random() < 0.9:
            w = [r.choice([1, 2, 3]) if self.scores == "levels" else r.random() + 1e-3 for _ in self.classes]
            out["scores"] = {c: x / sum(w) for c, x in zip(self.classes, w)}
        return out

    def bad_label(self):
        r = self.r
        if self.task == "regression": return r.choice(["1", "", True, [1], {}, "abc", [], float("inf")])
        if self.task == "binary": return r.choice(["no such", 3, 0.25, [self.classes[0]], {}, "", "2.0", "True", "1.00"])
        return r.choice(["", [self.classes[0]], {}, []])


def stream(seed):
    r = random.Random(seed)
    names = r.sample(["m", "other", "__proto__", "prix €", "a\u0001b"], r.choice([1, 1, 2, 3]))
    models = [Model(r, name) for name in names]
    start = 1_768_000_000_000 + r.randint(0, 10 * DAY)
    edges = r.random() < 0.4
    restarts = r.random() < 0.4
    # A minute's last millisecond, as the flag strict-boundary promises; otherwise any instant.
    end = (start + r.choice([2 * HOUR, 3 * DAY, 9 * DAY])) // 60_000 * 60_000 + 59_999
    if r.random() < 0.5: end += r.randint(-59_999, 59_999)
    def some_ts():
        if edges and r.random() < 0.6:
            return end - r.choice([0, HOUR, DAY, 7 * DAY]) + r.choice([-60_000, -59_999, -2, -1, 0, 1, 2, 60_000])
        return end - int(r.choice([HOUR, DAY, 7 * DAY, 9 * DAY]) * r.random() * 1.05) + r.choice([0, 0, 0, HOUR])
    ids = [f"p{i}" for i in range(r.choice([1, 5, 30, 80]))] + r.sample([*ODD_NAMES, "p0 ", "P0"], r.choice([0, 3]))
    slices = r.random() < 0.4
    at, events = start, []
    truths, sent = {}, []
    for _ in range(r.choice([20, 60, 120, 300])):
        at += r.choice([0, 1, 1000, 60_000])
        m = r.choice(models); kind = r.random(); i = r.choice(ids)
        truth = truths.setdefault((m.name, i), m.truth())
        if kind < 0.42:
            e = {"kind": "prediction", "id": i, "model": m.name, "version": r.choice(m.versions), "ts": some_ts(), **m.prediction(truth)}
            if slices and r.random() < 0.8:
                e["slice"] = {r.choice(["region", "tier", "__proto__"]): r.choice(["eu", "us", "a=b", 7, 1.5]) for _ in range(r.choice([1, 1, 2]))}
            if r.random() < 0.06:
                bad = r.choice(["model", "id", "ts", "version", "prediction", "score", "extra"])
                if bad == "extra": e["whatever"] = {"label": 1, "ts": 3}
                elif bad == "prediction": e.pop("prediction", None)
                elif bad == "score": e["score"] = r.choice([1.0000001, -1e-9, "0.5", float("nan"), float("inf"), True, 7, None])
                elif bad == "ts": e["ts"] = r.choice([None, "2026-01-01", 1.5, [1]])
                else: e[bad] = r.choice([None, 7, "", "nobody"])
                if r.random() < 0.3 and bad != "extra": e.pop(bad, None)
            if r.random() < 0.1 and sent: e = dict(r.choice(sent))
            sent.append(dict(e)); e["at"] = at
        elif kind < 0.95:
            y = truth if r.random() < 0.7 else m.truth()
            if m.task != "regression": y = spell(r, y)
            elif isinstance(y, float) and y.is_integer() and abs(y) < 1e9 and r.random() < 0.5: y = int(y)
            if r.random() < 0.15: y = None
            e = {"kind": "label", "id": i, "model": m.name, "label": y, "ts": at + r.choice([0, 0, -1, 1, -1000, 1000, 5, 5])}
            if r.random() < 0.1: e["label"] = m.bad_label()
            if r.random() < 0.15: del e["ts"]
            if r.random() < 0.04: e[r.choice(["model", "id", "ts"])] = r.choice([None, 7, "nobody", 1.5])
            if r.random() < 0.02: e.pop("label", None)
            if r.random() < 0.1: events.append({**e, "at": at})
            e["at"] = at
        elif kind < 0.97 and restarts: e = {"kind": "restart", "at": at}
        elif kind < 0.98: e = {"kind": "query", "name": f"early{len(events)}", "at": r.choice([at, end - HOUR, end])}
        else: e = {"kind": r.choice(["note", "heartbeat"]), "at": at}
        events.append(e)
    events.append({"kind": "query", "name": "last", "at": end})
    if r.random() < 0.5: events.append({"kind": "query", "name": "before", "at": end - r.choice([1, HOUR, DAY])})
    if r.random() < 0.5: events.append({"kind": "query", "name": "after", "at": end + r.choice([1, HOUR, DAY, 8 * DAY])})
    return {"models": {m.name: m.config for m in models}, "name": str(seed), "windows": ["1h", "24h", "7d", "all"], "flags": []}, events


def answers(config, events):
    store, queries = reference.Store(config), []
    # Most windows of a query hold the same rows: each set of rows is evaluated once.
    known, plainly = {}, evaluate_plainly
    def evaluate_once(cfg, pairs, mutant=None):
        key = (id(cfg), tuple((id(row), label) for row, label in pairs))
        if key not in known: known[key] = plainly(cfg, pairs, mutant)
        return dict(known[key])
    reference.evaluate = evaluate_once
    for e in events:
        if e["kind"] == "query":
            queries.append({"name": e["name"], "at": e["at"], "groups": store.query(e["at"])})
        elif e["kind"] in ("prediction", "label"): store.apply(e)
    return {"queries": queries, "counters": store.c, "tolerance": {"default_rel": 1e-9, "default_abs": 0}}


def plain(value):
    """The same as JSON can say it: what is not finite is null."""
    # Standard errors far below any number in use are rounded by scikit-learn and us apart.
    if isinstance(value, dict): return {k: plain(v) for k, v in value.items() if k not in ("mse_se", "mae_se")}
    if isinstance(value, list): return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main(folder, first, count):
    for seed in range(int(first), int(first) + int(count)):
        config, events = stream(seed)
        try: expected = answers(config, events)
        # The reference itself cannot say (a sum beyond the doubles, an infinite difference): no case.
        except (OverflowError, ValueError, TypeError) as error:
            print(f"{seed}: left out, the reference raises {type(error).__name__}: {error}", file=sys.stderr); continue
        into = os.path.join(folder, str(seed)); os.makedirs(into, exist_ok=True)
        json.dump(config, open(os.path.join(into, "config.json"), "w"))
        with open(os.path.join(into, "events.ndjson"), "w") as out:
            for e in events: out.write(json.dumps(e) + "\n")
        json.dump(plain(expected), open(os.path.join(into, "expected.json"), "w"))


main(*sys.argv[1:4])
