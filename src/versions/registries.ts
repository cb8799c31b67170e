// All registries that are configured: asked what is declared, told what was decided and how good the versions are.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { authoriseOf } from "./registry-auth.ts";
import { createRegistryHttp } from "./registry-http.ts";
import { RegistryWatch } from "./registry-watch.ts";
import { RegistryWrites } from "./registry-writes.ts";
import type { LabelNote, QualityNote, Registry, RegistryType, RegistryVersion, Reply } from "./registry.ts";
import { Databricks } from "./registries/databricks.ts";
import { Langfuse } from "./registries/langfuse.ts";
import { Mlflow } from "./registries/mlflow.ts";
import { UnityCatalog } from "./registries/unity-catalog.ts";

export interface RegistryEntry {
  readonly type: RegistryType;
  readonly url: string;
  readonly token: string | null;
  readonly clientId: string | null;
  /** null: every model, under its own name. */
  readonly model: string | null;
  readonly registeredName: string | null;
  readonly alias: string;
  readonly endpoint: string | null;
  readonly everyMs: number;
  readonly writeEveryMs: number;
  readonly write: readonly string[];
}

export interface RegistriesNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** `result`: ok, none, failed, retried, unsupported, dropped. */
  readonly count: (registry: string, operation: string, result: string) => void;
  /** The declared version of a model became another one. */
  readonly onDeclared: (model: string, version: RegistryVersion, source: string) => void;
  readonly onState: () => void;
  /** Live quality of every version of a model, for those who want it written. */
  readonly qualityOf: (model: string) => readonly QualityNote[];
}

export interface DeclaredVersion {
  readonly version: string;
  /** `mlflow alias champion`. */
  readonly source: string;
  /** Unix ms. */
  readonly since: number;
  readonly checkedAt: number;
  readonly trouble: string | null;
}

/** One registry about one model, as it stands. */
export interface RegistryState {
  readonly registry: string;
  readonly model: string;
  readonly declared: string | null;
  /** Unix ms of the last answer; null: none yet. */
  readonly checkedAt: number | null;
  readonly trouble: string | null;
}

export interface Registries extends Part {
  /** A model became known: registries that speak of every model begin to watch it. */
  model(name: string): void;
  /** What a registry declares; null: none is bound, or none has answered. */
  declared(model: string): DeclaredVersion | null;
  /** Who decides what is in production: null: our own ledger does. `writes`: a promotion can be sent there. */
  decider(model: string): { readonly source: string; readonly writes: boolean } | null;
  /** Sends a promotion to the registry that decides; it holds when it is read back. */
  promote(model: string, version: string, ended: (reply: Reply<null>) => void): void;
  /** Ground truth of a prediction whose trace was sent. */
  label(model: string, note: LabelNote): void;
  states(): readonly RegistryState[];
  /** Writes that wait, by registry. */
  waiting(): ReadonlyMap<string, number>;
}

/** Models watched at one registry; further ones are not asked for. */
const MODELS_MAX = 100;

function createRegistry(entry: RegistryEntry, clock: Clock): Registry {
  const http = createRegistryHttp(entry.url, authoriseOf(entry, clock));
  const registeredName = (model: string): string => entry.registeredName ?? model;
  const { alias, endpoint } = entry;
  switch (entry.type) {
    case "mlflow":
      return new Mlflow(http, { alias, registeredName });
    case "databricks":
      return new Databricks(http, { alias, registeredName, endpoint });
    case "unity-catalog":
      return new UnityCatalog(http, { registeredName });
    case "langfuse":
      return new Langfuse(http);
    default: {
      const never: never = entry.type;
      return never;
    }
  }
}

class Bound {
  readonly name: string;
  readonly entry: RegistryEntry;
  readonly registry: Registry;
  readonly writes: RegistryWrites;
  readonly watches = new Map<string, RegistryWatch>();
  readonly #needs: RegistriesNeeds;
  /** Figures as they were last written, by model and version. */
  readonly #written = new Map<string, string>();
  #timer: Timer | null = null;
  #started = false;

  constructor(name: string, entry: RegistryEntry, needs: RegistriesNeeds) {
    this.name = name;
    this.entry = entry;
    this.#needs = needs;
    this.registry = createRegistry(entry, needs.clock);
    const { clock, log } = needs;
    const count = (operation: string, result: string): void => needs.count(name, operation, result);
    this.writes = new RegistryWrites({ clock, log, registry: name, count });
    if (entry.model !== null) this.add(entry.model);
  }

  covers(model: string): boolean {
    return this.entry.model === null || this.entry.model === model;
  }

