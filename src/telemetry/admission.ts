// Which values of a dimension get series of their own. Models, versions and routes come from outside and may be hostile:
// each has a cap, beyond it `_OTHER` stands for all others. Versions make room: one that was not seen for a while is given up.

import { OVERFLOW_VALUE } from "../catalogue.ts";
import type { Clock } from "../kernel/clock.ts";
import { SEPARATOR } from "./values.ts";

export interface Cap {
  readonly max: number;
  /** Counted apart for each value of this dimension. */
  readonly per?: string;
}
export type Caps = Readonly<Record<string, Cap>>;

export const DEFAULT_CAPS: Caps = Object.freeze({
  model: { max: 20 },
  version: { max: 10, per: "model" },
  http_route: { max: 50 },
  http_response_status_code: { max: 60 },
  error_type: { max: 60 },
  rpc_grpc_status_code: { max: 20 },
  reason: { max: 60 },
});

/** A version may be given up for a new one when it was not seen for this long. Guards against a version that changes with every request. */
export const VERSION_IDLE_MS = 10 * 60 * 1000;

export interface AdmissionOptions {
  readonly caps: Caps;
  readonly clock: Clock;
  /** Called before a version's place is given away. */
  readonly evict: (model: string, version: string) => void;
}

export interface Admitted {
  readonly values: readonly string[];
  /** Dimensions whose value was replaced by `_OTHER`. */
  readonly overflowed: readonly string[];
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #pools = new Map<string, Set<string>>();
  /** model -> version -> monotonic ms at which it was last seen; -Infinity: never by `seen`. */
  readonly #versions = new Map<string, Map<string, number>>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** The values under which a label set is counted. `values` are safe, in the order of `names`. */
  admit(names: readonly string[], values: readonly string[]): Admitted {
    const admitted = [...values];
    const overflowed: string[] = [];
    for (const [at, name] of names.entries()) {
      const value = admitted[at] ?? "";
      const cap = this.#options.caps[name];
      if (cap === undefined || value === "" || value === OVERFLOW_VALUE) continue;
      const scope = cap.per === undefined ? "" : (admitted[names.indexOf(cap.per)] ?? "");
      if (this.#takes(name, scope, value)) continue;
      admitted[at] = OVERFLOW_VALUE;
      overflowed.push(name);
    }
    return { values: admitted, overflowed };
  }

  /** A version served just now: it gets a place if one is free or idle. */
  seen(model: string, version: string): void {
    const cap = this.#options.caps["version"];
    if (cap === undefined || model === "" || version === "" || version === OVERFLOW_VALUE) return;
    if (!this.#takes("model", "", model)) return;
    const now = this.#options.clock.monotonicMs();
    const versions = this.#versionsOf(model);
    if (!versions.has(version) && versions.size >= cap.max && !this.#makeRoom(model, now)) return;
    versions.set(version, now);
  }

  #takes(name: string, scope: string, value: string): boolean {
    const cap = this.#options.caps[name];
    if (cap === undefined) return true;
    if (scope === OVERFLOW_VALUE) return false;
    if (name === "version") return this.#takesVersion(scope, value, cap.max);
    const key = name + SEPARATOR + scope;
    let pool = this.#pools.get(key);
    if (pool === undefined) this.#pools.set(key, (pool = new Set()));
    if (pool.has(value)) return true;
    if (pool.size >= cap.max) return false;
    pool.add(value);
    return true;
  }

  #takesVersion(model: string, version: string, max: number): boolean {
    const versions = this.#versionsOf(model);
    if (versions.has(version)) return true;
    if (versions.size >= max) return false;
    versions.set(version, Number.NEGATIVE_INFINITY);
    return true;
  }

  #makeRoom(model: string, now: number): boolean {
    const versions = this.#versionsOf(model);
    let idlest: string | null = null;
    let idlestAt = Number.POSITIVE_INFINITY;
    for (const [version, at] of versions) {
      if (at < idlestAt) [idlest, idlestAt] = [version, at];
    }
    if (idlest === null || now - idlestAt < VERSION_IDLE_MS) return false;
    this.#options.evict(model, idlest);
    versions.delete(idlest);
    return true;
  }

  #versionsOf(model: string): Map<string, number> {
    let versions = this.#versions.get(model);
    if (versions === undefined) this.#versions.set(model, (versions = new Map()));
    return versions;
  }
}
