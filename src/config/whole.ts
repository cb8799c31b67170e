// The sections put together: checks that look across them, files read, defaults that depend on others.

import { resolve } from "node:path";
import type * as z from "zod";
import { Problem } from "../kernel/problem.ts";
import { formatDuration, parseDuration } from "../kernel/units.ts";
import type { Address, Origin } from "./addresses.ts";
import { collide, formatAddress, isLoopback } from "./addresses.ts";
import { checkTask } from "./model-task.ts";
import { connectUrl, probeUrl } from "./probe-urls.ts";
import { problemsOf, shown, unknownKey } from "./problems.ts";
import { SECTIONS, type SectionName } from "./schema.ts";
import { createSecretFiles, type SecretFiles } from "./secret-files.ts";
import { clientTls, clientTlsFiles, serverTls, type ClientTls } from "./tls-files.ts";

type Out<K extends SectionName> = z.output<(typeof SECTIONS)[K]>;

export interface Findings {
  readonly cwd: string;
  readonly problems: Problem[];
  readonly warnings: string[];
}

type Raw = Readonly<Record<string, unknown>>;

function checkedSections(raw: Raw, findings: Findings) {
  const section = <S extends z.ZodType>(key: SectionName, schema: S): z.output<S> | null => {
    const given = Object.hasOwn(raw, key) ? raw[key] : undefined;
    const parsed = schema.safeParse(given);
    if (parsed.success) return parsed.data;
    findings.problems.push(...problemsOf(parsed.error.issues, [key], { [key]: given }));
    return null;
  };
  const known = Object.keys(SECTIONS);
  for (const key of Object.keys(raw)) {
    if (!known.includes(key)) findings.problems.push(unknownKey([], key, known));
  }
  return {
    upstream: section("upstream", SECTIONS.upstream),
    proxy: section("proxy", SECTIONS.proxy),
    telemetry: section("telemetry", SECTIONS.telemetry),
    api: section("api", SECTIONS.api),
    store: section("store", SECTIONS.store),
    capture: section("capture", SECTIONS.capture),
    models: section("models", SECTIONS.models),
    // Null is a good value of these two, so what they hold is wrapped.
    probes: { value: section("probes", SECTIONS.probes) },
    target: section("target", SECTIONS.target),
    otlp: { value: section("otlp", SECTIONS.otlp) },
    registries: section("registries", SECTIONS.registries),
    slo: section("slo", SECTIONS.slo),
    alerts: section("alerts", SECTIONS.alerts),
  };
}

type Sections = ReturnType<typeof checkedSections>;

function problem(findings: Findings, path: string, message: string): void {
  findings.problems.push(new Problem("config_invalid", message, path));
}

function checkListeners(sections: Sections, findings: Findings): void {
  const listeners: [string, Address][] = [];
  for (const name of ["proxy", "telemetry", "api"] as const) {
    const listen = sections[name]?.listen;
    if (listen === undefined) continue;
    const other = listeners.find(([, taken]) => collide(taken, listen));
    if (other !== undefined) {
      problem(findings, `${name}.listen`, `must not be the same as ${other[0]} (${formatAddress(listen)})`);
    }
    listeners.push([`${name}.listen`, listen]);
  }
  const upstream = sections.upstream?.http;
  const listen = sections.proxy?.listen;
  if (upstream?.kind !== "tcp" || listen === undefined) return;
  const own =
    collide(listen, upstream) ||
    (listen.port === upstream.port && isLoopback(upstream.host) && isLoopback(listen.host));
  if (own) problem(findings, "upstream.http", `must not be our own traffic listener (${upstream.url})`);
}

function checkTasks(raw: Raw, findings: Findings): void {
  const models: unknown = raw["models"];
  for (const [index, model] of (Array.isArray(models) ? models : []).entries()) {
    checkTask(model, (key, message) => problem(findings, `models[${index}].${key}`, message));
  }
}

