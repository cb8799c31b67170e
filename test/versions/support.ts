// A version ledger in a temporary folder, with a clock moved by hand.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { QualityThen, Registration } from "../../src/facts/version.ts";
import { silentLog } from "../../src/kernel/log.ts";
import type { Expected } from "../../src/versions/good-quality.ts";
import {
  createVersionLedger,
  type GateAnswer,
  type VersionLedger,
  type VersionLedgerOptions,
} from "../../src/versions/version-ledger.ts";
import { handClock, type HandClock } from "../support/hand-clock.ts";

export interface Bench {
  readonly ledger: VersionLedger;
  readonly clock: HandClock;
  readonly path: string;
  readonly quality: Map<string, QualityThen>;
  gate: GateAnswer | null;
  expected: Expected;
}

export function bench(t: TestContext, options: Partial<VersionLedgerOptions> = {}): Bench {
  const folder = mkdtempSync(join(tmpdir(), "outrider-versions-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return reopen(join(folder, "versions.ndjson"), options);
}

export function reopen(path: string, options: Partial<VersionLedgerOptions> = {}): Bench {
  const clock = handClock();
  const quality = new Map<string, QualityThen>();
  const made: Bench = {
    clock,
    path,
    quality,
    gate: null,
    expected: { metrics: {}, margin: 0.1 },
    ledger: createVersionLedger(
      { path, ...options },
      {
        clock,
        log: silentLog,
        qualityOf: (model, version) => quality.get(`${model}/${version}`) ?? null,
        gate: () => made.gate,
        expectedOf: () => made.expected,
      },
    ),
  };
  made.ledger.open();
  return made;
}

export function registration(parts: Partial<Registration> = {}): Registration {
  return {
    artifact: { uri: "s3://models/credit/1", sha256: "a".repeat(64) },
    trainingData: { uri: "s3://data/2026-10", rows: 1000 },
    parameters: { alpha: 0.1 },
    evaluation: { rmse: 50 },
    tags: {},
    description: null,
    ...parts,
  };
}

export function register(ledger: VersionLedger, version: string, parts: Partial<Registration> = {}): void {
  ledger.register({ model: "credit", version, registration: registration(parts), actor: "ci", via: "api" });
}

export function promote(ledger: VersionLedger, version: string): void {
  ledger.promote({
    model: "credit",
    version,
    stage: "production",
    actor: "ada",
    via: "api",
    reason: null,
    ifCurrent: undefined,
  });
}

export function rmseThen(rmse: number): QualityThen {
  return [
    { window: "24h", basis: "matured", n_predictions: 10, n_labeled: 10, coverage: 1, metrics: { rmse } },
  ];
}
