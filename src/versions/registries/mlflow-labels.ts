// Ground truth as an assessment (expectation) on a trace in MLflow: one per prediction, corrected by overriding, taken back by deleting.

import * as z from "zod";
import { failed, type LabelNote, type Reply } from "../registry.ts";
import { done, picked, segment, type RegistryHttp } from "../registry-http.ts";

const TRACES = "/api/3.0/mlflow/traces";
const NAME = "ground_truth";
const SOURCE = "outrider";

const assessment = z.object({
  assessment_id: z.string(),
  assessment_name: z.string(),
  source: z.object({ source_id: z.string().optional() }).optional(),
  expectation: z.object({ value: z.unknown() }).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  valid: z.boolean().optional(),
});
const traceAnswer = z.object({
  trace: z.object({ trace_info: z.object({ assessments: z.array(assessment).optional() }) }),
});
type Assessment = z.output<typeof assessment>;

/** Our valid one of this prediction: a trace of several rows holds one each. */
function ours(all: readonly Assessment[], predictionId: string): Assessment | undefined {
  return all.find(
    ({ assessment_name, source, valid, metadata }) =>
      assessment_name === NAME &&
      source?.source_id === SOURCE &&
      valid !== false &&
      metadata?.["prediction_id"] === predictionId,
  );
}

/** Reads what is there first: repeating it changes nothing. */
export async function writeAssessment(http: RegistryHttp, note: LabelNote): Promise<Reply<null>> {
  const path = `${TRACES}/tr-${segment(note.traceId)}`;
  const known = picked(await http.call({ method: "GET", path }), (json) => {
    const trace = traceAnswer.safeParse(json).data?.trace;
    return trace === undefined ? null : (trace.trace_info.assessments ?? []);
  });
  // The trace was sent, in a batch: the label may be faster.
  if (known.kind === "none") return { ...failed("its trace is not there yet", true), alone: true };
  if (known.kind !== "ok") return known;
  const before = ours(known.value, note.predictionId);
  if (note.value === null) {
    if (before === undefined) return { kind: "ok", value: null };
    const at = `${path}/assessments/${segment(before.assessment_id)}`;
    return done(await http.call({ method: "DELETE", path: at }));
  }
  if (before !== undefined && before.expectation?.value === note.value) return { kind: "ok", value: null };
  const time = new Date(note.at).toISOString();
  const body = {
    assessment: {
      assessment_name: NAME,
      source: { source_type: "CODE", source_id: SOURCE },
      create_time: time,
      last_update_time: time,
      expectation: { value: note.value },
      metadata: { prediction_id: note.predictionId },
      ...(before === undefined ? {} : { overrides: before.assessment_id }),
    },
  };
  return done(await http.call({ method: "POST", path: `${path}/assessments`, body }));
}
