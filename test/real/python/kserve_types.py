"""Holds an InferenceService (JSON on standard input) against the types that KServe publishes for Python.

The classes are generated from its OpenAPI description; they are read, not imported, so that none of their dependencies is needed.
What is of Kubernetes' own types (containers, volumes) is passed over here: the test holds it against those as a Pod.
Prints one line for each field that is unknown, or of another type, and exits 1 when there is any.
"""

import ast
import json
import pathlib
import re
import sys


def tables(folder):
    """Class name -> {JSON field: type} of every generated model below `folder`."""
    found = {}
    for path in pathlib.Path(folder).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef):
                continue
            named = {
                item.targets[0].id: ast.literal_eval(item.value)
                for item in node.body
                if isinstance(item, ast.Assign)
                and isinstance(item.targets[0], ast.Name)
                and item.targets[0].id in ("openapi_types", "attribute_map")
            }
            if len(named) == 2:
                types, names = named["openapi_types"], named["attribute_map"]
                found[node.name] = {names[key]: types[key] for key in types}
    return found


PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check(value, kind, path, known):
    listed = re.fullmatch(r"list\[(.+)\]", kind)
    mapped = re.fullmatch(r"dict\((\w+), (.+)\)", kind)
    if listed:
        if not isinstance(value, list):
            yield f"{path}: must be a list"
            return
        for index, item in enumerate(value):
            yield from check(item, listed[1], f"{path}[{index}]", known)
    elif mapped:
        for key, item in value.items():
            yield from check(item, mapped[2], f"{path}.{key}", known)
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            yield f"{path}: must be {kind}"
    elif kind in known:
        if not isinstance(value, dict):
            yield f"{path}: must be {kind}"
            return
        for key, item in value.items():
            if key not in known[kind]:
                yield f"{path}.{key}: {kind} has no such field"
            else:
                yield from check(item, known[kind][key], f"{path}.{key}", known)


site = pathlib.Path(sys.argv[1])
known = tables(site / "kserve/models")
problems = list(check(json.load(sys.stdin), "V1beta1InferenceService", "InferenceService", known))
print("\n".join(problems))
sys.exit(1 if problems else 0)
