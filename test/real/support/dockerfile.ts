// A Dockerfile's steps carried out without Docker: its absolute paths lie in a folder, its base image is this machine with Node 26.

import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { runFetching } from "./command.ts";
import type { DockerStage } from "./deploy.ts";

const BUILD_MS = 10 * 60_000;

/** What is true of the last stage when its steps are done. */
export interface Image {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly user: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly health: readonly string[];
}

export interface Build {
  /** The folder of the context: what .dockerignore lets through of it is copied. */
  readonly context: string;
  /** Where `/opt/outrider` of the image lies as `${folder}/opt/outrider`. */
  readonly folder: string;
  /** The folder of `node` in the base image. */
  readonly nodeFolder: string;
}

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");
const list = (text: string): string[] => JSON.parse(text) as string[];

class Executor {
  readonly #build: Build;
  #workdir = "/";
  image = {
    entrypoint: [] as string[],
    command: [] as string[],
    user: "0:0",
    workdir: "/",
    env: {} as Record<string, string>,
    health: [] as string[],
  };

  constructor(build: Build) {
    this.#build = build;
  }

  #inside(path: string): string {
    return join(this.#build.folder, isAbsolute(path) ? path : join(this.#workdir, path));
  }

  async step(name: string, text: string): Promise<void> {
    const rest = text.slice(name.length).trim();
    switch (name) {
      case "WORKDIR":
        this.#workdir = rest;
        this.image.workdir = rest;
        mkdirSync(this.#inside(rest), { recursive: true });
        return;
      case "COPY":
        return this.#copy(words(rest));
      case "RUN":
        return await this.#run(rest.replace(/^(?:--mount=\S+\s+)+/, ""));
      case "ENV":
        for (const [, key = "", value = ""] of rest.matchAll(/(\w+)=(\S+)/g)) this.image.env[key] = value;
        return;
      case "USER":
        this.image.user = rest;
        return;
      case "ENTRYPOINT":
        this.image.entrypoint = list(rest);
        return;
      case "CMD":
        this.image.command = list(rest);
        return;
      case "HEALTHCHECK":
        this.image.health = list(rest.slice(rest.indexOf("[")));
        return;
      case "LABEL":
      case "VOLUME":
      case "EXPOSE":
      case "STOPSIGNAL":
        return;
      default:
        throw new Error(`a step that is not imitated: ${text}`);
    }
  }

  #copy(all: readonly string[]): void {
    const from = all.some((word) => word.startsWith("--from="));
    const paths = all.filter((word) => !word.startsWith("--"));
    const target = paths.at(-1) ?? "";
    for (const path of paths.slice(0, -1)) {
      const sources = from ? [path] : path === "." ? this.#allowed() : [path];
      for (const source of sources) {
        const into = target.endsWith("/") || target === "." ? join(target, source) : target;
        const at = from ? this.#inside(source) : join(this.#build.context, source);
        if (from && at === this.#inside(target)) continue;
        mkdirSync(dirname(this.#inside(into)), { recursive: true });
        cpSync(at, this.#inside(into), { recursive: true });
      }
    }
  }

  #allowed(): string[] {
    const lines = readFileSync(join(this.#build.context, ".dockerignore"), "utf8").split("\n");
    return lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  }

  async #run(script: string): Promise<void> {
    const { folder, nodeFolder } = this.#build;
    const moved = script.replaceAll(/(^|[\s=])(\/(?:tmp|opt|var|build)\b)/g, `$1${folder}$2`);
    mkdirSync(join(folder, "tmp"), { recursive: true });
    // Each of the steps fetches, or does the same when it is done again.
    await runFetching("sh", ["-ec", moved], {
      cwd: this.#inside(this.#workdir),
      env: { PATH: `${nodeFolder}:${process.env["PATH"] ?? ""}`, NODE_ENV: "" },
      withinMs: BUILD_MS,
    });
  }
}

/** Carries out all stages in one folder. Gives the last one's settings. */
export async function imitate(stages: readonly DockerStage[], build: Build): Promise<Image> {
  let image: Image | null = null;
  for (const { steps } of stages) {
    const executor = new Executor(build);
    for (const { name, text } of steps) await executor.step(name, text);
    image = executor.image;
  }
  if (image === null) throw new Error("a Dockerfile without a stage");
  return image;
}
