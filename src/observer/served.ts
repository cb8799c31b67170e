// Which versions are in the traffic: first and last seen, and each one's share of its model's last hour.

import type { ServedVersion } from "../facts/road.ts";
import { type Archive, archiveInto, archiveMap, textKey } from "../kernel/archive.ts";

const MINUTE_MS = 60_000;
const MINUTES = 60;
/** Versions remembered per model, and models; beyond, new ones are not listed (their predictions are kept and measured all the same). */
const VERSIONS_MAX = 100;
const MODELS_MAX = 100;

/** Predictions per minute of the last hour; a slot is reused when its minute comes round again. */
class LastHour {
  readonly #counts = new Uint32Array(MINUTES);
  readonly #minutes = new Float64Array(MINUTES);

  add(ts: number): void {
    const minute = Math.floor(ts / MINUTE_MS);
    const slot = ((minute % MINUTES) + MINUTES) % MINUTES;
    if ((this.#minutes[slot] ?? 0) > minute) return;
    if (this.#minutes[slot] !== minute) {
      this.#minutes[slot] = minute;
      this.#counts[slot] = 0;
    }
    this.#counts[slot] = (this.#counts[slot] ?? 0) + 1;
  }

  archive(io: Archive): void {
    const counts = Float64Array.from(this.#counts);
    archiveInto(io, counts);
    archiveInto(io, this.#minutes);
    this.#counts.set(counts);
  }

  count(nowMs: number): number {
    const oldest = Math.floor(nowMs / MINUTE_MS) - MINUTES;
    let sum = 0;
    for (let slot = 0; slot < MINUTES; slot++) {
      if ((this.#minutes[slot] ?? 0) > oldest) sum += this.#counts[slot] ?? 0;
    }
    return sum;
  }
}

interface Seen {
  firstTs: number;
  lastTs: number;
  readonly hour: LastHour;
}

function archiveSeen(io: Archive, known: Seen | undefined): Seen {
  const seen = known ?? { firstTs: 0, lastTs: 0, hour: new LastHour() };
  seen.firstTs = io.number(seen.firstTs);
  seen.lastTs = io.number(seen.lastTs);
  seen.hour.archive(io);
  return seen;
}

export interface Served {
  /** "new": the version was not known before. */
  add(model: string, version: string, ts: number): "new" | "known" | "full";
  models(): readonly string[];
  /** Versions of the last hour by share, or, when the hour was silent, the one seen last. */
  versions(model: string, nowMs: number): ServedVersion[];
  firstSeen(model: string, version: string): number | null;
  /** Versions by first appearance, oldest first. */
  byFirstSeen(model: string): string[];
  /** To a checkpoint or from one. */
  archive(io: Archive): void;
  clear(): void;
}

class ServedBook implements Served {
  readonly #models = new Map<string, Map<string, Seen>>();

  archive(io: Archive): void {
    const versionsOf = (known: Map<string, Seen> | undefined): Map<string, Seen> => {
      const versions = known ?? new Map<string, Seen>();
      archiveMap(io, versions, { key: textKey(io), value: (seen) => archiveSeen(io, seen) });
      return versions;
    };
    archiveMap(io, this.#models, { key: textKey(io), value: versionsOf });
  }

  clear(): void {
    this.#models.clear();
  }

  add(model: string, version: string, ts: number): "new" | "known" | "full" {
    let versions = this.#models.get(model);
    if (versions === undefined) {
      if (this.#models.size >= MODELS_MAX) return "full";
      versions = new Map();
      this.#models.set(model, versions);
    }
    const known = versions.get(version);
    const seen = known ?? { firstTs: ts, lastTs: ts, hour: new LastHour() };
    if (known === undefined) {
      if (versions.size >= VERSIONS_MAX) return "full";
      versions.set(version, seen);
    }
    seen.firstTs = Math.min(seen.firstTs, ts);
    seen.lastTs = Math.max(seen.lastTs, ts);
    seen.hour.add(ts);
    return known === undefined ? "new" : "known";
  }

  models(): readonly string[] {
    return [...this.#models.keys()];
  }

  firstSeen(model: string, version: string): number | null {
    return this.#models.get(model)?.get(version)?.firstTs ?? null;
  }

  byFirstSeen(model: string): string[] {
    return [...(this.#models.get(model) ?? [])]
      .toSorted(([, a], [, b]) => a.firstTs - b.firstTs)
      .map(([version]) => version);
  }

  versions(model: string, nowMs: number): ServedVersion[] {
    const all = [...(this.#models.get(model) ?? [])].map(([version, seen]) => ({
      version,
      seen,
      count: seen.hour.count(nowMs),
    }));
    const total = all.reduce((sum, { count }) => sum + count, 0);
    const shown =
      total > 0
        ? all.filter(({ count }) => count > 0)
        : all.toSorted((a, b) => b.seen.lastTs - a.seen.lastTs).slice(0, 1);
    return shown
      .toSorted((a, b) => b.count - a.count || (a.version < b.version ? -1 : 1))
      .map(({ version, seen, count }) => ({
        version,
        since: new Date(seen.firstTs).toISOString(),
        share: total === 0 ? 1 : count / total,
      }));
  }
}

export function createServed(): Served {
  return new ServedBook();
}
