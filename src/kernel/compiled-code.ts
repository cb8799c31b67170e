// Code of this program as V8 has compiled it, kept in a private folder for the next start. Node reads and writes the files, one for
// each module, and takes none whose source or content is another; who could have written them is looked at here.

import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import {
  enableCompileCache,
  constants as constantsOfModules,
  flushCompileCache,
  getCompileCacheDir,
} from "node:module";
import { basename, join } from "node:path";
import { codeOf, messageOf } from "./problem.ts";

/** Variable that tells a process of ours where to look: the folder, which it makes when it is missing. */
export const COMPILED_CODE = "OUTRIDER_COMPILED_CODE";
const MIB = 1024 * 1024;

export interface CompiledLimits {
  /** More than ten times what one version of this program needs: the rest is of installations that are gone, so it begins anew. */
  readonly bytesMax: number;
  /** On the disk: Node leaves a file behind, and its descriptor open, for each module that a full one does not take. */
  readonly freeBytesLeast: number;
}
const LIMITS: CompiledLimits = { bytesMax: 64 * MIB, freeBytesLeast: 64 * MIB };
/** As Node names them; anything else was being written when a process was killed. */
const WHOLE = /^[0-9a-f]{8}$/;

export interface CompiledCode {
  /** On disk, when `keep` last looked. */
  readonly bytes: number;
  /**
   * Writes what was compiled since the start, and takes away what other versions of Node left. Blocks the thread while it writes:
   * about 0.1 ms for each module that is new. Resolves to why it was not done; null: it was. Never rejects.
   */
  keep(): Promise<string | null>;
}

class NotKept implements CompiledCode {
  readonly bytes = 0;
  readonly #why: string;

  constructor(why: string) {
    this.#why = why;
  }

  keep(): Promise<string> {
    return Promise.resolve(this.#why);
  }
}

/** Opened by its owner alone, and held open: what was looked at is what is used, whatever is renamed around it. */
function openFolder(path: string, owner: number): number | "open to others" | "not ours" {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const handle = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const { uid, mode } = fstatSync(handle);
  if (uid === owner && (mode & 0o077) === 0) return handle;
  closeSync(handle);
  return uid === owner ? "open to others" : "not ours";
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (thrown) {
    if (codeOf(thrown) !== "EEXIST") throw thrown;
  }
}

/** Whoever can write there can have this process run anything: one that others could write to is emptied first. */
function privateFolder(path: string, owner: number): number | string {
  makeFolder(path);
  let opened = openFolder(path, owner);
  if (opened === "open to others") {
    rmSync(path, { recursive: true });
    makeFolder(path);
    opened = openFolder(path, owner);
  }
  return typeof opened === "number" ? opened : `its folder is ${opened}`;
}

/** Why the disk is not written to; null: it is. */
function wantOfRoom(path: string, { freeBytesLeast }: CompiledLimits): string | null {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize < freeBytesLeast
    ? `less than ${freeBytesLeast / MIB} MiB of the disk are free`
    : null;
}

class Kept implements CompiledCode {
  readonly #folder: string;
  readonly #limits: CompiledLimits;
  bytes = 0;

  constructor(folder: string, limits: CompiledLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  async keep(): Promise<string | null> {
    try {
      const own = getCompileCacheDir() ?? "";
      await this.#tidy(own);
      const noRoom = wantOfRoom(this.#folder, this.#limits);
      if (noRoom !== null) return noRoom;
      flushCompileCache();
      this.bytes = await sizeOf(own);
      if (this.bytes <= this.#limits.bytesMax) return null;
      await rm(own, { recursive: true });
      await mkdir(own, { mode: 0o700 });
      this.bytes = 0;
      return `it is larger than ${this.#limits.bytesMax / MIB} MiB and begins anew`;
    } catch (thrown) {
      return messageOf(thrown);
    }
  }

  /** Node has a folder for each of its versions, sets of V8's flags, and users. */
  async #tidy(own: string): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (name !== basename(own)) await rm(join(this.#folder, name), { recursive: true, force: true });
    }
    for (const name of await readdir(own)) if (!WHOLE.test(name)) await rm(join(own, name), { force: true });
  }
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) bytes += (await lstat(join(folder, name))).size;
  return bytes;
}

/**
 * Whatever is imported from now on is read as it was compiled before, where `path` has it. `path` is made when missing, for this
 * user alone; its parent folders, too. Where that cannot be, code is compiled as ever; never throws. Once per process.
 */
export function openCompiledCode(path: string, limits: CompiledLimits = LIMITS): CompiledCode {
  const owner = process.getuid?.();
  if (owner === undefined) return new NotKept("files have no owners here");
  if (getCompileCacheDir() !== undefined) return new NotKept("NODE_COMPILE_CACHE names a folder");
  try {
    mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
    const opened = privateFolder(path, owner);
    if (typeof opened === "string") return new NotKept(opened);
    const held = `/proc/self/fd/${opened}`;
    const folder = existsSync(held) ? held : path;
    const noRoom = wantOfRoom(folder, limits);
    if (noRoom !== null) return new NotKept(noRoom);
    const { status, message } = enableCompileCache(folder);
    return status === constantsOfModules.compileCacheStatus.ENABLED
      ? new Kept(folder, limits)
      : new NotKept(message ?? "Node does without");
  } catch (thrown) {
    return new NotKept(messageOf(thrown));
  }
}
