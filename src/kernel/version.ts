// The version of this package, read from its package.json (one folder above src/ and above dist/).

import { readFileSync } from "node:fs";

function parseVersion(text: string): string {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" && value !== null && "version" in value ? String(value.version) : "0.0.0";
}

export const version = parseVersion(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
