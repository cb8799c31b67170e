// The route table as an OpenAPI 3.1 document. Pure: the same table gives the same document.

import { z } from "zod";
import { PROBLEM_STATUS } from "./problems.ts";
import { ROUTES, type Route } from "./routes.ts";
import { problemAnswer } from "./schemas.ts";

type Json = Readonly<Record<string, unknown>>;

function schemaOf(shape: z.ZodType | null): Json {
  if (shape === null) return {};
  const { $schema: _dialect, ...schema } = z.toJSONSchema(shape, { io: "output", unrepresentable: "any" });
  return schema;
}

function parametersOf(route: Route): readonly Json[] {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(route.query?.shape ?? {}).map(([name, shape]) => ({
    name,
    in: "query",
    required: false,
    schema: shape instanceof z.ZodType ? schemaOf(shape) : {},
  }));
  return [...inPath, ...inQuery];
}

function codesOf(status: number): string {
  const codes = Object.entries(PROBLEM_STATUS).filter(([, of]) => of === status);
  return codes.map(([code]) => code).join(", ");
}

function responsesOf(route: Route): Json {
  const ok = {
    description: "OK",
    content: { [route.answer.type]: { schema: schemaOf(route.answer.shape) } },
  };
  const refusals = [...route.refusals, ...(route.scope === null ? [] : [401]), 403];
  const entries = refusals
    .toSorted((a, b) => a - b)
    .map((status) => [
      String(status),
      {
        description: codesOf(status) === "" ? "Refused" : codesOf(status),
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      },
    ]);
  return { "200": ok, ...Object.fromEntries(entries) };
}

function operationOf(route: Route): Json {
  const types = Object.entries(route.body?.types ?? {});
  const content = types.map(([type, shape]) => [
    type,
    { schema: shape === null ? { type: "string" } : schemaOf(shape) },
  ]);
  return {
    operationId: route.operation,
    summary: route.summary,
    parameters: parametersOf(route),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: true, content: Object.fromEntries(content) } }),
    responses: responsesOf(route),
    security: route.scope === null ? [] : [{ token: [route.scope] }, {}],
  };
}

/** The OpenAPI 3.1 description of the whole API. */
export function openApiDocument(softwareVersion: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of ROUTES) {
    paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Outrider",
      version: softwareVersion,
      description:
        "Labels in, predictions, quality and versions out. Times are RFC 3339 UTC; errors are RFC 9457.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: { Problem: schemaOf(problemAnswer) },
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description:
            "A token of api.tokens with the scope named. Without api.tokens no token is asked for.",
        },
      },
    },
  };
}

/** The list of calls at `/`. */
export function overviewText(softwareVersion: string): string {
  const width = Math.max(...ROUTES.map((route) => route.path.length));
  const lines = ROUTES.map(
    (route) => `${route.method.toUpperCase().padEnd(5)} ${route.path.padEnd(width)}  ${route.summary}`,
  );
  return `Outrider ${softwareVersion}\n\n${lines.join("\n")}\n`;
}
