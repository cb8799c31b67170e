// The status page's facts: what happened lately is kept here, everything else is asked for when somebody looks.

import type { ModelView } from "../../api/contract.ts";
import type { Exchange } from "../../facts/exchange.ts";
import type { Group } from "../../facts/group.ts";
import type { PartState, VersionModel } from "../../facts/road.ts";
import type { Finding, Pulse, Status, StatusModel, Verdict } from "../../facts/status.ts";
import type { Clock, Timer } from "../../kernel/clock.ts";
import type { Part } from "../../kernel/lifecycle.ts";
import { version } from "../../kernel/version.ts";
import { createFindingsBook, findingsOf } from "./findings.ts";
import { createPulse } from "./pulse.ts";
import { createQualityHistory } from "./quality-history.ts";

const SAMPLE_MS = 30_000;
/** The first points come sooner: whoever has just started wants to see something. */
const FIRST_SAMPLES_MS = 5000;
const FIRST_SAMPLES = 24;
const RECENT_MS = 5 * 60_000;
/** Of verdicts shown. */
const VERDICTS_MAX = 100;

interface Compared {
  readonly model: string;
  readonly baseline: string;
  readonly candidate: string;
  readonly metrics: readonly Omit<Verdict, "model" | "baseline" | "candidate">[];
}

export interface StatusNeeds {
  readonly clock: Clock;
  models(): readonly ModelView[];
  versionModels(): readonly VersionModel[];
  /** Without slices. */
  groups(at: number): readonly Group[];
  comparisons(): readonly Compared[];
  parts(): Readonly<Record<string, PartState>>;
  windows(): ReadonlySet<string>;
  /** Facts lost to full queues since the start. */
  dropped(): number;
}

export interface StatusDesk extends Part {
  exchange(exchange: Exchange): void;
  probe(up: boolean): void;
  target(
    sample: {
      readonly cpuUtilization: number | null;
      readonly memoryBytes: { readonly rss: number | null; readonly workingSet: number | null };
    } | null,
  ): void;
  status(window: string): Status;
}

/** What findings are drawn from, worked out once. */
interface Looked {
  readonly groups: readonly Group[];
  readonly pulse: Pulse;
  readonly verdicts: readonly Verdict[];
}

class Desk implements StatusDesk {
  readonly #needs: StatusNeeds;
  readonly #pulse = createPulse();
  readonly #history = createQualityHistory();
  readonly #findings = createFindingsBook();
  readonly #startedAt: number;
  #samples = 0;
  #timer: Timer | null = null;

  constructor(needs: StatusNeeds) {
    this.#needs = needs;
    this.#startedAt = needs.clock.wallMs();
  }

  start(): Promise<void> {
    this.#plan();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    return Promise.resolve();
  }

  #plan(): void {
    const waitMs = this.#samples < FIRST_SAMPLES ? FIRST_SAMPLES_MS : SAMPLE_MS;
    this.#timer = this.#needs.clock.after(waitMs, () => {
      this.#samples++;
      const at = this.#needs.clock.wallMs();
      const groups = this.#needs.groups(at);
      this.#history.add(groups, at);
      const looked = { groups, pulse: this.#pulse.at(at), verdicts: this.#verdicts() };
      this.#findings.update(this.#found(looked, at), at);
      this.#plan();
    });
  }

  #found({ groups, pulse, verdicts }: Looked, at: number): Finding[] {
    const widest = this.#widest();
    const recent = pulse.bins.filter((bin) => bin.at > at - RECENT_MS);
    return findingsOf({
      parts: this.#needs.parts(),
      models: this.#models(groups.filter(({ window }) => window === widest)),
      verdicts,
      recent,
      dropped: this.#needs.dropped(),
    });
  }

  /** Findings about quality speak of a day, or of whatever window there is. */
  #widest(): string {
    const windows = this.#needs.windows();
    return windows.has("24h") ? "24h" : ([...windows][0] ?? "all");
  }

  #models(groups: readonly Group[]): StatusModel[] {
    const declared = new Map(this.#needs.versionModels().map((model) => [model.name, model]));
    return this.#needs.models().map(({ name, task, versions }) => {
      const { served = [], declared: said = null, mismatch = false } = declared.get(name) ?? {};
      return {
        name,
        task,
        served,
        declared: said,
        mismatch,
        versions: versions.map(({ metadata, ...view }) => ({
          ...view,
          evaluation: metadata?.evaluation ?? {},
          group: groups.find((group) => group.model === name && group.version === view.version) ?? null,
        })),
      };
    });
  }

  #verdicts(): Verdict[] {
    return this.#needs
      .comparisons()
      .flatMap(({ model, baseline, candidate, metrics }) =>
        metrics.map(({ metric, difference, lower, upper, verdict }) => ({
          model,
          baseline,
          candidate,
          metric,
          difference,
          lower,
          upper,
          verdict,
        })),
      )
      .slice(-VERDICTS_MAX);
  }

  exchange(exchange: Exchange): void {
    this.#pulse.exchange(exchange, this.#needs.clock.wallMs());
  }

  probe(up: boolean): void {
    this.#pulse.probe(up, this.#needs.clock.wallMs());
  }

  target(sample: Parameters<StatusDesk["target"]>[0]): void {
    const { rss = null, workingSet = null } = sample?.memoryBytes ?? {};
    const used = { cpu: sample?.cpuUtilization ?? null, memoryBytes: workingSet ?? rss };
    this.#pulse.target(used, this.#needs.clock.wallMs());
  }

  status(window: string): Status {
    const at = this.#needs.clock.wallMs();
    const groups = this.#needs.groups(at);
    const pulse = this.#pulse.at(at);
    const verdicts = this.#verdicts();
    return {
      at,
      outrider: version,
      startedAt: this.#startedAt,
      window,
      windows: [...this.#needs.windows()],
      parts: this.#needs.parts(),
      pulse,
      models: this.#models(groups.filter((group) => group.window === window)),
      verdicts,
      history: this.#history.of(window),
      findings: this.#findings.seen(this.#found({ groups, pulse, verdicts }, at), at),
    };
  }
}

/** Samples from `start` to `stop`; before and after it only answers. */
export function createStatusDesk(needs: StatusNeeds): StatusDesk {
  return new Desk(needs);
}
