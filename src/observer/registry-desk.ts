// The registries beside the version ledger: what they declare is adopted, what we decide is sent to the one that decides.

import type { Config } from "../config/config.ts";
import type { Registration, VersionDecision, VersionRefusal } from "../facts/version.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import type { Measure } from "../measure/measure.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import { createRegistries, type Registries } from "../versions/registries.ts";
import type { QualityFigure, QualityNote, RegistryVersion, Reply } from "../versions/registry.ts";
import type { Promoting, RollingBack, VersionLedger } from "../versions/version-ledger.ts";
import type { StateBook } from "./state-book.ts";

export interface RegistryDeskNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly recorder: () => Recorder;
  readonly measure: Measure;
  readonly states: StateBook;
  readonly ledger: VersionLedger;
  /** The version that the traffic of a model is said to have, when the registry is its source. */
  readonly onExternal: (model: string, version: string) => void;
  readonly onChange: () => void;
}

/** A decision that the registry has been asked for. */
interface Pending {
  readonly version: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly action: "promoted" | "rolled_back";
}

export interface RegistryDesk {
  readonly registries: Registries;
  /** null: our own ledger decides. */
  decide(asked: Promoting | RollingBack): VersionDecision | null;
  /** The version ledger is open: what the registries said before is noted now. */
  opened(): void;
  collect(recorder: Recorder): void;
}

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
  readonly #externals: ReadonlySet<string>;
  readonly #pending = new Map<string, Pending>();
  /** What each registry said last, by model. */
  readonly #said = new Map<string, { readonly found: RegistryVersion; readonly source: string }>();

  constructor(config: Config, needs: RegistryDeskNeeds) {
    this.#needs = needs;
    this.#externals = new Set(
      config.models.flatMap(({ name, version }) => (version !== null && "registry" in version ? [name] : [])),
    );
    const { clock, log } = needs;
    this.registries = createRegistries(config.registries, {
      clock,
      log,
      count: (registry, operation, result) =>
        needs.recorder().counter("outrider_registry_calls_total").inc({ registry, operation, result }),
      onDeclared: (model, version, source) => this.#declared(model, version, source),
      onState: () => this.#tellState(),
      qualityOf: (model) => this.#notesOf(model),
    });
    for (const { name } of config.models) this.registries.model(name);
  }

  #tellState(): void {
    const troubled = this.registries.states().filter((state) => state.trouble !== null);
    const [first] = troubled;
    const { states } = this.#needs;
    if (first === undefined) states.set("registries", "ok");
    else {
      const since =
        first.checkedAt === null
          ? "never answered"
          : `last answer ${new Date(first.checkedAt).toISOString()}`;
      states.set(
        "registries",
        "degraded",
        `${first.registry}, ${first.model}: ${first.trouble ?? ""} (${since})`,
      );
    }
    this.#needs.onChange();
  }

  opened(): void {
    for (const [model, { found, source }] of this.#said) this.#declared(model, found, source);
  }

  /** The registry's word holds: noted with who asked for it, when that was us. */
  #declared(model: string, found: RegistryVersion, source: string): void {
    const { ledger, onExternal, onChange, log } = this.#needs;
    const { version } = found;
    this.#said.set(model, { found, source });
    const asked = this.#pending.get(model);
    const ours = asked?.version === version ? asked : null;
    if (ours !== null) this.#pending.delete(model);
    if ((ledger.record(model, version)?.registration ?? null) === null)
      ledger.register({ model, version, registration: registrationOf(found), actor: source });
    const noted = ledger.adopt({
      model,
      version,
      actor: ours?.actor ?? source,
      reason: ours?.reason ?? `declared by ${source}`,
      action: ours?.action ?? "promoted",
    });
    if (noted.kind === "refused")
      log.error({ model, version, error: noted.message }, "the declared version could not be noted");
    if (this.#externals.has(model)) onExternal(model, version);
    this.#tellState();
    onChange();
  }

  decide(asked: Promoting | RollingBack): VersionDecision | null {
    const decider = this.registries.decider(asked.model);
    if (decider === null || ("stage" in asked && asked.stage !== "production")) return null;
    if (!decider.writes) return this.#refusal(decider.source);
    const weighed = this.#needs.ledger.weigh(asked);
    if (weighed.kind === "refused") return weighed;
    if (weighed.record.stage === "production" && "stage" in asked) return weighed;
    const { version } = weighed.record;
    const { model, actor, reason } = asked;
    const pending: Pending = {
      version,
      actor,
      reason,
      action: "stage" in asked ? "promoted" : "rolled_back",
    };
    this.#pending.set(model, pending);
    this.registries.promote(model, version, (reply) => this.#promoted(model, pending, reply));
    return { kind: "done", changed: false, pending: true, record: weighed.record };
  }

  #refusal(source: string): VersionRefusal {
    const message = `${source} decides what is in production: change it there, or add "promotion" to the registry's write list`;
    return { kind: "refused", code: "registry_decides", message, details: { source } };
  }

  #promoted(model: string, pending: Pending, reply: Reply<null>): void {
    if (reply.kind === "ok") return;
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
