// The reference page of the API, from its route table.

import { z } from "zod";
import { cell, code } from "../kernel/markdown.ts";
import { PROBLEM_STATUS } from "./problems.ts";
import { ROUTES, type Route } from "./routes.ts";

interface Field {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly description?: string;
  readonly anyOf?: readonly Field[];
  readonly items?: Field;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly required?: readonly string[];
}

function parseSchema(shape: z.ZodType): Field {
  // The one place where a JSON Schema, which has any shape, is looked at as one.
  return z.looseObject({}).parse(z.toJSONSchema(shape, { io: "output", unrepresentable: "any" }));
}

function typeOf(field: Field): string {
  if (field.enum !== undefined) return field.enum.map((one) => JSON.stringify(one)).join(" or ");
  if (field.const !== undefined) return JSON.stringify(field.const);
  if (field.anyOf !== undefined) return [...new Set(field.anyOf.map(typeOf))].join(" or ");
  if (field.type === "array")
    return `array of ${field.items === undefined ? "anything" : typeOf(field.items)}`;
  if (field.type === undefined) return "anything";
  return typeof field.type === "string" ? field.type : field.type.join(" or ");
}

function fieldRows(field: Field, prefix = ""): string[] {
  return Object.entries(field.properties ?? {}).flatMap(([name, inner]) => {
    const path = `${prefix}${name}`;
    const row = `| ${code(path)} | ${cell(typeOf(inner))} | ${cell(inner.description ?? "")} |`;
    const deeper = inner.items?.properties === undefined ? inner : inner.items;
    const mark = deeper === inner ? "." : "[].";
    // Two levels tell what there is; the OpenAPI document has the rest.
    return prefix.split(".").length > 2 ? [row] : [row, ...fieldRows(deeper, `${path}${mark}`)];
  });
}

function fieldTable(title: string, shape: z.ZodType | null | undefined): string[] {
  const rows = shape === null || shape === undefined ? [] : fieldRows(parseSchema(shape));
  return rows.length === 0
    ? []
    : [`${title}:`, "", "| field | type | meaning |", "|---|---|---|", ...rows, ""];
}

function routeSection(route: Route): string[] {
  const refusals = [...route.refusals, ...(route.scope === null ? [] : [401]), 403].toSorted((a, b) => a - b);
  const bodies = Object.entries(route.body?.types ?? {});
  const [, firstShape] = bodies[0] ?? [];
  const object = bodies.map(([, shape]) => shape).find((shape) => shape instanceof z.ZodObject) ?? firstShape;
  return [
    `## ${route.method.toUpperCase()} ${route.path}`,
    "",
    route.summary,
    "",
    `Scope: ${route.scope === null ? "none" : code(route.scope)}. Refused with: ${refusals.join(", ")}.${
      bodies.length === 0 ? "" : ` Takes: ${bodies.map(([type]) => code(type)).join(", ")}.`
    }`,
    "",
    ...fieldTable("Query", route.query),
    ...fieldTable("Body", object),
    ...fieldTable("Answer", route.answer.shape),
  ];
}

export function apiPage(): string {
  const codes = Object.entries(PROBLEM_STATUS)
    .toSorted(([, a], [, b]) => a - b)
    .map(([name, status]) => `| ${status} | ${code(name)} |`);
  const routes: readonly Route[] = ROUTES;
  return [
    "# API",
    "",
    "Generated from the route table by `npm run generate`; the same as OpenAPI 3.1 is in [openapi.json](openapi.json) and at `GET /openapi.json`. Refusals are `application/problem+json` (RFC 9457) with a stable `code`. Off loopback every call with a scope needs `Authorization: Bearer <token>`.",
    "",
    ...routes.flatMap(routeSection),
    "## Codes of refusals",
    "",
    "| status | code |",
    "|---|---|",
    ...codes,
    "",
  ].join("\n");
}
