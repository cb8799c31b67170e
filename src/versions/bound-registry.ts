// One configured registry at work: its models are watched, its writes queue up, live quality is written when it changed.

import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { authoriseOf } from "./registry-auth.ts";
import { createRegistryHttp } from "./registry-http.ts";
import { RegistryWatch } from "./registry-watch.ts";
import { RegistryWrites } from "./registry-writes.ts";
import {
  failed,
  type QualityNote,
  type Registry,
  type RegistryType,
  type RegistryVersion,
  type Reply,
} from "./registry.ts";
import { Databricks } from "./registries/databricks.ts";
import { Langfuse } from "./registries/langfuse.ts";
import { Mlflow } from "./registries/mlflow.ts";
import { UnityCatalog } from "./registries/unity-catalog.ts";

export interface RegistryEntry {
  readonly type: RegistryType;
  readonly url: string;
  readonly token: string | null;
  readonly tokenFile: string | null;
  readonly clientId: string | null;
  readonly headers: Readonly<Record<string, string>>;
  /** null: every model, under its own name. */
  readonly model: string | null;
  readonly registeredName: string | null;
  readonly alias: string;
  readonly stage: string | null;
  readonly endpoint: string | null;
  readonly everyMs: number;
  readonly writeEveryMs: number;
  readonly write: readonly string[];
  /** Secret of its webhooks; null: none are taken. */
  readonly webhookSecret: string | null;
}

export interface BoundNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** `result`: ok, none, failed, retried, unsupported, dropped. */
  readonly count: (registry: string, operation: string, result: string) => void;
  /** What a registry declares, every time it says so; null: nothing. */
  readonly onDeclared: (bound: BoundRegistry, model: string, version: RegistryVersion | null) => void;
  /** The versions that it knows came anew. */
  readonly onList: (bound: BoundRegistry, model: string) => void;
  readonly onState: () => void;
  /** Live quality of every version of a model, for those who want it written. */
  readonly qualityOf: (model: string) => readonly QualityNote[];
}

/** Models watched at one registry; further ones are not asked for. */
const MODELS_MAX = 100;
/** Words of `write` that ask for live quality. */
const QUALITY_WORDS = ["metrics", "tags", "comment"];

