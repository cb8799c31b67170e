// What a person should know, said in one sentence each, from the same facts that the shipped alerts look at.

import type { Group } from "../../facts/group.ts";
import type { PartState } from "../../facts/road.ts";
import type { Finding, KeptFinding, PulseBin, StatusModel, Verdict } from "../../facts/status.ts";
import { isLoss } from "../../kernel/metric-names.ts";

/** Findings that are remembered after they ended; the oldest go first. */
const ENDED_MAX = 50;
const ERROR_SHARE = 0.05;
const REQUESTS_MIN = 20;
const LABELS_MIN = 30;

export interface Facts {
  readonly parts: Readonly<Record<string, PartState>>;
  readonly models: readonly StatusModel[];
  readonly verdicts: readonly Verdict[];
  /** Of the last five minutes. */
  readonly recent: readonly PulseBin[];
  /** Facts the queues could not take, since the start. */
  readonly dropped: number;
}

function ofParts(parts: Facts["parts"]): Finding[] {
  return Object.entries(parts)
    .filter(([, { state }]) => state === "degraded")
    .map(([part, { why }]) => ({
      key: `part ${part}`,
      severity: part.startsWith("probe ") || part === "store" ? ("critical" as const) : ("warning" as const),
      message: `${part}: ${why ?? "degraded"}`,
    }));
}

function ofErrors(recent: Facts["recent"]): Finding[] {
  const sum = (of: (bin: PulseBin) => number): number => recent.reduce((total, bin) => total + of(bin), 0);
  const requests = sum((bin) => bin.requests);
  const failed = sum((bin) => bin.serverErrors + bin.ownErrors);
  if (requests < REQUESTS_MIN || failed / requests < ERROR_SHARE) return [];
  const share = `${((100 * failed) / requests).toFixed(1)} %`;
  return [
    {
      key: "errors",
      severity: "critical",
      message: `${share} of the requests of the last five minutes failed (${failed} of ${requests})`,
    },
  ];
}

function worseThanRegistered(group: Group, metric: string, registered: number): Finding | null {
  const interval = group.intervals?.[metric];
  if (interval === undefined || interval === null || group.n_labeled < LABELS_MIN) return null;
  const worse = isLoss(metric) ? interval.lower > registered : interval.upper < registered;
  if (!worse) return null;
  const { model, version, window } = group;
  const value = group.metrics[metric] ?? null;
  return {
    key: `registered ${JSON.stringify([model, version, metric])}`,
    severity: "warning",
    message: `${model} ${version}: ${metric} of the last ${window} is ${value?.toPrecision(4)}, registered with ${registered.toPrecision(4)}`,
  };
}

function ofModel(model: StatusModel): Finding[] {
  const found: Finding[] = [];
  if (model.mismatch) {
    const served = model.served[0]?.version ?? "unknown";
    found.push({
      key: `mismatch ${model.name}`,
      severity: "warning",
      message: `${model.name}: ${served} is served, ${model.declared?.version ?? "another version"} is declared`,
    });
  }
  const anyRegistered = model.versions.some(({ registered }) => registered);
  for (const version of model.versions) {
    const served = model.served.some((one) => one.version === version.version);
    if (served && anyRegistered && !version.registered)
      found.push({
        key: `unregistered ${JSON.stringify([model.name, version.version])}`,
        severity: "info",
        message: `${model.name} ${version.version} is served but was never registered`,
      });
    if (version.group === null) continue;
    for (const [metric, registered] of Object.entries(version.evaluation)) {
      const finding = worseThanRegistered(version.group, metric, registered);
      if (finding !== null) found.push(finding);
    }
  }
  return found;
}

function ofVerdict(verdict: Verdict): Finding[] {
  const { model, baseline, candidate, metric, verdict: word } = verdict;
  if (word === "undecided") return [];
  return [
    {
      key: `verdict ${JSON.stringify([model, baseline, candidate, metric])}`,
      severity: word === "worse" ? "warning" : "info",
      message: `${model}: ${candidate} is ${word} than ${baseline} by ${metric}`,
    },
  ];
}

/** All that holds now. Pure. */
export function findingsOf(facts: Facts): Finding[] {
  return [
    ...ofParts(facts.parts),
    ...ofErrors(facts.recent),
    ...facts.models.flatMap(ofModel),
    ...facts.verdicts.flatMap(ofVerdict),
    ...(facts.dropped === 0
      ? []
      : [
          {
            key: "dropped",
            severity: "warning" as const,
            message: `${facts.dropped} observations were dropped since the start; traffic was not touched`,
          },
        ]),
  ];
}

interface Kept {
  readonly holding: ReadonlyMap<string, KeptFinding>;
  readonly ended: readonly KeptFinding[];
}

/** What is kept when `findings` are all that hold at `at`. */
function follow(kept: Kept, findings: readonly Finding[], at: number): Kept {
  const now = new Map(findings.map((finding) => [finding.key, finding]));
  const over = [...kept.holding.values()].filter(({ key }) => !now.has(key));
  const holding = new Map(
    [...now].map(([key, finding]) => [
      key,
      { ...finding, since: kept.holding.get(key)?.since ?? at, until: null },
    ]),
  );
  const ended = [...over.map((finding) => ({ ...finding, until: at })).toReversed(), ...kept.ended];
  return { holding, ended: ended.slice(0, ENDED_MAX) };
}

export interface FindingsBook {
  /** Notes what holds now, and since when, and what has ended. */
  update(findings: readonly Finding[], at: number): void;
  /** As `update` would leave them, without noting anything: those that hold first, then those that ended, newest first. */
  seen(findings: readonly Finding[], at: number): readonly KeptFinding[];
}

export function createFindingsBook(): FindingsBook {
  let kept: Kept = { holding: new Map(), ended: [] };
  return {
    update: (findings, at) => {
      kept = follow(kept, findings, at);
    },
    seen: (findings, at) => {
      const { holding, ended } = follow(kept, findings, at);
      return [...[...holding.values()].toSorted((a, b) => b.since - a.since), ...ended];
    },
  };
}