function checkModels(sections: Sections, findings: Findings): void {
  const types = new Set((sections.registries ?? []).map((registry) => registry.type));
  const retentionMs = sections.store?.retentionMs ?? Number.POSITIVE_INFINITY;
  for (const [index, model] of (sections.models ?? []).entries()) {
    const { version } = model;
    if (
      version !== null &&
      "registry" in version &&
      sections.registries !== null &&
      !types.has(version.registry)
    ) {
      problem(
        findings,
        `models[${index}].version.registry`,
        `needs an entry of type ${version.registry} in \`registries\``,
      );
    }
    const late =
      model.labelHorizonMs > retentionMs ? [`labelHorizon ${formatDuration(model.labelHorizonMs)}`] : [];
    const long = model.windows
      .filter((window) => (parseDuration(window) ?? 0) > retentionMs)
      .map((window) => `window ${window}`);
    for (const what of [...late, ...long]) {
      findings.warnings.push(
        `models[${index}]: ${what} is longer than store.retention (${formatDuration(retentionMs)})`,
      );
    }
  }
}

/** A window that no model measures would make its alerts silent. */
function checkAlertWindows({ models, alerts }: Sections, findings: Findings): void {
  if (models === null || alerts === null) return;
  for (const key of ["window", "previousWindow"] as const) {
    for (const [index, model] of models.entries()) {
      if (model.windows.includes(alerts[key])) continue;
      findings.warnings.push(
        `alerts.${key}: models[${index}] has no window ${alerts[key]}, so its quality alerts stay silent`,
      );
    }
  }
}

function settleTokens(tokens: Out<"api">["tokens"], files: SecretFiles, findings: Findings) {
  return tokens.map(({ name, sha256, sha256File, scopes }, index) => {
    const key = `api.tokens[${index}].sha256File`;
    const digest = sha256 ?? files.secret(sha256File, key)?.split(/\s/)[0]?.toLowerCase() ?? "";
    if (sha256 === null && digest !== "" && !/^[0-9a-f]{64}$/.test(digest)) {
      problem(findings, key, "must hold the SHA-256 of the token as 64 hex digits");
    }
    return { name, sha256: digest, scopes };
  });
}

