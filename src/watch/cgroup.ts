// Which cgroup is the service's: one that the operator named, or its process's own. Version 2 where it counts, else version 1.

import { statSync } from "node:fs";
import { join } from "node:path";
import type { CgroupReading } from "./cgroup-files.ts";
import { readSplit, type Controller, type SplitPlace } from "./cgroup-v1.ts";
import { readUnified } from "./cgroup-v2.ts";
import { readCgroups, type Cgroups } from "./procfs.ts";

export interface CgroupRoots {
  readonly proc: string;
  readonly cgroup: string;
}

/** `root` is where its hierarchy begins as far as we see. */
interface UnifiedPlace {
  readonly kind: "v2";
  readonly folder: string;
  readonly root: string;
}

export type CgroupPlace = UnifiedPlace | ({ readonly kind: "v1" } & SplitPlace);

export function readPlace(place: CgroupPlace): CgroupReading | null {
  return place.kind === "v2" ? readUnified(place.folder, place.root) : readSplit(place);
}

/** Tells one cgroup from another. */
export function nameOf(place: CgroupPlace): string {
  return place.kind === "v2" ? place.folder : join(place.mount, "cpuacct", place.paths.cpuacct);
}

const CONTROLLERS: readonly Controller[] = ["cpuacct", "cpu", "memory"];
/** The group is what is mounted: the whole hierarchy as far as it can be seen. */
const ITSELF = { cpuacct: "/", cpu: "/", memory: "/" };

/** A folder named by the operator: below the mounted hierarchy, or a full path (of any controller). */
export function placeOf(path: string, roots: CgroupRoots): CgroupPlace {
  const root = roots.cgroup;
  const inside = path === root || path.startsWith(`${root}/`);
  const below = inside ? path.slice(root.length) : path;
  const unified: CgroupPlace = { kind: "v2", folder: join(root, below), root };
  if (readPlace(unified) !== null) return unified;
  const [, first = "", ...rest] = below.split("/");
  const named = inside && first.split(",").some((word) => CONTROLLERS.some((one) => one === word));
  const group = named ? `/${rest.join("/")}` : below;
  const split: CgroupPlace = {
    kind: "v1",
    mount: root,
    paths: { cpuacct: group, cpu: group, memory: group },
  };
  return readPlace(split) === null ? unified : split;
}

function sameFolder(a: string, b: string): boolean {
  try {
    const [first, second] = [statSync(a), statSync(b)];
    return first.dev === second.dev && first.ino === second.ino;
  } catch {
    return false;
  }
}

/** Whether counting the group at `path` would count us, or the whole machine. */
function countsUs(path: string, ours: string): boolean {
  return path === "" || path === "/" || ours === path || ours.startsWith(`${path}/`);
}

const leadsOut = (path: string): boolean => path.split("/").includes("..");

function firstOf(places: readonly CgroupPlace[]): CgroupPlace | null {
  return places.find((place) => readPlace(place) !== null) ?? null;
}

/**
 * A neighbour in another cgroup namespace shows as `/../…`; it is read through the neighbour's own view of the hierarchy, if
 * we may look into its file system.
 */
function unifiedCgroup(pid: number, roots: CgroupRoots, path: string): CgroupPlace | null {
  if (!leadsOut(path)) return firstOf([{ kind: "v2", folder: join(roots.cgroup, path), root: roots.cgroup }]);
  const view = join(roots.proc, String(pid), "root", "sys/fs/cgroup");
  return sameFolder(view, roots.cgroup) ? null : firstOf([{ kind: "v2", folder: view, root: view }]);
}

/** Container runtimes show a container only its own group of version 1, though its paths are told from the machine's root. */
function splitCgroup(pid: number, roots: CgroupRoots, groups: Cgroups): CgroupPlace | null {
  const accounting = groups.get("cpuacct") ?? "/";
  const of = (controller: Controller): string => groups.get(controller) ?? accounting;
  const paths = { cpuacct: accounting, cpu: of("cpu"), memory: of("memory") };
  if (!leadsOut(accounting)) {
    const place = firstOf([{ kind: "v1", mount: roots.cgroup, paths }]);
    if (place !== null) return place;
  }
  const view = join(roots.proc, String(pid), "root", "sys/fs/cgroup");
  if (sameFolder(join(view, "cpuacct"), join(roots.cgroup, "cpuacct"))) return null;
  const whole: CgroupPlace[] = leadsOut(accounting) ? [] : [{ kind: "v1", mount: view, paths }];
  return firstOf([...whole, { kind: "v1", mount: view, paths: ITSELF }]);
}

/** The cgroup of a process when it is its own: not the root, and neither ours nor around ours, for that would count us. */
export function ownCgroup(pid: number, roots: CgroupRoots): CgroupPlace | null {
  const theirs = readCgroups(roots.proc, pid);
  const ours = readCgroups(roots.proc, "self");
  const apart = (controller: string): boolean => {
    const [path, our] = [theirs.get(controller), ours.get(controller)];
    return path !== undefined && our !== undefined && !countsUs(path, our);
  };
  const unified = apart("") ? unifiedCgroup(pid, roots, theirs.get("") ?? "/") : null;
  if (unified !== null) return unified;
  return apart("cpuacct") ? splitCgroup(pid, roots, theirs) : null;
}
