// The version ledger beside the traffic: what is registered and declared, put together with what is served and measured.

import { join } from "node:path";
import type { ComparisonQuery, ComparisonView, VersionDesk } from "../api/contract.ts";
import type { ServedVersion, VersionModel } from "../facts/road.ts";
import type { QualityThen, VersionDecision, VersionRecord } from "../facts/version.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { BASELINE_MARGIN } from "../kernel/metric-names.ts";
import { messageOf, Problem } from "../kernel/problem.ts";
import type { Config } from "../config/config.ts";
import type { Measure } from "../measure/measure.ts";
import type { Recorder } from "../telemetry/recorder.ts";
import type { Registries } from "../versions/registries.ts";
import { createVersionLedger, type GateAnswer, type VersionLedger } from "../versions/version-ledger.ts";
import { createRegistryDesk, type RegistryDesk } from "./registry-desk.ts";
import type { Served } from "./served.ts";
import type { StateBook } from "./state-book.ts";

export interface VersionDeskNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: Config;
  /** Asked for when something is counted. */
  readonly recorder: () => Recorder;
  readonly onExternal: (model: string, version: string) => void;
  /** May throw a Problem when there is nothing to compare. */
  readonly compare: (query: ComparisonQuery) => ComparisonView;
  readonly measure: Measure;
  readonly served: Served;
  readonly states: StateBook;
  /** Distributions of training data were registered for a version of the model. */
  readonly onDistributions: (model: string) => void;
  /** Something that `/version` shows has changed. */
  readonly onChange: () => void;
}

export interface ObserverVersions {
  readonly desk: VersionDesk;
  readonly registries: Registries;
  /** Figures about the registries, into the snapshot being taken. */
  collect(recorder: Recorder): void;
  /** Opens the journal; a failure is told as the state of the part `versions`, and asked for again by `open`. */
  open(): void;
  /** Configured models whose version a registry is asked for that has not answered. */
  awaited(): string[];
  /** A version appeared in traffic. */
  seen(model: string, version: string): void;
  record(model: string, version: string): VersionRecord | null;
  records(): Generator<VersionRecord>;
  /** The version that is declared to be in production. */
  declared(model: string): VersionModel["declared"];
  /** Models of the ledger, with those of the traffic. */
  models(): VersionModel[];
  close(): void;
}

class Desk implements ObserverVersions {
  readonly desk: VersionDesk;
  readonly #needs: VersionDeskNeeds;
  readonly #ledger: VersionLedger;
  readonly #registryDesk: RegistryDesk;
  #open = false;

