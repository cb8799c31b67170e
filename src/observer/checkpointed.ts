// What the observer knows of the stored rows, as one state that the ledger keeps in its checkpoints.

import { version } from "../kernel/version.ts";
import type { Checkpointed } from "../ledger/types.ts";
import type { Measuring } from "./measuring.ts";
import type { Served } from "./served.ts";

/** Goes up with every change of what an `archive` method writes, or of what it means, within one version of the program. */
const LAYOUT = 2;

/** `measuring` is asked for when it is needed: it is put together after the ledger. */
export function checkpointedOf(served: Served, measuring: () => Measuring): Checkpointed {
  return {
    name: `${version}, layout ${LAYOUT}`,
    archive: (io) => {
      served.archive(io);
      measuring().archive(io);
    },
    clear: () => {
      served.clear();
      measuring().clear();
    },
  };
}
