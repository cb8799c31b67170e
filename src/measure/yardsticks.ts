// Which yardstick a model's task is measured with.

import type { ModelSpec } from "../facts/model.ts";
import { createBinaryYardstick } from "./binary.ts";
import { createMulticlassYardstick } from "./multiclass.ts";
import { createRegressionYardstick } from "./regression.ts";
import type { ExactPurse } from "./score-histogram.ts";
import type { Yardstick } from "./totals.ts";

/** null: there is none yet. */
export function yardstickOf(spec: ModelSpec | null, purse: ExactPurse): Yardstick | null {
  if (spec === null) return null;
  switch (spec.task) {
    case "regression":
      return createRegressionYardstick(spec);
    case "binary":
      return createBinaryYardstick(spec, { purse });
    case "multiclass":
      return createMulticlassYardstick(spec, { purse });
    case "auto":
      return null;
    default: {
      const never: never = spec.task;
      return never;
    }
  }
}
