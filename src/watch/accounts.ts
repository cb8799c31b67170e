// CPU time as a counter: it goes on growing when a child ends, when the tree is replaced, when a cgroup is made anew.

import type { Proc } from "./procfs.ts";

const keyOf = (proc: Proc): string => `${proc.pid}@${proc.startTicks}`;

/** CPU time of a process tree. Memory: the processes of the last sample. */
export class TreeCpu {
  #total = 0;
  #last: ReadonlyMap<string, Proc> | null = null;
  #lastUptimeTicks = 0;

  /** Ticks used by the tree so far. `uptimeTicks` tells who was born since the last sample and who merely joined. */
  add(members: readonly Proc[], uptimeTicks: number): number {
    const now = new Map(members.map((proc) => [keyOf(proc), proc]));
    if (this.#last === null) for (const proc of members) this.#total += proc.cpuTicks;
    else this.#total += this.#grown(members, this.#last, now);
    this.#last = now;
    this.#lastUptimeTicks = uptimeTicks;
    return this.#total;
  }

  #grown(
    members: readonly Proc[],
    before: ReadonlyMap<string, Proc>,
    now: ReadonlyMap<string, Proc>,
  ): number {
    let grown = 0;
    for (const proc of members) {
      const earlier = before.get(keyOf(proc));
      if (earlier !== undefined) {
        grown += Math.max(0, proc.cpuTicks - earlier.cpuTicks);
        grown += this.#ofEndedChildren(proc, earlier, { before, now });
      } else if (proc.startTicks >= this.#lastUptimeTicks) grown += proc.cpuTicks;
    }
    return grown;
  }

  /** What children used after we last saw them: the parent is credited with all of it when it waits for them. */
  #ofEndedChildren(
    proc: Proc,
    earlier: Proc,
    { before, now }: { before: ReadonlyMap<string, Proc>; now: ReadonlyMap<string, Proc> },
  ): number {
    let counted = 0;
    for (const [key, child] of before) {
      if (child.ppid === proc.pid && !now.has(key)) counted += child.cpuTicks + child.childTicks;
    }
    return Math.max(0, proc.childTicks - earlier.childTicks - counted);
  }
}

/** A counter read from outside that may begin again: a smaller value, or another identity, is a new beginning. */
export class ContinuedCounter {
  #total = 0;
  #last: number | null = null;
  #identity = "";

  /** The first value counts whole: it is what was used before we came. */
  add(value: number, identity: string): number {
    const same = this.#last !== null && this.#identity === identity && value >= this.#last;
    this.#total += same ? value - (this.#last ?? 0) : value;
    this.#last = value;
    this.#identity = identity;
    return this.#total;
  }
}
