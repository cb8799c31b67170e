// What the observer knows of the stored rows, as one state that the ledger keeps in its checkpoints.

import { fileURLToPath } from "node:url";

import { codeDigest } from "../kernel/code-digest.ts";
import type { Checkpointed } from "../ledger/types.ts";
import type { Measuring } from "./measuring.ts";
import type { Served } from "./served.ts";

/** Digest of what a checkpoint of one fixed stream holds, so that one of another layout or meaning is not read. A test tells it. */
export const LAYOUT = "ec0ab8f45b77";

/** All code that decides what is kept and what it means. A test follows the imports. */
export const MEASURED_BY = [
  "facts",
  "kernel",
  "ledger",
  "measure",
  "observer/checkpointed",
  "observer/comparing",
  "observer/input-tail",
  "observer/measuring",
  "observer/parse-tail",
  "observer/parse-totals",
  "observer/served",
];

/** Logarithms and exponentials are the engine's: their last digit may differ in another one, and what was added must go out again. */
export function measuredBy(): string {
  const root = fileURLToPath(new URL("..", import.meta.url));
  return `layout ${LAYOUT}, code ${codeDigest(root, MEASURED_BY)}, V8 ${process.versions.v8}`;
}

/** `measuring` is asked for when it is needed: it is put together after the ledger. */
export function checkpointedOf(served: Served, measuring: () => Measuring): Checkpointed {
  return {
    name: measuredBy(),
    ready: () => measuring().settled,
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