export function createRegistry(entry: RegistryEntry, clock: Clock): Registry {
  const http = createRegistryHttp(entry.url, authoriseOf(entry, clock));
  const registeredName = (model: string): string => entry.registeredName ?? model;
  const { alias, stage, endpoint } = entry;
  const writes = new Set(entry.write);
  switch (entry.type) {
    case "mlflow":
      return new Mlflow(http, { alias, stage, registeredName, writes });
    case "databricks":
      return new Databricks(http, { alias, registeredName, endpoint, writes });
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

interface Noted {
  readonly figures: string;
  readonly note: QualityNote;
  /** It was given up: the same note, with its time, is put again. */
  lost: boolean;
}

export class BoundRegistry {
  /** Its label in metrics: the type, with its place when there are several. */
  readonly name: string;
  readonly entry: RegistryEntry;
  readonly registry: Registry;
  readonly watches = new Map<string, RegistryWatch>();
  readonly #writes: RegistryWrites;
  /** Decisions of people do not wait behind measurements. */
  readonly #decisions: RegistryWrites;
  readonly #needs: BoundNeeds;
  /** Figures as they were last put, by model and version. */
  readonly #noted = new Map<string, Noted>();
  #timer: Timer | null = null;
  #started = false;

  constructor(name: string, entry: RegistryEntry, needs: BoundNeeds) {
    this.name = name;
    this.entry = entry;
    this.#needs = needs;
    this.registry = createRegistry(entry, needs.clock);
    const { clock, log, onState } = needs;
    const count = (operation: string, result: string): void => needs.count(name, operation, result);
    const writing = { clock, log, registry: name, count, onState };
    this.#writes = new RegistryWrites(writing);
    this.#decisions = new RegistryWrites(writing);
    if (entry.model !== null) this.add(entry.model);
  }

  covers(model: string): boolean {
    return this.entry.model === null || this.entry.model === model;
  }

  wants(word: string): boolean {
    return this.entry.write.includes(word);
  }

  get waiting(): number {
    return this.#writes.waiting + this.#decisions.waiting;
  }

  /** Why the last look at a model, or the last write, failed. */
  troubleOf(watch: RegistryWatch): string | null {
    const writes = this.#decisions.trouble ?? this.#writes.trouble;
    return watch.trouble ?? (writes === null ? null : `writing: ${writes}`);
  }

  add(model: string): void {
    if (!this.covers(model) || this.watches.has(model) || this.watches.size >= MODELS_MAX) return;
    const { clock, log, onState, onDeclared, onList } = this.#needs;
    const watch = new RegistryWatch(
      this.registry,
      { model, everyMs: this.entry.everyMs },
      {
        clock,
        log,
        onState,
        count: (operation, result) => this.#needs.count(this.name, operation, result),
        onVersion: (of, version) => onDeclared(this, of, version),
        onList: (of) => onList(this, of),
      },
    );
    this.watches.set(model, watch);
    if (this.#started) watch.start();
  }

  start(): void {
    this.#started = true;
    for (const watch of this.watches.values()) watch.start();
    if (!QUALITY_WORDS.some((word) => this.wants(word))) return;
    this.#timer = this.#needs.clock.every(this.entry.writeEveryMs, () => this.#writeQuality());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#writes.stop();
    this.#decisions.stop();
    for (const watch of this.watches.values()) watch.stop();
  }

  /** `expected` undefined: whatever is declared there now; else only while it is that (null: nothing). */
  promote(
    model: string,
    { version, expected }: { readonly version: string; readonly expected: string | null | undefined },
    ended: (reply: Reply<null>) => void,
  ): void {
    this.#decisions.put({
      key: `promotion\0${model}`,
      operation: "promotion",
      run: () => this.#promote(model, version, expected),
      ended: (reply) => {
        ended(reply);
        this.watches.get(model)?.soon();
      },
    });
  }

  /** Registries know no compare-and-set: what is declared is read again before it is written. */
  async #promote(model: string, version: string, expected: string | null | undefined): Promise<Reply<null>> {
    if (expected === undefined) return await this.registry.promote(model, version);
    const now = await this.registry.current(model);
    if (now.kind !== "ok" && now.kind !== "none") return now;
    const declared = now.kind === "ok" ? now.value.version : null;
    // Ours may have arrived before without our hearing of it.
    if (declared === version) return { kind: "ok", value: null };
    if (declared === expected) return await this.registry.promote(model, version);
    return failed(`${this.registry.source} names ${declared ?? "no version"} by now`, false);
  }

  register(model: string, note: Parameters<Registry["register"]>[1]): void {
    this.#decisions.put({
      key: `registration\0${model}\0${note.version}`,
      operation: "registration",
      run: () => this.registry.register(model, note),
      ended: () => this.watches.get(model)?.listSoon(),
    });
  }

  label(model: string, note: Parameters<Registry["writeLabel"]>[1]): void {
    if (!this.registry.can.has("labels") || !this.wants("labels") || !this.covers(model)) return;
    const key = `labels\0${model}\0${note.predictionId}`;
    this.#writes.put({ key, operation: "labels", run: () => this.registry.writeLabel(model, note) });
  }

  #writeQuality(): void {
    for (const model of this.watches.keys()) {
      for (const note of this.#needs.qualityOf(model)) this.#note(model, note);
    }
  }

  /** The same figures keep the time of their first try: a write whose outcome is not known is repeated, not doubled. */
  #note(model: string, given: QualityNote): void {
    const key = `metrics\0${model}\0${given.version}`;
    const figures = JSON.stringify(given.figures);
    const before = this.#noted.get(key);
    const same = before?.figures === figures;
    if (given.figures.length === 0 || (same && !before.lost)) return;
    const noted: Noted = { figures, note: same ? before.note : given, lost: false };
    this.#noted.set(key, noted);
    const ended = (reply: Reply<null>): void => {
      noted.lost = reply.kind !== "ok";
    };
    const run = (): Promise<Reply<null>> => this.registry.writeQuality(model, noted.note);
    this.#writes.put({ key, operation: "metrics", run, ended });
  }
}
