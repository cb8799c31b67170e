// Configurations written to a temporary folder and loaded from there.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { loadConfig, type LoadedConfig } from "../../src/config/config.ts";
import { Problems } from "../../src/kernel/problem.ts";

export interface Given {
  readonly yaml?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Name -> text of further files; their mode is 600 unless the name begins with "open". */
  readonly files?: Readonly<Record<string, string>>;
}

export const UPSTREAM = "upstream: http://127.0.0.1:8000\n";

export function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "outrider-config-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function load(t: TestContext, given: Given): LoadedConfig {
  const cwd = folder(t);
  for (const [name, text] of Object.entries(given.files ?? {})) {
    writeFileSync(join(cwd, name), text);
    chmodSync(join(cwd, name), name.startsWith("open") ? 0o644 : 0o600);
  }
  if (given.yaml !== undefined) writeFileSync(join(cwd, "outrider.yaml"), given.yaml);
  return loadConfig({ flags: given.flags ?? {}, env: given.env ?? {}, file: null, cwd });
}

/** The problems of a configuration that must be refused, as `path: message`. */
export function refused(t: TestContext, given: Given): string[] {
  try {
    load(t, given);
  } catch (thrown) {
    if (thrown instanceof Problems) return thrown.problems.map(({ path, message }) => `${path}: ${message}`);
    throw thrown;
  }
  throw new Error("this configuration should have been refused");
}
