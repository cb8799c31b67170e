// The registries beside the version ledger: what they declare is adopted, what we decide is sent to the one that decides.

import type { RegistryView } from "../api/contract.ts";
import type { Config } from "../config/config.ts";
import type { Registration, VersionDecision, VersionRefusal } from "../facts/version.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { Measure } from "../measure/measure.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import { createRegistries, type Decider, type Registries } from "../versions/registries.ts";
import type { QualityFigure, QualityNote, RegistryVersion, Reply } from "../versions/registry.ts";
import type { Promoting, Registering, RollingBack, VersionLedger } from "../versions/version-ledger.ts";
import type { StateBook } from "./state-book.ts";

export interface RegistryDeskNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly recorder: () => Recorder;
  readonly measure: Measure;
  readonly states: StateBook;
  readonly ledger: VersionLedger;
  /** The version that the traffic of a model is said to have, when a registry may be its source. */
  readonly onExternal: (model: string, version: string) => void;
  readonly onChange: () => void;
}

/** A decision that the registry has been asked for. */
interface Pending {
  readonly version: string;
  readonly actor: string;
  readonly via: string;
  readonly reason: string | null;
  readonly action: "promoted" | "rolled_back";
  /** The registry took it: the next answer shows whether it holds. */
  written: boolean;
}

export interface RegistryDesk {
  readonly registries: Registries;
  /** null: our own ledger decides. */
  decide(asked: Promoting | RollingBack): VersionDecision | null;
  /** A version was registered with us: told to the registries that take it. Passes `decision` on. */
  registered(asked: Registering, decision: VersionDecision): VersionDecision;
  /** The version ledger is open: what the registries said before is noted now. */
  opened(): void;
  /** Configured models whose version a registry is asked for that has not answered. */
  awaited(): string[];
  views(model: string): Promise<readonly RegistryView[]>;
  collect(recorder: Recorder): void;
}

/** Read back at most so often: some registries allow a hundred such questions a day. */
const READ_BACK_MS = 60_000;
const VIEWS_MAX = 200;

function registrationOf(found: RegistryVersion): Registration {
  return {
    artifact: found.artifactUri === null ? null : { uri: found.artifactUri, sha256: null },
    trainingData: null,
    parameters: found.parameters,
    evaluation: found.evaluation,
    tags: found.tags,
    description: found.description,
  };
}

class Desk implements RegistryDesk {
  readonly registries: Registries;
  readonly #needs: RegistryDeskNeeds;
  /** Models whose version block names another source than a registry. */
  readonly #otherSource: ReadonlySet<string>;
  /** Configured ones that a registry may tell the version of. */
  readonly #asked: readonly string[];
  readonly #pending = new Map<string, Pending>();
  /** What the decider said last, by model. */
  readonly #said = new Map<string, { readonly found: RegistryVersion | null; readonly source: string }>();
  readonly #views = new Map<
    string,
    { readonly at: number; readonly reply: ReturnType<Registries["readBack"]> }
  >();
  #open = false;

