// Secrets and certificates from files: read once at start; what is wrong names the key, never the content.

import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { codeOf, messageOf, Problem } from "../kernel/problem.ts";

const FILE_BYTES_MAX = 1024 * 1024;
const OTHERS_MAY_READ = 0o004;

export interface SecretFiles {
  /** The trimmed text of a secret; warns when every user of the machine may read it. */
  secret(path: string | null, key: string): string | null;
  /** The text of a certificate. */
  certificate(path: string | null, key: string): string | null;
}

interface Findings {
  readonly problems: Problem[];
  readonly warnings: string[];
}

export function createSecretFiles(cwd: string, findings: Findings): SecretFiles {
  const read = (path: string, key: string): { text: string; mode: number } | null => {
    const file = resolve(cwd, path);
    try {
      const { mode, size } = statSync(file);
      if (size > FILE_BYTES_MAX) throw new Error(`it is larger than ${FILE_BYTES_MAX} bytes`);
      const text = readFileSync(file, "utf8").trim();
      if (text === "") throw new Error("it is empty");
      return { text, mode };
    } catch (thrown) {
      const why =
        codeOf(thrown) === "ENOENT" ? "there is no such file" : (codeOf(thrown) ?? messageOf(thrown));
      findings.problems.push(new Problem("config_file", `cannot read ${file}: ${why}`, key));
      return null;
    }
  };
  return {
    secret: (path, key) => {
      const found = path === null ? null : read(path, key);
      // Windows has no such bits: every file looks readable there.
      if (found !== null && process.platform !== "win32" && (found.mode & OTHERS_MAY_READ) !== 0) {
        findings.warnings.push(`${key}: every user of this machine can read ${String(path)}; chmod 600 it`);
      }
      return found?.text ?? null;
    },
    certificate: (path, key) => (path === null ? null : (read(path, key)?.text ?? null)),
  };
}
