// Every metric family once. The recorder registers from this list; encoders, boards, rules, documentation and tests read it.
// Families are grouped as the road runs: traffic, watching, predictions and labels, quality, and the sidecar itself.

import { comparisonFamilies } from "./catalogue/comparison.ts";
import type { Descriptor } from "./catalogue/descriptor.ts";
import { driftFamilies, estimateFamilies } from "./catalogue/estimates.ts";
import { flowFamilies } from "./catalogue/flow.ts";
import { arrivalFamilies, readyFamilies, windowFamilies } from "./catalogue/quality.ts";
import { generationFamilies } from "./catalogue/generation.ts";
import { runtimeFamilies } from "./catalogue/runtime.ts";
import { selfFamilies } from "./catalogue/self.ts";
import { delayFamilies, sliceFamilies } from "./catalogue/timeliness.ts";
import { trafficFamilies } from "./catalogue/traffic.ts";
import { versionFamilies } from "./catalogue/versions.ts";
import { probeFamilies, targetFamilies } from "./catalogue/watch.ts";
import { webSocketFamilies } from "./catalogue/websocket.ts";

export type { Attribute, AttributeType, Descriptor, FamilyType } from "./catalogue/descriptor.ts";
export { attributeOf, OVERFLOW_LABEL, OVERFLOW_VALUE } from "./catalogue/descriptor.ts";
export { SCORE_BOUNDS } from "./catalogue/quality.ts";
export { translate } from "./catalogue/translate.ts";

export interface Section {
  readonly title: string;
  readonly families: readonly Descriptor[];
}

/** The families in the order in which they are exported and documented. */
export const sections: readonly Section[] = Object.freeze([
  { title: "Traffic", families: trafficFamilies },
  { title: "Streams and generated text", families: generationFamilies },
  { title: "WebSockets", families: webSocketFamilies },
  { title: "Probes", families: probeFamilies },
  { title: "The watched process", families: targetFamilies },
  { title: "Predictions and labels", families: flowFamilies },
  { title: "Delay of the labels", families: delayFamilies },
  { title: "Quality by arrival of the labels", families: arrivalFamilies },
  { title: "Quality by event time, summable over replicas", families: windowFamilies },
  { title: "Quality by event time, ready-made", families: readyFamilies },
  { title: "Two versions side by side", families: comparisonFamilies },
  { title: "Versions", families: versionFamilies },
  { title: "Quality estimated before the labels come", families: estimateFamilies },
  { title: "Drift", families: driftFamilies },
  { title: "Quality by slice", families: sliceFamilies },
  { title: "The sidecar", families: selfFamilies },
  { title: "The sidecar's runtime", families: runtimeFamilies },
]);

/** All families, flat. */
export const catalogue: readonly Descriptor[] = Object.freeze(
  sections.flatMap((section) => section.families),
);
