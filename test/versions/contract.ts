// Requests and answers held against an OpenAPI description: path, method, parameters, and the schemas of both bodies.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Asked, Said } from "./registry-server.ts";

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: { readonly type: string; readonly maximum?: number };
}
interface Content {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}
interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Content>>;
}
type Path = Readonly<Record<string, Operation>> & { readonly parameters?: readonly Parameter[] };

/** OpenAPI 3.0 says `nullable` beside a reference; JSON Schema wants a choice. */
function plainNulls(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(plainNulls);
  if (typeof node !== "object" || node === null) return node;
  const { nullable, ...rest } = Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, plainNulls(value)]),
  );
  return nullable === true ? { anyOf: [rest, { type: "null" }] } : rest;
}

/** Real servers write null where their description has a text or nothing. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, held]) => (held === null ? [] : [[key, withoutNulls(held)]])),
  );
}

function checkQuery(operation: Operation, path: Path, { query, path: asked }: Asked): void {
  const parameters = [...(path.parameters ?? []), ...(operation.parameters ?? [])];
  const known = new Map(parameters.filter((one) => one.in === "query").map((one) => [one.name, one]));
  for (const [name, value] of Object.entries(query)) {
    const parameter = known.get(name);
    assert.ok(parameter, `${asked}: no parameter ${name} is described`);
    const { type, maximum = Number.POSITIVE_INFINITY } = parameter.schema;
    if (type === "integer") assert.ok(/^\d+$/.test(value) && Number(value) <= maximum, `${name}=${value}`);
  }
  for (const { name, required } of known.values())
    assert.ok(required !== true || Object.hasOwn(query, name), `${asked}: ${name} is missing`);
}

/** Checks a request, and the answer to it, against a file of test/specs; `base` is the path of its server. */
export function contract(file: string, base: string): (asked: Asked, said: Said) => void {
  const text = readFileSync(join(import.meta.dirname, "../specs", file), "utf8");
  const spec = plainNulls(JSON.parse(text)) as { paths: Readonly<Record<string, Path>> };
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(spec, "spec");
  const fits = (what: string, schema: object | undefined, value: unknown): void => {
    if (schema === undefined) return;
    const local = JSON.parse(JSON.stringify(schema).replaceAll("#/components", "spec#/components")) as object;
    assert.ok(ajv.validate(local, value), `${what}: ${ajv.errorsText()}`);
  };
  return (asked, said) => {
    const what = `${asked.method} ${asked.path}`;
    const below = asked.path.slice(base.length);
    const found = Object.entries(spec.paths).find(([template]) =>
      new RegExp(`^${template.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(below),
    );
    const operation = found?.[1][asked.method.toLowerCase()];
    assert.ok(asked.path.startsWith(base) && found !== undefined && operation, `${what} is not in ${file}`);
    checkQuery(operation, found[1], asked);
    fits(what, operation.requestBody?.content?.["application/json"]?.schema, asked.body);
    const answer = operation.responses[String(said.status ?? 200)];
    assert.ok(answer, `${what}: ${said.status ?? 200} is not described`);
    if ((said.status ?? 200) < 300)
      fits(`answer to ${what}`, answer.content?.["application/json"]?.schema, withoutNulls(said.json ?? {}));
  };
}
