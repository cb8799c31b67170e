// The schema of what is promised and when someone is called: service level objectives and alert thresholds.

import * as z from "zod";
import { parseDuration } from "../kernel/units.ts";
import { ALERT_NAMES } from "./alert-names.ts";
import { DAY_MS, duration, flag, integer, oneOf, ratio, text, webUrl } from "./fields.ts";

/** A share below which or above which an objective makes no sense: 0 % and 100 % leave nothing to count. */
function objective() {
  const wanted = "must be a number above 0.5 and below 1, e.g. 0.999";
  return z.number({ error: wanted }).gt(0.5, { error: wanted }).lt(1, { error: wanted });
}

function factor(min: number, max: number) {
  const wanted = `must be a number from ${min} to ${max}`;
  return z.number({ error: wanted }).min(min, { error: wanted }).max(max, { error: wanted });
}

const WINDOW = 'must be "all" or a window of at least 1m such as "1h", "24h", "7d"';

/** One of the windows that quality is measured over. */
function window() {
  return z
    .string({ error: WINDOW })
    .refine((given) => given === "all" || (parseDuration(given) ?? 0) >= 60_000, { error: WINDOW });
}

const latency = z
  .strictObject({
    threshold: duration({ min: 1, max: 600_000 })
      .prefault("500ms")
      .describe("An answer within it is fast enough. It becomes a bucket of the histogram."),
    objective: objective().default(0.99).describe("Share of the answers that are to be fast enough."),
    of: oneOf(["response", "first_byte"])
      .default("response")
      .describe("What is timed: the whole response, or its first byte (for streams)."),
  })
  .transform(({ threshold, ...rest }) => ({ ...rest, thresholdMs: threshold }));

export const slo = z
  .strictObject({
    availability: objective()
      .default(0.999)
      .describe(
        "Share of the requests that are to be answered without a fault of the service, over 30 days.",
      ),
    latency: latency.prefault({}).describe("How fast answers are to be."),
    minRequests: integer(0)
      .default(100)
      .describe(
        "With fewer requests in the longer window of a pair a burn rate says nothing, and no alert fires.",
      ),
  })
  .prefault({})
  .describe("Service level objectives behind the burn-rate alerts and the boards.");

const change = z
  .strictObject({
    enabled: flag().default(true),
    for: duration({ max: 30 * DAY_MS }).optional(),
    severity: oneOf(["critical", "warning", "info"]).optional(),
  })
  .transform(({ for: wait, ...rest }) => ({ ...rest, ...(wait === undefined ? {} : { forMs: wait }) }));

const LABEL_NAME = "must be a label name: letters, digits and _, not beginning with a digit or __";

const labelName = () =>
  z.string({ error: LABEL_NAME }).regex(/^(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,63}$/, { error: LABEL_NAME });

const ALERT_NAME = `must be the name of an alert of docs/alerts.md: ${ALERT_NAMES.join(", ")}`;

export const alerts = z
  .strictObject({
    runbookUrl: webUrl()
      .nullable()
      .default(null)
      .describe(
        "Where the folder docs/runbooks is served; the alert's name and .md follow. Default: paths within the package.",
      ),
    grafanaUrl: webUrl()
      .nullable()
      .default(null)
      .describe("Base address of Grafana: alerts then carry a link to their board."),
    labels: z
      .record(labelName(), text("a label value", 256))
      .prefault({})
      .describe("Labels added to every alert, e.g. { team: ml }."),
    window: window()
      .default("24h")
      .describe("Window whose quality is held against the baseline; one of the model's `windows`."),
    previousWindow: window()
      .default("7d")
      .describe("Window over which a version is held against the one before it."),
    minPairs: integer(1)
      .default(200)
      .describe("With fewer labelled predictions in the window quality says too little for an alert."),
    minPredictions: integer(1)
      .default(100)
      .describe("With fewer predictions alerts about missing labels, coverage and drift keep quiet."),
    previousMargin: ratio()
      .default(0.05)
      .describe(
        "How much worse than the version before a version may be, as a share of that version's value.",
      ),
    collapse: ratio()
      .default(0.5)
      .describe(
        "A score below this share of its baseline, or a loss above the baseline divided by it, is a collapse.",
      ),
    coverageMin: ratio()
      .default(0.05)
      .describe("Least share of predictions with a label, of those old enough to have one."),
    coverageDrop: ratio().default(0.5).describe("Coverage below this share of the last week's is low."),
    labelSilence: duration({ min: 60_000 })
      .prefault("2d")
      .describe("A model that is asked, but has got no label for so long, has lost its labels."),
    labelDelayFactor: factor(1, 1000)
      .default(2)
      .describe("Labels are late when nine of ten take this many times as long as in the last week."),
    labelsLost: ratio()
      .default(0.1)
      .describe("Share of the labels received in six hours that may be rejected or find no prediction."),
    extractFailures: ratio()
      .default(0.05)
      .describe("Share of a model's good responses from which no prediction could be read."),
    drift: factor(0, 10)
      .default(0.2)
      .describe("Population stability index, above what chance gives, from which predictions have drifted."),
    probeFailures: integer(1)
      .default(3)
      .describe("Failed probes in a row from which the model server is down."),
    certificateLeft: duration({ min: 60_000 })
      .prefault("14d")
      .describe("A certificate that ends sooner is reported."),
    targetMemory: ratio().default(0.9).describe("Share of the memory limit."),
    targetCpu: ratio().default(0.9).describe("Share of the CPU limit (or of the machine)."),
    targetThrottled: ratio()
      .default(0.25)
      .describe("Share of the time for which the CPU limit holds the model server back."),
    exportSilence: duration({ min: 10_000 })
      .prefault("10m")
      .describe("OTLP exports without success for so long are reported."),
    registrySilence: duration({ min: 10_000 })
      .prefault("15m")
      .describe("A registry that has not answered for so long is stale."),
    rules: z
      .partialRecord(z.enum(ALERT_NAMES, { error: ALERT_NAME }), change)
      .prefault({})
      .describe(
        "Changes to single alerts, e.g. { OutriderTargetDown: { for: 2m, severity: warning }, OutriderNoTraffic: { enabled: false } }.",
      ),
  })
  .transform(({ certificateLeft, exportSilence, registrySilence, labelSilence, ...rest }) => ({
    ...rest,
    labelSilenceMs: labelSilence,
    certificateLeftMs: certificateLeft,
    exportSilenceMs: exportSilence,
    registrySilenceMs: registrySilence,
  }))
  .prefault({})
  .describe("Thresholds of the shipped alerts (`outrider dashboards export`).");
