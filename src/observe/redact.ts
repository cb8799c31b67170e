// What must never be kept of a request: taken out of its parsed body before anything else looks at it.

import { parsePath, type JsonPath } from "../kernel/jsonpath.ts";
import { Problem } from "../kernel/problem.ts";
import { isList, isObject } from "./json.ts";

export interface Redaction {
  /**
   * The parsed body without the places, changed in place: they are gone, or hold `mark`. A name met at a list is meant in
   * each of its elements. undefined when the whole document is redacted.
   */
  clean(document: unknown, mark?: string): unknown;
  /** Whether a column, tensor or position of that name may be kept: the last name of a redacted path may stand nowhere. */
  allows(name: string): boolean;
}

function remove(at: unknown, path: JsonPath, mark: string | undefined): void {
  const [step, ...rest] = path;
  if (step === undefined) return;
  if (isList(at) && typeof step === "string") {
    for (const element of at) remove(element, path, mark);
    return;
  }
  if ((!isList(at) && !isObject(at)) || !Object.hasOwn(at, step)) return;
  if (rest.length > 0) remove(Reflect.get(at, step), rest, mark);
  else if (isList(at) || mark !== undefined) Reflect.set(at, step, mark ?? null);
  else Reflect.deleteProperty(at, step);
}

/** Throws a `Problem` for a path that is none. */
export function createRedaction(paths: readonly string[]): Redaction {
  const parsed = paths.map((text) => {
    const path = parsePath(text);
    if (path === null) throw new Problem("invalid_path", "is no path", text);
    return path;
  });
  const names = new Set(parsed.flatMap((path) => path.slice(-1).map(String)));
  const whole = parsed.some((path) => path.length === 0);
  return {
    clean: (document, mark) => {
      if (whole) return undefined;
      for (const path of parsed) remove(document, path, mark);
      return document;
    },
    allows: (name) => !names.has(name) && !names.has(name.slice(0, name.lastIndexOf("."))),
  };
}
