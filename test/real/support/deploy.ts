// Deployment files as the programs read them that will read them later: Helm, and the Go libraries in support/manifests.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./command.ts";
import { ensureHelm, ensureManifests } from "./install.ts";
import { temporaryFolder, type Owner } from "./process.ts";

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly pods: boolean;
  /** Of the restricted Pod Security Standard. */
  readonly violations: readonly string[];
  readonly object: Record<string, unknown>;
}

async function read(
  kind: "kubernetes" | "compose" | "dockerfile",
  files: readonly string[],
): Promise<unknown> {
  const { manifests } = await ensureManifests();
  const { stdout } = await run(manifests, [kind, ...files]);
  return JSON.parse(stdout);
}

/** Throws with every field that the API types do not know. */
export async function readKubernetes(files: readonly string[]): Promise<readonly KubernetesObject[]> {
  return (await read("kubernetes", files)) as KubernetesObject[];
}

export async function readKubernetesText(owner: Owner, text: string): Promise<readonly KubernetesObject[]> {
  const file = join(temporaryFolder(owner, "manifests"), "all.yaml");
  writeFileSync(file, text);
  return await readKubernetes([file]);
}

export interface ComposeProject {
  readonly services: Readonly<Record<string, unknown>>;
}

/** Throws when the published schema refuses the file. */
export async function readCompose(file: string): Promise<ComposeProject> {
  return (await read("compose", [file])) as ComposeProject;
}

export interface DockerStep {
  readonly name: string;
  readonly text: string;
}

export interface DockerStage {
  readonly name: string;
  readonly base: string;
  readonly steps: readonly DockerStep[];
}

export interface Dockerfile {
  readonly stages: readonly DockerStage[];
  readonly warnings: readonly string[];
}

export async function readDockerfile(file: string): Promise<Dockerfile> {
  return (await read("dockerfile", [file])) as Dockerfile;
}

export interface HelmRun {
  readonly ok: boolean;
  readonly stdout: string;
  readonly output: string;
}

export async function helm(args: readonly string[], mayFail = false): Promise<HelmRun> {
  const { helm: program } = await ensureHelm();
  return await run(program, args, { mayFail });
}
