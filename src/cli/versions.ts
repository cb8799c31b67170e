// `outrider versions`: the version ledger of a running sidecar, for people and for CI jobs.

import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { Problem } from "../kernel/problem.ts";
import { getText, postText } from "./http.ts";
import { EXIT, type CliIo } from "./io.ts";
import { parseVersions, type ListedVersion } from "./parse-answers.ts";
import { readToken } from "./quality.ts";
import { table } from "./table.ts";

export interface VersionsClient {
  readonly apis: readonly string[];
  readonly tokenFile: string | null;
  readonly json: boolean;
}

interface Target extends VersionsClient {
  readonly model: string;
}

interface Deciding extends Target {
  readonly actor: string | null;
  readonly reason: string | null;
  /** "none": no version may be in production. null: whichever. */
  readonly ifCurrent: string | null;
}

/** Calls about versions go to one sidecar: decisions must not be taken twice. */
function baseOf({ apis, model }: Target): string {
  const [api, ...others] = apis;
  if (api === undefined || others.length > 0)
    throw new Problem(
      "usage",
      "versions: --api takes exactly one address; replicas each keep their own ledger",
    );
  return `${api.replace(/\/$/, "")}/v1/models/${encodeURIComponent(model)}`;
}

function actorOf(given: string | null, env: CliIo["env"]): string {
  if (given !== null) return given;
  if (env["GITHUB_ACTOR"] !== undefined) return `github:${env["GITHUB_ACTOR"]}`;
  try {
    return userInfo().username;
  } catch {
    return "cli";
  }
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file === "-" ? 0 : file, "utf8"));
  } catch (thrown) {
    throw new Problem("bad_file", `${file}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What was decided, in words or as it came. */
function say(text: string, { json }: VersionsClient, io: CliIo): void {
  const answer: unknown = JSON.parse(text);
  io.stdout.write(json || !isObject(answer) ? `${text.trimEnd()}\n` : `${decided(answer)}\n`);
}

function decided(answer: Record<string, unknown>): string {
  const change = answer["changed"] === true ? "" : " (no change)";
  const production = typeof answer["production"] === "string" ? answer["production"] : "none";
  return `${String(answer["model"])} ${String(answer["version"])}: ${String(answer["stage"])}${change}; in production: ${production}`;
}

function time(value: string | null): string {
  return value === null ? "-" : value.slice(0, 19).replace("T", " ");
}

function rowOf(version: ListedVersion): string[] {
  const evaluation = Object.entries(version.metadata?.evaluation ?? {});
  return [
    version.version,
    version.stage ?? "-",
    version.registered ? "yes" : "no",
    time(version.firstSeen),
    time(version.lastSeen),
    String(version.predictions),
    String(version.labels),
    evaluation.map(([metric, value]) => `${metric}=${value}`).join(" "),
  ];
}

const HEAD = [
  "version",
  "stage",
  "registered",
  "first seen",
  "last seen",
  "predictions",
  "labels",
  "evaluation",
];

export async function versionsList(target: Target, io: CliIo): Promise<number> {
  const text = await getText(`${baseOf(target)}/versions`, readToken(target.tokenFile, io.env));
  if (target.json) io.stdout.write(`${text.trimEnd()}\n`);
  else io.stdout.write(table([HEAD, ...parseVersions(JSON.parse(text)).map(rowOf)]));
  return EXIT.ok;
}

export async function versionsShow(
  target: Target & { readonly version: string },
  io: CliIo,
): Promise<number> {
  const url = `${baseOf(target)}/versions/${encodeURIComponent(target.version)}`;
  const text = await getText(url, readToken(target.tokenFile, io.env));
  io.stdout.write(target.json ? `${text.trimEnd()}\n` : `${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  return EXIT.ok;
}

export async function versionsRegister(
  target: Target & { readonly file: string; readonly version: string | null; readonly actor: string | null },
  io: CliIo,
): Promise<number> {
  const given = readJson(target.file);
  if (!isObject(given)) throw new Problem("bad_file", `${target.file}: must hold one JSON object`);
  const version = target.version === null ? {} : { version: target.version };
  const body = { actor: actorOf(target.actor, io.env), ...given, ...version };
  const text = await postText(`${baseOf(target)}/versions`, body, readToken(target.tokenFile, io.env));
  say(text, target, io);
  return EXIT.ok;
}

function decision({ actor, reason, ifCurrent }: Deciding, io: CliIo): Record<string, unknown> {
  const guard = ifCurrent === null ? {} : { ifCurrent: ifCurrent === "none" ? null : ifCurrent };
  return { actor: actorOf(actor, io.env), reason, ...guard };
}

export async function versionsPromote(
  target: Deciding & { readonly version: string; readonly stage: string },
  io: CliIo,
): Promise<number> {
  const url = `${baseOf(target)}/versions/${encodeURIComponent(target.version)}/promote`;
  const body = { ...decision(target, io), stage: target.stage };
  say(await postText(url, body, readToken(target.tokenFile, io.env)), target, io);
  return EXIT.ok;
}

export async function versionsRollback(
  target: Deciding & { readonly to: string },
  io: CliIo,
): Promise<number> {
  const body = { ...decision(target, io), to: target.to };
  say(await postText(`${baseOf(target)}/rollback`, body, readToken(target.tokenFile, io.env)), target, io);
  return EXIT.ok;
}

/** What the registries declare and hold, as the API tells it. */
export async function versionsRegistries(target: Target, io: CliIo): Promise<number> {
  const text = await getText(`${baseOf(target)}/registries`, readToken(target.tokenFile, io.env));
  io.stdout.write(target.json ? `${text.trimEnd()}\n` : `${JSON.stringify(JSON.parse(text), null, 2)}\n`);
  return EXIT.ok;
}

/** Registrations as one JSON array, oldest first: what `versions import` reads. */
export async function versionsExport(target: Target, io: CliIo): Promise<number> {
  const text = await getText(`${baseOf(target)}/versions`, readToken(target.tokenFile, io.env));
  const registered = parseVersions(JSON.parse(text)).flatMap(({ version, metadata }) =>
    metadata === null ? [] : [{ version, ...metadata }],
  );
  io.stdout.write(`${JSON.stringify(registered, null, 2)}\n`);
  return EXIT.ok;
}

export async function versionsImport(
  target: Target & { readonly file: string; readonly actor: string | null },
  io: CliIo,
): Promise<number> {
  const given = readJson(target.file);
  if (!Array.isArray(given))
    throw new Problem("bad_file", `${target.file}: must hold a JSON array of registrations`);
  let changed = 0;
  for (const [index, item] of given.entries()) {
    if (!isObject(item)) throw new Problem("bad_file", `${target.file}: item ${index + 1} is no object`);
    const body = { actor: actorOf(target.actor, io.env), ...item };
    const text = await postText(
      `${baseOf(target)}/versions`,
      body,
      readToken(target.tokenFile, io.env),
    ).catch((thrown: unknown) => {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new Problem(
        "import_stopped",
        `item ${index + 1} of ${given.length} (${changed} new so far): ${why}`,
      );
    });
    const answer: unknown = JSON.parse(text);
    if (isObject(answer) && answer["changed"] === true) changed++;
  }
  io.stdout.write(`${given.length} registrations sent, ${changed} new\n`);
  return EXIT.ok;
}
