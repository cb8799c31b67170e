// The path language of the configuration: `$.a.b[0]["odd name"].c`, or one bare key. No wildcards, no filters, no surprises.

/** Keys (text) and array positions (numbers), outermost first. Empty: the whole document. */
export type JsonPath = readonly (string | number)[];

const CHARACTERS_MAX = 1024;
const STEPS_MAX = 32;
/** One step at a time: `.name`, `[12]`, `['name']` or `["name"]`. */
const STEP = /\.([^.[\]\s'"]+)|\[(?:(\d{1,9})|'([^']*)'|"([^"]*)")\]/y;

/** Parses `text`; null when it is no path. A text that does not begin with `$` names one key of the document. */
export function parsePath(text: string): JsonPath | null {
  if (text === "" || text.length > CHARACTERS_MAX) return null;
  if (!text.startsWith("$")) return [text];
  const steps: (string | number)[] = [];
  STEP.lastIndex = 1;
  while (STEP.lastIndex < text.length) {
    const match = STEP.exec(text);
    if (match === null || steps.length === STEPS_MAX) {
      STEP.lastIndex = 0;
      return null;
    }
    const [, name, position, single, double] = match;
    steps.push(position === undefined ? (name ?? single ?? double ?? "") : Number(position));
  }
  return steps;
}

/** What stands at `path` in parsed JSON; undefined when nothing does. Own properties only. */
export function readPath(document: unknown, path: JsonPath): unknown {
  let at: unknown = document;
  for (const step of path) {
    if (typeof at !== "object" || at === null) return undefined;
    if (typeof step === "number" && !Array.isArray(at)) return undefined;
    if (typeof step === "string" && Array.isArray(at)) return undefined;
    if (!Object.hasOwn(at, step)) return undefined;
    at = Reflect.get(at, step);
  }
  return at;
}
