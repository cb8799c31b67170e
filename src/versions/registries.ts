// All registries that are configured: asked what is declared, told what was decided and how good the versions are.

import type { Part } from "../kernel/lifecycle.ts";
import { BoundRegistry, type BoundNeeds, type RegistryEntry } from "./bound-registry.ts";
import { verifyWebhook, type Delivery, type DeliveryVerdict } from "./mlflow-webhook.ts";
import type {
  LabelNote,
  ReadBack,
  RegistrationNote,
  RegistryType,
  RegistryVersion,
  Reply,
  TrafficShare,
} from "./registry.ts";

export type { RegistryEntry } from "./bound-registry.ts";

export interface RegistriesNeeds extends Omit<BoundNeeds, "onDeclared" | "onList"> {
  /** The registry that decides said which version of a model is declared (null: none), every time it says so. */
  readonly onDeclared: (model: string, version: RegistryVersion | null, source: string) => void;
  /** A registry listed its versions. */
  readonly onList: (model: string, versions: ReadonlyMap<string, RegistryVersion>, source: string) => void;
  /** The type of registry that a model's configuration names as its source. */
  readonly preferred: (model: string) => RegistryType | null;
}

export interface DeclaredVersion {
  readonly version: string;
  /** `mlflow alias champion`. */
  readonly source: string;
  /** Unix ms. */
  readonly since: number;
  /** How the registry splits traffic, where it does. */
  readonly split: readonly TrafficShare[] | null;
}

export interface Decider {
  readonly source: string;
  /** A promotion can be sent there. */
  readonly writes: boolean;
  /** Unix ms of its last answer; null: none yet, so that nobody knows what it declares. */
  readonly answeredAt: number | null;
  readonly trouble: string | null;
  /** null: it has not answered, or says that nothing is declared. */
  readonly declared: DeclaredVersion | null;
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

/** What one registry knows of a version. */
export interface KnownVersion {
  readonly registry: string;
  readonly found: RegistryVersion;
  /** Unix ms. */
  readonly checkedAt: number;
}

/** What one registry holds of the live quality of a model's versions. */
export interface RegistryReadBack {
  readonly registry: string;
  readonly reply: Reply<readonly ReadBack[]>;
}

export interface Registries extends Part {
  /** A model became known: registries that speak of every model begin to watch it. */
  model(name: string): void;
  /** Who decides what is in production: null: our own ledger does. */
  decider(model: string): Decider | null;
  /** Sends a promotion to the registry that decides; it holds when it is read back. */
  promote(
    model: string,
    asked: { readonly version: string; readonly expected: string | null | undefined },
    ended: (reply: Reply<null>) => void,
  ): void;
  /** A version of ours, to the registries that take registrations. */
  register(model: string, note: RegistrationNote): void;
  /** Ground truth of a prediction whose trace was sent. */
  label(model: string, note: LabelNote): void;
  /** What the registries know of a version, as of their last list. */
  known(model: string, version: string): readonly KnownVersion[];
  /** A version appeared that is not known: they are listed soon. */
  missing(model: string): void;
  readBack(model: string): Promise<readonly RegistryReadBack[]>;
  /** A delivery of a registry's webhook; null: no such registry takes any. */
  webhook(registry: string, delivery: Delivery): DeliveryVerdict | null;
  states(): readonly RegistryState[];
  /** Writes that wait, by registry. */
  waiting(): ReadonlyMap<string, number>;
}

/** Ids of deliveries remembered, so that one that is played again does nothing. */
const DELIVERIES_MAX = 1000;

class AllRegistries implements Registries {
  readonly #bound: readonly BoundRegistry[];
  readonly #needs: RegistriesNeeds;
  readonly #deliveries = new Set<string>();

