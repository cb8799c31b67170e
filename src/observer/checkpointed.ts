// What the observer knows of the stored rows, as one state that the ledger keeps in its checkpoints.

import { version } from "../kernel/version.ts";
import type { Checkpointed } from "../ledger/types.ts";
import type { Measuring } from "./measuring.ts";
import type { Served } from "./served.ts";

/** Digest of what a checkpoint of one fixed stream holds, so that one of another layout or meaning is not read. A test tells it. */
export const LAYOUT = "b2731147373a";

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