  constructor(config: Config, needs: RegistryDeskNeeds) {
    this.#needs = needs;
    const preferred = new Map(
      config.models.flatMap(({ name, version }) =>
        version !== null && "registry" in version ? [[name, version.registry] as const] : [],
      ),
    );
    this.#otherSource = new Set(
      config.models.flatMap(({ name, version }) => (version !== null && !preferred.has(name) ? [name] : [])),
    );
    const { clock, log } = needs;
    this.registries = createRegistries(config.registries, {
      clock,
      log,
      count: (registry, operation, result) =>
        needs.recorder().counter("outrider_registry_calls_total").inc({ registry, operation, result }),
      preferred: (model) => preferred.get(model) ?? null,
      onDeclared: (model, version, source) => this.#declared(model, version, source),
      onList: (model, versions, source) => this.#listed(model, versions, source),
      onState: () => this.#tellState(),
      qualityOf: (model) => this.#notesOf(model),
    });
    for (const { name } of config.models) this.registries.model(name);
    this.#asked = config.models.map(({ name }) => name).filter((name) => !this.#otherSource.has(name));
  }

  awaited(): string[] {
    return this.#asked.filter((model) => this.registries.decider(model)?.answeredAt === null);
  }

  #tellState(): void {
    const troubled = this.registries.states().filter((state) => state.trouble !== null);
    const { states, onChange } = this.#needs;
    const why = troubled.slice(0, 5).map(({ registry, model, trouble, checkedAt }) => {
      const since =
        checkedAt === null ? "never answered" : `last answer ${new Date(checkedAt).toISOString()}`;
      return `${registry}, ${model}: ${trouble ?? ""} (${since})`;
    });
    if (why.length === 0) states.set("registries", "ok");
    else states.set("registries", "degraded", why.join("; "));
    onChange();
  }

  opened(): void {
    this.#open = true;
    for (const [model, { found, source }] of this.#said) this.#declared(model, found, source);
    // Until a registry answers, what it said before the start holds.
    for (const model of this.awaited()) {
      const noted = this.#needs.ledger.production(model);
      if (noted !== null) this.#needs.onExternal(model, noted.version);
    }
  }

  /** The registry's word holds: noted with who asked for it, when that was us. */
  #declared(model: string, found: RegistryVersion | null, source: string): void {
    const { ledger, onExternal, log } = this.#needs;
    this.#said.set(model, { found, source });
    if (found !== null && !this.#otherSource.has(model)) onExternal(model, found.version);
    this.#tellState();
    if (!this.#open) return;
    const version = found?.version ?? null;
    const ours = this.#settled(model, version);
    if (found !== null) this.#mirror(model, found, source);
    const noted = ledger.adopt({
      model,
      version,
      actor: ours?.actor ?? source,
      via: ours?.via ?? "registry",
      reason: ours?.reason ?? (version === null ? `${source} names none` : `declared by ${source}`),
      action: ours?.action ?? "promoted",
    });
    if (noted?.kind === "refused")
      log.error({ model, version, error: noted.message }, "the declared version could not be noted");
    if (noted?.kind === "done" && noted.changed) this.#needs.onChange();
  }

  /** The decision of ours that this answer fulfils; one that was taken and does not show was overtaken by somebody else's. */
  #settled(model: string, version: string | null): Pending | null {
    const asked = this.#pending.get(model);
    if (asked === undefined) return null;
    if (asked.version === version) {
      this.#pending.delete(model);
      return asked;
    }
    if (asked.written) {
      this.#pending.delete(model);
      const fields = { model, version: asked.version, declared: version };
      this.#needs.log.warn(fields, "the registry took a promotion, and names another version by now");
    }
    return null;
  }

  /** What a registry knows of a version stands in our ledger until somebody registers it there. */
  #mirror(model: string, found: RegistryVersion, source: string): void {
    const { ledger } = this.#needs;
    if ((ledger.record(model, found.version)?.registration ?? null) !== null) return;
    const registration = registrationOf(found);
    ledger.register({ model, version: found.version, registration, actor: source, via: "registry" });
  }

  /** Versions of the traffic that nobody registered with us, but that the registry knows. */
  #listed(model: string, versions: ReadonlyMap<string, RegistryVersion>, source: string): void {
    if (!this.#open) return;
    for (const { version, registration } of this.#needs.ledger.records(model)) {
      const found = registration === null ? versions.get(version) : undefined;
      if (found !== undefined) this.#mirror(model, found, source);
    }
    this.#needs.onChange();
  }

  registered({ model, version, registration, via }: Registering, decision: VersionDecision): VersionDecision {
    const { artifact, description, tags } = registration;
    if (decision.kind !== "done" || via === "registry" || artifact === null) return decision;
    this.registries.model(model);
    this.registries.register(model, { version, artifactUri: artifact.uri, description, tags });
    return decision;
  }

  decide(asked: Promoting | RollingBack): VersionDecision | null {
    const { model, actor, via, reason } = asked;
    this.registries.model(model);
    const decider = this.registries.decider(model);
    if (decider === null || ("stage" in asked && asked.stage !== "production")) return null;
    if (!decider.writes) return this.#refusal(decider.source);
    if ("stage" in asked) this.#lookUp(asked, decider);
    const overtaken = this.#overtaken(asked);
    if (overtaken !== null) return overtaken;
    const weighed = this.#needs.ledger.weigh(asked);
    if (weighed.kind === "refused") return weighed;
    if (weighed.record.stage === "production" && "stage" in asked) return weighed;
    const { version } = weighed.record;
    const action = "stage" in asked ? "promoted" : "rolled_back";
    const pending: Pending = { version, actor, via, reason, action, written: false };
    this.#pending.set(model, pending);
    this.registries.promote(model, { version, expected: asked.ifCurrent }, (reply) =>
      this.#promoted(model, pending, reply),
    );
    return { kind: "done", changed: false, pending: true, record: weighed.record };
  }

  /** A version that only the registry knows so far may be promoted as well. */
  #lookUp({ model, version }: Promoting, { source }: Decider): void {
    if (this.#needs.ledger.record(model, version) !== null) return;
    const [known] = this.registries.known(model, version);
    if (known === undefined) this.registries.missing(model);
    else this.#mirror(model, known.found, source);
  }

  /** Compare and set while another decision is on its way: what will be current is not what the caller saw. */
  #overtaken({ model, ifCurrent }: Promoting | RollingBack): VersionRefusal | null {
    const before = this.#pending.get(model);
    if (before === undefined || ifCurrent === undefined) return null;
    const current = this.#needs.ledger.production(model)?.version ?? null;
    const message = `a change to version "${before.version}" is on its way to the registry`;
    return { kind: "refused", code: "not_current", message, details: { current, pending: before.version } };
  }

  #refusal(source: string): VersionRefusal {
    const message = `${source} decides what is in production: change it there, or add "promotion" to the registry's write list`;
    return { kind: "refused", code: "registry_decides", message, details: { source } };
  }

  #promoted(model: string, pending: Pending, reply: Reply<null>): void {
    if (reply.kind === "ok") {
      pending.written = true;
      return;
    }
    if (this.#pending.get(model) === pending) this.#pending.delete(model);
    this.#needs.log.error(
      { model, version: pending.version, actor: pending.actor, error: reply.message },
      "the registry did not take the promotion; what is in production has not changed",
    );
  }

  /** Headline metrics of every version over its windows. */
  #notesOf(model: string): QualityNote[] {
    const at = this.#needs.clock.wallMs();
    const versions = new Map<string, QualityFigure[]>();
    for (const group of this.#needs.measure.groups(at, { model, slice: "" })) {
      if (group.n_labeled === 0) continue;
      const figures = versions.get(group.version) ?? [];
      versions.set(group.version, figures);
      for (const [metric, value] of Object.entries(group.metrics)) {
        if (value !== null) figures.push({ window: group.window, metric, value, samples: group.n_labeled });
      }
    }
    return [...versions].map(([version, figures]) => ({ version, at, figures }));
  }

  async views(model: string): Promise<readonly RegistryView[]> {
    const states = this.registries.states().filter((state) => state.model === model);
    if (states.length === 0) return [];
    const held = new Map((await this.#readBack(model)).map(({ registry, reply }) => [registry, reply]));
    return states.map(({ registry, declared, checkedAt, trouble }) => {
      const reply = held.get(registry) ?? { kind: "none", message: "it was not asked" };
      const quality =
        reply.kind === "ok"
          ? { state: reply.kind, message: null, rows: reply.value }
          : { state: reply.kind, message: reply.message, rows: [] };
      return { registry, declared, checkedAt, trouble, quality };
    });
  }

  #readBack(model: string): ReturnType<Registries["readBack"]> {
    const now = this.#needs.clock.monotonicMs();
    const before = this.#views.get(model);
    if (before !== undefined && now - before.at < READ_BACK_MS) return before.reply;
    if (this.#views.size >= VIEWS_MAX) this.#views.clear();
    const reply = this.registries.readBack(model);
    this.#views.set(model, { at: now, reply });
    return reply;
  }

  collect(recorder: Recorder): void {
    const answered = this.registries.states().filter((state) => state.checkedAt !== null);
    recorder.gauge("outrider_registry_last_answer_timestamp_seconds").replace(
      answered.map(({ registry, model, checkedAt }) => ({
        labels: { registry, model },
        value: (checkedAt ?? 0) / 1000,
      })),
    );
    recorder
      .gauge("outrider_registry_writes_waiting")
      .replace([...this.registries.waiting()].map(([registry, value]) => ({ labels: { registry }, value })));
  }
}

export function createRegistryDesk(config: Config, needs: RegistryDeskNeeds): RegistryDesk {
  return new Desk(config, needs);
}