  constructor(entries: readonly RegistryEntry[], needs: RegistriesNeeds) {
    this.#needs = needs;
    const boundNeeds: BoundNeeds = {
      ...needs,
      onDeclared: (bound, model, version) => {
        if (this.#decider(model) === bound) needs.onDeclared(model, version, bound.registry.source);
      },
      onList: ({ watches, registry }, model) =>
        needs.onList(model, watches.get(model)?.versions ?? new Map(), registry.source),
    };
    this.#bound = entries.map((entry, index) => {
      const alone = entries.filter(({ type }) => type === entry.type).length === 1;
      return new BoundRegistry(alone ? entry.type : `${entry.type}-${index}`, entry, boundNeeds);
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

  /** The registry that the model names, else the first configured one that can say what is current and covers the model. */
  #decider(model: string): BoundRegistry | undefined {
    const wanted = this.#needs.preferred(model);
    return this.#bound.find(
      ({ registry, entry }) =>
        registry.can.has("current") &&
        (wanted === null || entry.type === wanted) &&
        (entry.model === null || entry.model === model),
    );
  }

  decider(model: string): Decider | null {
    const decider = this.#decider(model);
    if (decider === undefined) return null;
    const { registry, watches } = decider;
    const watch = watches.get(model);
    const declared = watch?.declared ?? null;
    return {
      source: registry.source,
      writes: decider.wants("promotion") && registry.can.has("promotion"),
      answeredAt: watch?.answeredAt ?? null,
      trouble: watch?.trouble ?? null,
      declared: declared === null ? null : { ...declared, source: registry.source },
    };
  }

  promote(
    model: string,
    asked: { readonly version: string; readonly expected: string | null | undefined },
    ended: (reply: Reply<null>) => void,
  ): void {
    this.#decider(model)?.promote(model, asked, ended);
  }

  register(model: string, note: RegistrationNote): void {
    for (const bound of this.#bound) {
      const takes = bound.registry.can.has("registration") && bound.wants("registration");
      if (takes && bound.covers(model)) bound.register(model, note);
    }
  }

  label(model: string, note: LabelNote): void {
    for (const bound of this.#bound) bound.label(model, note);
  }

  known(model: string, version: string): readonly KnownVersion[] {
    return this.#bound.flatMap(({ name, watches }) => {
      const watch = watches.get(model);
      const found = watch?.versions.get(version);
      return found === undefined ? [] : [{ registry: name, found, checkedAt: watch?.listedAt ?? 0 }];
    });
  }

  missing(model: string): void {
    for (const { watches } of this.#bound) watches.get(model)?.listSoon();
  }

  async readBack(model: string): Promise<readonly RegistryReadBack[]> {
    const now = this.#needs.clock.wallMs();
    return await Promise.all(
      this.#bound
        .filter((bound) => bound.covers(model))
        .map(async ({ name, registry }) => {
          const reply = await registry.readBack(model, now);
          this.#needs.count(name, "comparison", reply.kind);
          return { registry: name, reply };
        }),
    );
  }

  webhook(registry: string, delivery: Delivery): DeliveryVerdict | null {
    const bound = this.#bound.find(({ name }) => name === registry);
    const secret = bound?.entry.webhookSecret ?? null;
    if (bound === undefined || secret === null) return null;
    const verdict = verifyWebhook(secret, delivery, this.#needs.clock.wallMs());
    if (verdict.kind !== "genuine") {
      this.#needs.count(registry, "webhook", "failed");
      return verdict;
    }
    // Whatever happened there, it is asked: the message is a hint, not an answer.
    if (!this.#deliveries.has(verdict.id)) for (const watch of bound.watches.values()) watch.soon();
    this.#deliveries.add(verdict.id);
    const [oldest] = this.#deliveries;
    if (this.#deliveries.size > DELIVERIES_MAX && oldest !== undefined) this.#deliveries.delete(oldest);
    this.#needs.count(registry, "webhook", "ok");
    return verdict;
  }

  states(): readonly RegistryState[] {
    return this.#bound.flatMap((bound) =>
      [...bound.watches.values()].map((watch) => ({
        registry: bound.name,
        model: watch.model,
        declared: watch.declared?.version ?? null,
        checkedAt: watch.answeredAt,
        trouble: bound.troubleOf(watch),
      })),
    );
  }

  waiting(): ReadonlyMap<string, number> {
    return new Map(this.#bound.map((bound) => [bound.name, bound.waiting]));
  }
}

export function createRegistries(entries: readonly RegistryEntry[], needs: RegistriesNeeds): Registries {
  return new AllRegistries(entries, needs);
}
