// Certificates and keys of the listener and of the way to the model server, read from their files.

import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { SecretFiles } from "./secret-files.ts";

/** PEM texts for a TLS client. */
export interface ClientTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
}

interface ClientTlsFiles {
  readonly caFile: string | null;
  readonly certFile: string | null;
  readonly keyFile: string | null;
  readonly serverName: string | null;
}

/** PEM texts, and the files they came from, which are looked at again while the sidecar runs. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export function clientTls(files: SecretFiles, tls: ClientTlsFiles | null): ClientTls | null {
  if (tls === null) return null;
  const ca = files.certificate(tls.caFile, "upstream.tls.caFile");
  const cert = files.certificate(tls.certFile, "upstream.tls.certFile");
  const key = files.secret(tls.keyFile, "upstream.tls.keyFile");
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
    ...(tls.serverName === null ? {} : { servername: tls.serverName }),
  };
}

/** The files that the texts of `clientTls` came from, by the same names. */
export function clientTlsFiles(cwd: string, tls: ClientTlsFiles | null): Record<string, string> {
  const named = { ca: tls?.caFile, cert: tls?.certFile, key: tls?.keyFile };
  const files: Record<string, string> = {};
  for (const [name, file] of Object.entries(named)) if (file != null) files[name] = resolve(cwd, file);
  return files;
}

export function serverTls(
  files: SecretFiles,
  tls: { readonly certFile: string; readonly keyFile: string } | null,
  context: { readonly cwd: string; readonly problems: Problem[] },
): ServerTls | null {
  if (tls === null) return null;
  const cert = files.certificate(tls.certFile, "proxy.tls.certFile");
  const key = files.secret(tls.keyFile, "proxy.tls.keyFile");
  if (cert === null || key === null) return null;
  try {
    createSecureContext({ cert, key });
  } catch (thrown) {
    context.problems.push(
      new Problem(
        "config_file",
        `certFile and keyFile must be a certificate and its key, PEM (${messageOf(thrown)})`,
        "proxy.tls",
      ),
    );
    return null;
  }
  const absolute = (file: string): string => resolve(context.cwd, file);
  return { cert, key, certFile: absolute(tls.certFile), keyFile: absolute(tls.keyFile) };
}
