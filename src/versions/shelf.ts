// What the history adds up to: every model's versions, their stages, and which one was in production when.

import type { Registration, Stage, VersionEvent, VersionRecord } from "../facts/version.ts";

interface Held {
  version: string;
  stage: Stage;
  registration: Registration | null;
  since: number;
  actor: string;
  mirrored: boolean;
}

interface Model {
  readonly versions: Map<string, Held>;
  readonly events: VersionEvent[];
  production: string | null;
  productionSince: number | null;
  /** Versions as they came into production and were not rolled back from; the last is, or was last, in production. */
  readonly reigns: string[];
}

/** Never decides: it takes events in order and answers questions about them. */
export class Shelf {
  readonly #models = new Map<string, Model>();
  #versions = 0;
  #bytes = 0;
  #seq = 0;
  #lastAt = 0;

  get nextSeq(): number {
    return this.#seq + 1;
  }

  /** Unix ms of the latest event; 0: none. */
  get lastAt(): number {
    return this.#lastAt;
  }

  /** Versions held, over all models. */
  get versions(): number {
    return this.#versions;
  }

  /** About how many bytes of JSON the registrations take. */
  get bytes(): number {
    return this.#bytes;
  }

  get events(): number {
    return this.#seq;
  }

  take(event: VersionEvent): void {
    this.#seq = Math.max(this.#seq, event.seq);
    this.#lastAt = Math.max(this.#lastAt, event.at);
    const model = this.#modelOf(event.model);
    model.events.push(event);
    const held = this.#heldOf(model, event);
    if (event.registration !== null) {
      const before = held.registration === null ? 0 : JSON.stringify(held.registration).length;
      this.#bytes += JSON.stringify(event.registration).length - before;
      held.registration = event.registration;
      held.since = event.at;
      held.actor = event.actor;
      held.mirrored = event.via === "registry";
    }
    held.stage = event.to;
    this.#reign(model, event);
  }

  #modelOf(name: string): Model {
    let model = this.#models.get(name);
    if (model === undefined) {
      model = { versions: new Map(), events: [], production: null, productionSince: null, reigns: [] };
      this.#models.set(name, model);
    }
    return model;
  }

  #heldOf(model: Model, { version, at, actor }: VersionEvent): Held {
    let held = model.versions.get(version);
    if (held === undefined) {
      held = { version, stage: "none", registration: null, since: at, actor, mirrored: false };
      model.versions.set(version, held);
      this.#versions++;
    }
    return held;
  }

  #reign(model: Model, { version, from, to, action, at }: VersionEvent): void {
    if (to === "production") {
      if (action === "rolled_back") {
        const place = model.reigns.lastIndexOf(version);
        if (place >= 0) model.reigns.length = place + 1;
        else model.reigns.push(version);
      } else if (model.reigns.at(-1) !== version) model.reigns.push(version);
      model.production = version;
      model.productionSince = at;
    } else if (from === "production" && model.production === version) {
      model.production = null;
      model.productionSince = null;
    }
  }

  models(): readonly string[] {
    return [...this.#models.keys()];
  }

  record(model: string, version: string): VersionRecord | null {
    const held = this.#models.get(model)?.versions.get(version);
    return held === undefined ? null : { model, ...held };
  }

  records(model: string): readonly VersionRecord[] {
    return [...(this.#models.get(model)?.versions.values() ?? [])].map((held) => ({ model, ...held }));
  }

  production(model: string): { readonly version: string; readonly since: number } | null {
    const known = this.#models.get(model);
    if (known === undefined || known.production === null) return null;
    return { version: known.production, since: known.productionSince ?? 0 };
  }

  /** Former production versions, the latest first, without the present one. */
  predecessors(model: string): readonly string[] {
    const known = this.#models.get(model);
    if (known === undefined) return [];
    return known.reigns.toReversed().filter((version) => version !== known.production);
  }

  /** Oldest first. */
  history(model: string): readonly VersionEvent[] {
    return this.#models.get(model)?.events ?? [];
  }

  /** What was in production at `at` (Unix ms): events of that very millisecond have happened. */
  productionAt(model: string, at: number): { readonly version: string; readonly since: number } | null {
    let found: { version: string; since: number } | null = null;
    for (const event of this.history(model)) {
      if (event.at > at) break;
      if (event.to === "production") found = { version: event.version, since: event.at };
      else if (event.from === "production" && found?.version === event.version) found = null;
    }
    return found;
  }
}
