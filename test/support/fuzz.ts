// Settings of the fuzzing tests: a bounded run in `npm test`, a long one by `npm run fuzz`.

import type { TestContext } from "node:test";

export interface FuzzRun {
  readonly seed: number;
  readonly numRuns: number;
}

/** `usual` runs, or FUZZ_RUNS of them; the seed is told, and FUZZ_SEED repeats it. */
export function fuzzRun(t: TestContext, usual: number): FuzzRun {
  const seed = Number(process.env["FUZZ_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  const factor = Number(process.env["FUZZ_FACTOR"] ?? 1);
  const numRuns = usual * factor;
  t.diagnostic(`seed ${seed}, ${numRuns} runs (repeat with FUZZ_SEED=${seed})`);
  if (factor > 1) process.stderr.write(`${t.name}: seed ${seed}, ${numRuns} runs\n`);
  return { seed, numRuns };
}

/** Heap bytes after a full collection where the process may ask for one, else null. */
export function heapBytes(): number | null {
  const { gc } = globalThis;
  if (gc === undefined) return null;
  gc();
  gc();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}
