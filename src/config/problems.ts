// What zod found, as Problems people can act on: the path, what is wrong, the value, the fix.

import type * as z from "zod";
import { Problem } from "../kernel/problem.ts";
import { isSecret, keysAt, nearest } from "./keys.ts";

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

const SHOWN_MAX = 60;

const KINDS: Readonly<Record<string, string>> = {
  object: "a map of keys",
  record: "a map of keys",
  array: "a list",
  string: "text",
  number: "a number",
  boolean: "true or false",
};

/** `models[0].task`. */
export function dotted(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else text += text === "" ? String(step) : `.${String(step)}`;
  }
  return text;
}

function valueAt(value: unknown, path: Path): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined;
    at = Reflect.get(at, step);
  }
  return at;
}

/** A value for a message: short, and without the password of a URL. */
export function shown(value: unknown): string {
  const whole = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  const text = whole.replace(/(:\/\/)[^/?#@]*@/, "$1[hidden]@");
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** An unknown key, with the one that was probably meant. */
export function unknownKey(path: Path, key: string, known: readonly string[]): Problem {
  const near = nearest(key, known);
  const fix = near === null ? `known here: ${known.join(", ")}` : `did you mean "${near}"?`;
  return new Problem(
    "config_unknown_key",
    `is not a known key; ${fix}`,
    dotted([...path, key.slice(0, 128)]),
  );
}

/** The branches of a union that fit the kind of the value; what they say is what is wrong. */
function fittingBranch(issue: Extract<Issue, { code: "invalid_union" }>): readonly Issue[] {
  const about = (branch: readonly Issue[]): boolean => {
    const [first] = branch;
    const elsewhere = first === undefined || first.path.length > 0 || branch.length > 1;
    return elsewhere || (first.code !== "invalid_type" && first.code !== "invalid_value");
  };
  const fitting = issue.errors.filter(about);
  return fitting.length === 1 ? (fitting[0] ?? []) : [];
}

function messageFor(issue: Issue): string {
  if (issue.code === "invalid_type" && issue.message.startsWith("Invalid input")) {
    return `must be ${KINDS[issue.expected] ?? issue.expected}`;
  }
  if (issue.code === "too_big" && issue.message.startsWith("Too big"))
    return `must be at most ${issue.maximum} long`;
  if (issue.code === "invalid_key") return issue.issues.map((one) => one.message).join("; ");
  return issue.message.startsWith("Invalid input") ? "must be of another kind" : issue.message;
}

function described(issue: Issue, path: Path, root: unknown): Problem {
  const value = valueAt(root, path);
  const message = messageFor(issue);
  if (value === undefined && issue.code !== "custom") {
    const what = message.replace(/^must be /, "");
    return new Problem("config_missing", `is required: ${what}`, dotted(path));
  }
  const aboutValue = message.startsWith("must") && typeof value !== "object";
  const whole = aboutValue && !isSecret(path) ? `${message}, not ${shown(value)}` : message;
  return new Problem("config_invalid", whole, dotted(path));
}

/** Problems for `issues` found in `root` below `prefix`. */
export function problemsOf(issues: readonly Issue[], prefix: Path, root: unknown): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => unknownKey(path, key, keysAt(path)));
    }
    if (issue.code === "invalid_union") {
      const branch = fittingBranch(issue);
      if (branch.length > 0) return problemsOf(branch, path, root);
      const choices = issue.errors
        .map((errors) => errors[0]?.message)
        .find((text) => text?.startsWith("must"));
      const message = issue.message.startsWith("must") ? issue.message : (choices ?? issue.message);
      return [described({ ...issue, message }, path, root)];
    }
    return [described(issue, path, root)];
  });
}
