// What a request asks for: its query by a schema, its path parameters.

import type { Request } from "express";
import type { z } from "zod";
import { ApiProblem } from "./problems.ts";

/** The query by its schema; a parameter that is unknown, repeated or too long is refused, not ignored. */
export function parseQuery<T extends z.ZodObject>(schema: T, request: Request): z.infer<T> {
  const parsed = schema.safeParse({ ...request.query });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  const known = Object.keys(schema.shape).join(", ");
  throw new ApiProblem(
    "invalid_parameter",
    `${where === "" ? "" : `${where}: `}${issue?.message ?? "refused"}; known parameters: ${known}`,
  );
}

export function param(request: Request, name: string): string {
  const value = request.params[name];
  return typeof value === "string" ? value : "";
}
