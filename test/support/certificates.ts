// Self-signed certificates for tests, made by openssl when they are asked for.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** For the DNS name `name`, valid two days; it is its own authority. */
export async function certificate(name: string): Promise<Pair> {
  const dir = mkdtempSync(join(tmpdir(), "outrider-cert-"));
  try {
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${name}`;
    const more = ["-keyout", key, "-out", cert, "-addext", `subjectAltName=DNS:${name}`];
    await promisify(execFile)("openssl", [...words.split(" "), ...more]);
    return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
