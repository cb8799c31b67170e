// The tables of `outrider drift`.

import assert from "node:assert/strict";
import { test } from "node:test";
import { driftTable } from "../../src/cli/drift.ts";
import { parseDrift } from "../../src/cli/parse-drift.ts";

const ANSWER = {
  at: "2026-01-20T00:00:00.000Z",
  versions: [
    {
      model: "credit",
      version: "2",
      streams: [
        {
          stream: "score",
          reference: { kind: "first", rows: 1000 },
          windows: [
            {
              window: "24h",
              rows: 240,
              distances: {
                psi: 0.31234,
                psi_noise: 0.0465,
                jensen_shannon: 0.2,
                kolmogorov_smirnov: 0.25,
                kolmogorov_smirnov_upper: 0.25,
                kolmogorov_smirnov_noise: 0.0977,
                wasserstein: 0.125,
              },
              reason: null,
            },
            { window: "7d", rows: 12, distances: null, reason: "too_few" },
          ],
        },
        {
          stream: "class",
          reference: { kind: "first", rows: 0 },
          windows: [{ window: "24h", rows: 3, distances: null, reason: "reference" }],
        },
      ],
      alarms: [
        { detector: "adwin", direction: "up", alarms: 2, last: "2026-01-19T10:00:00.000Z" },
        { detector: "adwin", direction: "down", alarms: 0, last: null },
      ],
      behind_seconds: 0,
    },
  ],
};

test("distances stand beside what chance alone gives, with the reason where there are none; then the alarms", () => {
  const [distances = "", alarms = ""] = driftTable(parseDrift(ANSWER)).split("\n\n");
  const cells = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => line.split(/ {2,}/));
  assert.deepEqual(cells(distances).slice(1), [
    [
      "credit",
      "2",
      "score",
      "24h",
      "240",
      "first, 1000 rows",
      "0.312 (0.0465)",
      "0.250 (0.0977)",
      "0.200",
      "0.125",
    ],
    ["credit", "2", "score", "7d", "12", "first, 1000 rows", "-", "-", "-", "-", "too_few"],
    ["credit", "2", "class", "24h", "3", "none yet", "-", "-", "-", "-", "reference"],
  ]);
  assert.deepEqual(cells(alarms).slice(1), [
    ["credit", "2", "adwin", "worse", "2", "2026-01-19T10:00:00.000Z"],
    ["credit", "2", "adwin", "better", "0", "-"],
  ]);
});

test("nothing watched is said; another answer is refused", () => {
  assert.equal(driftTable(parseDrift({ versions: [] })), "no version is watched for drift yet\n");
  for (const answer of [null, [], {}, { versions: 1 }])
    assert.throws(() => parseDrift(answer), /is this an Outrider API/);
});