function settleHeaders(
  otlp: NonNullable<Out<"otlp">>,
  files: SecretFiles,
  findings: Findings,
): Record<string, string> {
  const headers: Record<string, string> = { ...otlp.headers };
  const lines = files.secret(otlp.headersFile, "otlp.headersFile")?.split(/\r?\n/) ?? [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "" || line.trimStart().startsWith("#")) continue;
    const match = /^\s*([A-Za-z0-9!#$%&'*+.^_`|~-]{1,128})\s*:\s*(.*?)\s*$/.exec(line);
    if (match === null)
      problem(
        findings,
        "otlp.headersFile",
        `must hold \`name: value\` in each line; line ${index + 1} does not`,
      );
    else headers[(match[1] ?? "").toLowerCase()] = match[2] ?? "";
  }
  return headers;
}

function settleOtlp(otlp: Out<"otlp">, files: SecretFiles, findings: Findings) {
  if (otlp === null) return null;
  const { headersFile: _read, every, ...rest } = otlp;
  return { ...rest, headers: settleHeaders(otlp, files, findings), intervalMs: every };
}

function settleRegistries(registries: Out<"registries">, files: SecretFiles, cwd: string) {
  return registries.map(({ tokenFile, webhookSecretFile, ...rest }, index) => ({
    ...rest,
    token: rest.token ?? files.secret(tokenFile, `registries[${index}].tokenFile`),
    // Kept: tokens are renewed in their files while we run.
    tokenFile: tokenFile === null ? null : resolve(cwd, tokenFile),
    webhookSecret:
      rest.webhookSecret ?? files.secret(webhookSecretFile, `registries[${index}].webhookSecretFile`),
  }));
}

interface UpstreamContext {
  readonly origin: Origin;
  readonly tls: ClientTls | null;
  readonly findings: Findings;
}

const DEFAULT_PROBE = { name: "upstream", everyMs: 15_000, timeoutMs: 2000, expectStatus: null };

function settleProbes(probes: Out<"probes">, { origin, tls, findings }: UpstreamContext) {
  if (probes === null) return [{ ...DEFAULT_PROBE, url: connectUrl(origin), tls }];
  return probes.map((probe, index) => {
    const url = probeUrl(probe.url, origin);
    if ("wrong" in url) problem(findings, `probes[${index}].url`, `${url.wrong}, not ${shown(probe.url)}`);
    const ofUpstream = probe.url.startsWith("{upstream}");
    return { ...probe, url: "value" in url ? url.value : "", tls: ofUpstream ? tls : null };
  });
}

/** What is watched, with the address of the upstream filled in for "auto". */
export type Target =
  | { readonly kind: "auto"; readonly port: number | null; readonly host: string | null; readonly page: Page }
  | { readonly kind: "pid"; readonly pid: number }
  | { readonly kind: "pidFile"; readonly path: string }
  | { readonly kind: "processName"; readonly pattern: string }
  | { readonly kind: "cgroup"; readonly path: string }
  | { readonly kind: "port"; readonly port: number }
  | ({ readonly kind: "metrics" } & Page);

interface Page {
  readonly url: string;
  readonly tls: ClientTls | null;
}

function settlePage(text: string, { origin, tls, findings }: UpstreamContext): Page {
  const url = probeUrl(text, origin);
  const wrong = "wrong" in url ? url.wrong : null;
  const isPage = "value" in url && /^(?:https?:|unix:[^:]+:\/)/i.test(url.value);
  if (wrong !== null || !isPage)
    problem(
      findings,
      "target.metrics",
      `${wrong ?? "must be a page, not only an address"}, not ${shown(text)}`,
    );
  return { url: "value" in url ? url.value : "", tls: text.startsWith("{upstream}") ? tls : null };
}

function settleTarget(target: Out<"target">, context: UpstreamContext): Target {
  const { origin, findings } = context;
  const { cwd } = findings;
  if (target === "auto") {
    const tcp = origin.kind === "tcp" ? origin : null;
    // Tried in HTTP/1.1 whatever else is spoken there: a page that cannot be had is left out.
    const asHttp: Origin = { ...origin, url: origin.url.replace(/^h2c:/, "http:") };
    const page = settlePage("{upstream}/metrics", { ...context, origin: asHttp });
    return { kind: "auto", port: tcp?.port ?? null, host: tcp?.host ?? null, page };
  }
  if (target.metrics !== undefined) return { kind: "metrics", ...settlePage(target.metrics, context) };
  if (target.pid !== undefined) return { kind: "pid", pid: target.pid };
  if (target.pidFile !== undefined) return { kind: "pidFile", path: resolve(cwd, target.pidFile) };
  if (target.processName !== undefined) return { kind: "processName", pattern: target.processName };
  if (target.cgroup !== undefined) return { kind: "cgroup", path: target.cgroup };
  return { kind: "port", port: target.port ?? 0 };
}

/** Checks everything and builds the effective configuration; null when `findings.problems` says why not. */
export function settleConfig(raw: Raw, findings: Findings) {
  const sections = checkedSections(raw, findings);
  checkListeners(sections, findings);
  checkTasks(raw, findings);
  checkModels(sections, findings);
  checkAlertWindows(sections, findings);
  const files = createSecretFiles(findings.cwd, findings);
  const { upstream, proxy, telemetry, api, store, capture, models, registries, slo, alerts } = sections;
  const upstreamPem = clientTls(files, upstream?.tls ?? null);
  const tlsFiles = clientTlsFiles(findings.cwd, upstream?.tls ?? null);
  const proxyPem = serverTls(files, proxy?.tls ?? null, findings);
  const tokens = settleTokens(api?.tokens ?? [], files, findings);
  const otlp = settleOtlp(sections.otlp.value, files, findings);
  const settledRegistries = settleRegistries(registries ?? [], files, findings.cwd);
  const origin = upstream?.http ?? null;
  const context = origin === null ? null : { origin, tls: upstreamPem, findings };
  const probes = context === null ? [] : settleProbes(sections.probes.value, context);
  const target = context === null ? null : settleTarget(sections.target ?? "auto", context);
  if (findings.problems.length > 0 || sections.target === null) return null;
  if (origin === null || target === null || proxy === null || telemetry === null || api === null) return null;
  if (store === null || capture === null || models === null) return null;
  if (slo === null || alerts === null) return null;
  const address = origin.kind === "tcp" ? { host: origin.host, port: origin.port } : null;
  return {
    upstream: { http: origin.url, address, grpc: upstream?.grpc?.url ?? null, tls: upstreamPem, tlsFiles },
    proxy: { ...proxy, tls: proxyPem },
    telemetry,
    api: { listen: api.listen, tokens },
    store: { ...store, path: resolve(findings.cwd, store.path) },
    capture,
    models,
    probes,
    target,
    otlp,
    registries: settledRegistries,
    slo,
    alerts,
  };
}
