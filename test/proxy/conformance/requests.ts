// Short ways to say a case and a request.

import type { Case } from "./case.ts";

export const must = (id: string, rule: string, play: Case["play"]): Case => ({
  id,
  level: "must",
  rule,
  play,
});
export const should = (id: string, rule: string, play: Case["play"]): Case => ({
  id,
  level: "should",
  rule,
  play,
});

/** By itself: it measures time, or does something to kept connections that would disturb others. */
export const alone = (id: string, rule: string, play: Case["play"]): Case => ({
  ...must(id, rule, play),
  alone: true,
});

/** A request's head. */
export const request = (path: string, lines: readonly string[] = [], method = "GET"): string =>
  [`${method} ${path} HTTP/1.1`, "Host: model.example", ...lines, "", ""].join("\r\n");

export const head = (method: string, path: string, ...lines: string[]): string =>
  [`${method} ${path} HTTP/1.1`, "Host: h", ...lines, "", ""].join("\r\n");

export const post = (path: string, body: string, ...lines: string[]): string =>
  `${head("POST", path, `Content-Length: ${body.length}`, ...lines)}${body}`;

export const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
