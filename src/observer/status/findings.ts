// What a person should know, said in one sentence each, from the same facts that the shipped alerts look at.

import type { Group } from "../../facts/group.ts";
import type { PartState } from "../../facts/road.ts";
import type { Finding, KeptFinding, PulseBin, StatusModel, Verdict } from "../../facts/status.ts";
import { isLoss } from "../../kernel/metric-sense.ts";

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

export interface FindingsBook {
  update(findings: readonly Finding[], at: number): void;
  /** Those that hold first, then those that ended, newest first. */
  all(): readonly KeptFinding[];
}

export function createFindingsBook(): FindingsBook {
  const holding = new Map<string, KeptFinding>();
  let ended: KeptFinding[] = [];
  return {
    update: (findings, at) => {
      const now = new Map(findings.map((finding) => [finding.key, finding]));
      for (const [key, kept] of holding) {
        if (now.has(key)) continue;
        holding.delete(key);
        ended = [{ ...kept, until: at }, ...ended].slice(0, ENDED_MAX);
      }
      for (const [key, finding] of now)
        holding.set(key, { ...finding, since: holding.get(key)?.since ?? at, until: null });
    },
    all: () => [...[...holding.values()].toSorted((a, b) => b.since - a.since), ...ended],
  };
}