  add(model: string): void {
    if (!this.covers(model) || this.watches.has(model) || this.watches.size >= MODELS_MAX) return;
    const { clock, log, onState, onDeclared } = this.#needs;
    const watch = new RegistryWatch(
      this.registry,
      { model, everyMs: this.entry.everyMs },
      {
        clock,
        log,
        onState,
        count: (operation, result) => this.#needs.count(this.name, operation, result),
        onVersion: (of, version) => onDeclared(of, version, this.registry.source),
      },
    );
    this.watches.set(model, watch);
    if (this.#started && this.registry.can.has("current")) watch.start();
  }

  start(): void {
    this.#started = true;
    if (this.registry.can.has("current")) for (const watch of this.watches.values()) watch.start();
    if (!this.entry.write.includes("metrics")) return;
    this.#timer = this.#needs.clock.every(this.entry.writeEveryMs, () => this.#writeQuality());
  }

  stop(): void {
    this.#timer?.cancel();
    this.writes.stop();
    for (const watch of this.watches.values()) watch.stop();
  }

  #writeQuality(): void {
    for (const model of this.watches.keys()) {
      for (const note of this.#needs.qualityOf(model)) {
        const key = `metrics\0${model}\0${note.version}`;
        const figures = JSON.stringify(note.figures);
        if (note.figures.length === 0 || this.#written.get(key) === figures) continue;
        const ended = (reply: Reply<null>): void => {
          if (reply.kind === "ok") this.#written.set(key, figures);
        };
        const run = (): Promise<Reply<null>> => this.registry.writeQuality(model, note);
        this.writes.put({ key, operation: "metrics", run, ended });
      }
    }
  }
}

class AllRegistries implements Registries {
  readonly #bound: readonly Bound[];

  constructor(entries: readonly RegistryEntry[], needs: RegistriesNeeds) {
    this.#bound = entries.map((entry, index) => {
      const alone = entries.filter(({ type }) => type === entry.type).length === 1;
      return new Bound(alone ? entry.type : `${entry.type}-${index}`, entry, needs);
    });
  }

  start(): Promise<void> {
    for (const bound of this.#bound) bound.start();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    for (const bound of this.#bound) bound.stop();
    return Promise.resolve();
  }

  model(name: string): void {
    for (const bound of this.#bound) bound.add(name);
  }

  /** The first configured registry that can say what is current, and covers the model. */
  #decider(model: string): Bound | undefined {
    return this.#bound.find((bound) => bound.registry.can.has("current") && bound.covers(model));
  }

  declared(model: string): DeclaredVersion | null {
    const decider = this.#decider(model);
    const declared = decider?.watches.get(model)?.declared ?? null;
    if (decider === undefined || declared === null) return null;
    return { ...declared, source: decider.registry.source };
  }

  decider(model: string): { readonly source: string; readonly writes: boolean } | null {
    const decider = this.#decider(model);
    if (decider === undefined) return null;
    const writes = decider.entry.write.includes("promotion") && decider.registry.can.has("promotion");
    return { source: decider.registry.source, writes };
  }

  promote(model: string, version: string, ended: (reply: Reply<null>) => void): void {
    const decider = this.#decider(model);
    if (decider === undefined) return;
    decider.writes.put({
      key: `promotion\0${model}`,
      operation: "promotion",
      run: () => decider.registry.promote(model, version),
      ended: (reply) => {
        ended(reply);
        decider.watches.get(model)?.soon();
      },
    });
  }

  label(model: string, note: LabelNote): void {
    for (const bound of this.#bound) {
      const { entry, registry, writes } = bound;
      const wanted = registry.can.has("labels") && entry.write.includes("labels");
      if (!wanted || !bound.covers(model)) continue;
      const key = `labels\0${model}\0${note.predictionId}`;
      writes.put({ key, operation: "labels", run: () => registry.writeLabel(model, note) });
    }
  }

  states(): readonly RegistryState[] {
    return this.#bound.flatMap((bound) =>
      bound.registry.can.has("current")
        ? [...bound.watches.values()].map((watch) => ({
            registry: bound.name,
            model: watch.model,
            declared: watch.declared?.version ?? null,
            checkedAt: watch.declared?.checkedAt ?? null,
            trouble: watch.trouble,
          }))
        : [],
    );
  }

  waiting(): ReadonlyMap<string, number> {
    return new Map(this.#bound.map((bound) => [bound.name, bound.writes.waiting]));
  }
}

export function createRegistries(entries: readonly RegistryEntry[], needs: RegistriesNeeds): Registries {
  return new AllRegistries(entries, needs);
}
