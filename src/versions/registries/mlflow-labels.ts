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

/** Ours of this prediction: a trace of several rows holds one for each. */
function oursOf(all: readonly Assessment[], predictionId: string): Assessment[] {
  return all.filter(
    ({ assessment_name, source, metadata }) =>
      assessment_name === NAME &&
      source?.source_id === SOURCE &&
      metadata?.["prediction_id"] === predictionId,
  );
}

const createAnswer = z.object({ assessment: z.object({ overrides: z.string().optional() }) });

async function remove(http: RegistryHttp, path: string, gone: readonly Assessment[]): Promise<Reply<null>> {
  for (const { assessment_id } of gone) {
    const at = `${path}/assessments/${segment(assessment_id)}`;
    const reply = done(await http.call({ method: "DELETE", path: at }));
    if (reply.kind !== "ok" && reply.kind !== "none") return reply;
  }
  return { kind: "ok", value: null };
}

/** Makes the assessment, as one that overrides `before`; tells whether the server took it so. */
async function create(
  http: RegistryHttp,
  path: string,
  { note, before }: { readonly note: LabelNote; readonly before: Assessment | undefined },
): Promise<Reply<{ readonly overridden: boolean }>> {
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
  const reply = await http.call({ method: "POST", path: `${path}/assessments`, body });
  if (reply.kind !== "ok") return reply;
  const overrides = createAnswer.safeParse(reply.value.json).data?.assessment.overrides;
  return { kind: "ok", value: { overridden: before !== undefined && overrides === before.assessment_id } };
}

/**
 * Afterwards exactly one assessment of ours is valid, with this value (null: none is there). Reads what is there first: repeating
 * it changes nothing. MLflow 3.17 honours `overrides` of feedback, and ignores it of an expectation: there the old one is deleted.
 */
export async function writeAssessment(http: RegistryHttp, note: LabelNote): Promise<Reply<null>> {
  const path = `${TRACES}/tr-${segment(note.traceId)}`;
  const known = picked(await http.call({ method: "GET", path }), (json) => {
    const trace = traceAnswer.safeParse(json).data?.trace;
    return trace === undefined ? null : (trace.trace_info.assessments ?? []);
  });
  // The trace was sent, in a batch: the label may be faster.
  if (known.kind === "none") return { ...failed("its trace is not there yet", true), alone: true };
  if (known.kind !== "ok") return known;
  const ours = oursOf(known.value, note.predictionId);
  const valid = ours.filter((one) => one.valid !== false);
  // Deleting one that overrides another makes that one valid again: those come last.
  if (note.value === null)
    return await remove(http, path, [...valid, ...ours.filter((one) => !valid.includes(one))]);
  const same = valid.find(({ expectation }) => expectation?.value === note.value);
  if (same !== undefined)
    return await remove(
      http,
      path,
      valid.filter((one) => one !== same),
    );
  const before = valid.at(-1);
  const created = await create(http, path, { note, before });
  if (created.kind !== "ok") return created;
  return await remove(http, path, created.value.overridden ? valid.slice(0, -1) : valid);
}
