// The series of one family: finds or creates the child of a label set, within the caps. A removed child is dead and says so.

import { OVERFLOW_LABEL, type Descriptor } from "../catalogue.ts";
import { invariant } from "../kernel/problem.ts";
import type { Admission } from "./admission.ts";
import type { Labels } from "./snapshot.ts";
import { safeValue, SEPARATOR } from "./values.ts";

/** Where a label set is found in prom-client, which keeps the numbers. */
export interface Place {
  /**
   * prom-client knows a series by this number alone (its dimension `series`). Its own key, all names and values as unescaped
   * text, takes two label sets for one when a value holds commas, and costs more the longer the values are.
   */
  readonly id: string;
  /** Safe values; empty ones left out. */
  readonly labels: Labels;
}

export interface Child extends Place {
  /** False after removal: find it again instead of writing to it. */
  live: boolean;
}

export interface TableOptions<C extends Child> {
  readonly descriptor: Descriptor;
  readonly admission: Admission;
  readonly seriesMax: number;
  readonly make: (place: Place) => C;
  /** Forgets the series in prom-client. */
  readonly remove: (child: C) => void;
  /** Told which dimension's cap (or "series") an observation was beyond. */
  readonly overflow: (dimension: string) => void;
  /** Told that a state was beyond a cap and is not shown. */
  readonly leftOut: () => void;
}

/**
 * What is beyond a cap: an observation is counted under `_OTHER`, so that totals stay right; a state (a gauge, a total that is
 * owned elsewhere) is left out, because the states of several label sets cannot share a series.
 */
export type Entry = "observation" | "state";

export class SeriesTable<C extends Child> {
  readonly #options: TableOptions<C>;
  readonly #known: ReadonlySet<string>;
  readonly #children = new Map<string, C>();
  readonly #byId = new Map<string, C>();
  #made = 0;

  constructor(options: TableOptions<C>) {
    this.#options = options;
    this.#known = new Set(options.descriptor.labels);
  }

  get size(): number {
    return this.#children.size;
  }

  children(): Iterable<C> {
    return this.#children.values();
  }

  childOf(id: string): C | undefined {
    return this.#byId.get(id);
  }

  /** The child of `labels`, made when it is new; null for a state beyond a cap. */
  find(labels: Labels, entry: Entry): C | null {
    const { descriptor, admission, overflow } = this.#options;
    for (const name in labels) {
      invariant(this.#known.has(name), `${descriptor.name} has no dimension "${name}"`);
    }
    const names = descriptor.labels;
    const values = names.map((name) => safeValue(labels[name] ?? ""));
    const known = this.#children.get(values.join(SEPARATOR));
    if (known !== undefined) return known;
    const admitted = admission.admit(names, values);
    if (entry === "state" && admitted.overflowed.length > 0) return this.#leaveOut();
    for (const name of admitted.overflowed) overflow(name);
    return this.#admit(admitted.values, entry);
  }

  /** Removes the series of `labels`; nothing happens when there is none. */
  remove(labels: Labels): void {
    const key = this.#options.descriptor.labels.map((name) => safeValue(labels[name] ?? "")).join(SEPARATOR);
    const child = this.#children.get(key);
    if (child !== undefined) this.#drop(key, child);
  }

  /** Removes every series that does not pass. */
  keepOnly(passes: (child: C) => boolean): void {
    for (const [key, child] of this.#children) if (!passes(child)) this.#drop(key, child);
  }

  #leaveOut(): null {
    this.#options.leftOut();
    return null;
  }

  #admit(values: readonly string[], entry: Entry): C | null {
    const { descriptor, seriesMax, overflow } = this.#options;
    const key = values.join(SEPARATOR);
    const known = this.#children.get(key);
    if (known !== undefined) return known;
    if (this.#children.size < seriesMax) {
      const present = descriptor.labels.map((name, at): [string, string] => [name, values[at] ?? ""]);
      return this.#create(key, Object.fromEntries(present.filter(([, value]) => value !== "")));
    }
    if (entry === "state") return this.#leaveOut();
    overflow("series");
    return this.#children.get(OVERFLOW_LABEL) ?? this.#create(OVERFLOW_LABEL, { [OVERFLOW_LABEL]: "true" });
  }

  #create(key: string, labels: Labels): C {
    const child = this.#options.make({ id: String(++this.#made), labels });
    this.#children.set(key, child);
    this.#byId.set(child.id, child);
    return child;
  }

  #drop(key: string, child: C): void {
    this.#children.delete(key);
    this.#byId.delete(child.id);
    child.live = false;
    this.#options.remove(child);
  }
}