  constructor(needs: VersionDeskNeeds) {
    this.#needs = needs;
    const { clock, log } = needs;
    const expected = new Map(needs.config.models.map(({ name, baseline }) => [name, baseline]));
    this.#ledger = createVersionLedger(
      { path: join(needs.config.store.path, "versions.ndjson") },
      {
        clock,
        log,
        qualityOf: (model, version) => this.#qualityOf(model, version),
        gate: (model, current, candidate) => this.#gate(model, current, candidate),
        expectedOf: (model) => expected.get(model) ?? { metrics: {}, margin: BASELINE_MARGIN },
      },
    );
    const ledger = this.#ledger;
    this.#registryDesk = createRegistryDesk(needs.config, { ...needs, ledger });
    const registryDesk = this.#registryDesk;
    this.desk = {
      register: (asked) => this.#registered(registryDesk.registered(asked, ledger.register(asked))),
      promote: (asked) => this.#told(registryDesk.decide(asked) ?? ledger.promote(asked)),
      rollBack: (asked) => this.#told(registryDesk.decide(asked) ?? ledger.rollBack(asked)),
      history: (model) => ledger.history(model),
      productionAt: (model, at) => (at === null ? ledger.production(model) : ledger.productionAt(model, at)),
      registries: (model) => registryDesk.views(model),
      webhook: (registry, delivery) => registryDesk.registries.webhook(registry, delivery),
    };
  }

  get registries(): Registries {
    return this.#registryDesk.registries;
  }

  collect(recorder: Recorder): void {
    this.#registryDesk.collect(recorder);
  }

  /** What is compared with registered distributions begins anew with them. */
  #registered(decision: VersionDecision): VersionDecision {
    if (decision.kind === "done" && decision.changed) {
      const data = decision.record.registration?.trainingData;
      if (typeof data === "object" && data !== null && "distributions" in data)
        this.#needs.onDistributions(decision.record.model);
    }
    return this.#told(decision);
  }

  #told<T extends { readonly kind: string }>(decision: T): T {
    if (decision.kind === "done") this.#needs.onChange();
    return decision;
  }

  /** "Not worse than": the upper end of the always-valid interval of the difference must not be above the tolerance. */
  #gate(model: string, current: string, candidate: string): GateAnswer | null {
    const gate = this.#needs.config.models.find(({ name }) => name === model)?.gate ?? null;
    if (gate === null) return null;
    const { metric, tolerance } = gate;
    const figures = this.#figures({ model, baseline: current, candidate }, metric);
    const upper = figures?.upper ?? null;
    if (upper !== null && upper <= tolerance) return { allowed: true, message: "", figures };
    const known =
      upper === null ? "it is not known yet how they compare" : `it may be worse by up to ${upper}`;
    const message = `${candidate} is not shown to be at most ${tolerance} worse in ${metric} than ${current}: ${known}`;
    return { allowed: false, message, figures };
  }

  #figures(query: ComparisonQuery, metric: string): ComparisonView["metrics"][number] | null {
    try {
      return this.#needs.compare(query).metrics.find((compared) => compared.metric === metric) ?? null;
    } catch (thrown) {
      if (thrown instanceof Problem) return null;
      throw thrown;
    }
  }

  #qualityOf(model: string, version: string): QualityThen | null {
    const at = this.#needs.clock.wallMs();
    const groups = (["all", "matured"] as const).flatMap((basis) =>
      this.#needs.measure.groups(at, { model, version, slice: "", basis }),
    );
    if (groups.length === 0) return null;
    return groups.map(({ window, basis, n_predictions, n_labeled, coverage, metrics }) => ({
      window,
      basis: basis ?? "all",
      n_predictions,
      n_labeled,
      coverage,
      metrics,
    }));
  }

  open(): void {
    if (this.#open) return;
    const { log, states } = this.#needs;
    try {
      const { events, damaged, copy } = this.#ledger.open();
      this.#open = true;
      this.#registryDesk.opened();
      if (damaged > 0)
        log.error(
          { damaged, copy },
          "lines of the version ledger were damaged and left out; a copy was kept",
        );
      log.info({ events }, "version ledger open");
      states.set(
        "versions",
        damaged > 0 ? "degraded" : "ok",
        damaged > 0 ? `${damaged} damaged lines left out` : undefined,
      );
    } catch (thrown) {
      states.set("versions", "degraded", messageOf(thrown));
      log.error({ error: messageOf(thrown) }, "the version ledger could not be opened");
    }
  }

  awaited(): string[] {
    return this.#registryDesk.awaited();
  }

  seen(model: string, version: string): void {
    this.registries.model(model);
    if (!this.#open || this.#ledger.seen(model, version) !== "new") return;
    this.registries.missing(model);
    // Who registers versions has forgotten this one, or somebody else deployed it; to all others it is no trouble.
    const registers = [...this.#ledger.records(model)].some(({ registration }) => registration !== null);
    const fields = { model, version };
    if (registers) this.#needs.log.warn(fields, "a version that was never registered appeared in traffic");
    else this.#needs.log.info(fields, "a version appeared in traffic; this model has no registered ones");
  }

  record(model: string, version: string): VersionRecord | null {
    return this.#ledger.record(model, version);
  }

  *records(): Generator<VersionRecord> {
    for (const model of this.#ledger.models()) yield* this.#ledger.records(model);
  }

  models(): VersionModel[] {
    const { served, clock } = this.#needs;
    const now = clock.wallMs();
    const names = new Set([...served.models(), ...this.#ledger.models()]);
    return [...names].map((name) => this.#modelOf(name, served.versions(name, now)));
  }

  #modelOf(name: string, served: readonly ServedVersion[]): VersionModel {
    const declared = this.declared(name);
    // The first is the one that serves most.
    const mismatch = declared !== null && served[0] !== undefined && served[0].version !== declared.version;
    return { name, served, declared, mismatch };
  }

  /** The registry that decides speaks for itself, also when it is silent; without one our ledger does. */
  declared(name: string): VersionModel["declared"] {
    const decider = this.registries.decider(name);
    const declared = decider?.declared ?? null;
    if (decider !== null && declared !== null) {
      const { version, source, split } = declared;
      return {
        version,
        source,
        since: new Date(declared.since).toISOString(),
        checkedAt: new Date(decider.answeredAt ?? declared.since).toISOString(),
        trouble: decider.trouble,
        ...(split === null ? {} : { split }),
      };
    }
    // It has answered that nothing is declared.
    if (decider !== null && decider.answeredAt !== null) return null;
    const production = this.#ledger.production(name);
    if (production === null) return null;
    const since = new Date(production.since).toISOString();
    const { version } = production;
    if (decider === null) return { version, source: "ledger", since };
    // Not heard since the start: what it said last, as our ledger noted it.
    const trouble = decider.trouble ?? "it has not answered yet";
    return { version, source: `ledger, before ${decider.source}`, since, trouble };
  }

  close(): void {
    this.#ledger.close();
    this.#open = false;
  }
}

export function createObserverVersions(needs: VersionDeskNeeds): ObserverVersions {
  return new Desk(needs);
}
