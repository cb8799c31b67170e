// What must never be kept of a request: taken out of its parsed body before anything else looks at it.

import { parsePath, type JsonPath } from "../kernel/jsonpath.ts";
import { Problem } from "../kernel/problem.ts";
import { isList, isObject } from "./json.ts";

export interface Redaction {
  /** Takes the places out of a parsed body, in place. A name met at a list is meant in each of its elements. */
  clean(document: unknown): void;
  /** Whether a column, tensor or position of that name may be kept: a redacted path's last step is one nowhere. */
  allows(name: string): boolean;
}

function remove(at: unknown, path: JsonPath, depth: number): void {
  const step = path[depth];
  if (step === undefined) return;
  if (isList(at) && typeof step === "string") {
    for (const element of at) remove(element, path, depth);
    return;
  }
  if (!isList(at) && !isObject(at)) return;
  if (depth < path.length - 1) {
    if (Object.hasOwn(at, step)) remove(Reflect.get(at, step), path, depth + 1);
  } else if (!isList(at)) Reflect.deleteProperty(at, step);
  else if (Object.hasOwn(at, step)) Reflect.set(at, step, null);
}

/** Throws a `Problem` for a path that is none. */
export function createRedaction(paths: readonly string[]): Redaction {
  const parsed = paths.map((text) => {
    const path = parsePath(text);
    if (path === null) throw new Problem("invalid_path", "is no path", text);
    return path;
  });
  const names = new Set(parsed.flatMap((path) => path.slice(-1).map(String)));
  return {
    clean: (document) => {
      for (const path of parsed) remove(document, path, 0);
    },
    allows: (name) => !names.has(name) && !names.has(name.slice(0, name.lastIndexOf("."))),
  };
}
