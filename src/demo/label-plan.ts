// When the truth about one prediction becomes known, and how cleanly: what the demo's business would do, drawn by chance.

/** One label to send. `ts` is set when it is first sent, so that a repeated one is the same label again. */
export interface DueLabel {
  readonly id: string;
  readonly label: number;
  readonly dueMs: number;
  /** Still to be sent this many times: 2 is a duplicate. */
  readonly sends: number;
  readonly ts: number | null;
}

export interface LabelPlanInput {
  readonly id: string;
  readonly target: number;
  readonly binary: boolean;
  readonly nowMs: number;
}

const NEVER_SHARE = 0.1;
const CORRECTED_SHARE = 0.08;
const DUPLICATE_SHARE = 0.03;
const QUICK_SHARE = 0.8;

/** One to ten seconds for most, up to two minutes for the rest. */
function delayMs(chance: () => number): number {
  return chance() < QUICK_SHARE ? 1000 + 9000 * chance() : 10_000 + 110_000 * chance();
}

/** None, one, or a wrong one and later its correction. */
export function planLabels(input: LabelPlanInput, chance: () => number): DueLabel[] {
  const { id, target, binary, nowMs } = input;
  if (chance() < NEVER_SHARE) return [];
  const dueMs = nowMs + delayMs(chance);
  const right: DueLabel = { id, label: target, dueMs, sends: chance() < DUPLICATE_SHARE ? 2 : 1, ts: null };
  if (chance() >= CORRECTED_SHARE) return [right];
  const wrong = binary ? 1 - target : target + 40;
  return [
    { ...right, label: wrong, sends: 1 },
    { ...right, dueMs: dueMs + 3000 + 12_000 * chance() },
  ];
}
