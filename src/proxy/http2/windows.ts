// How large the windows of one connection's streams are, by what its uploads hold that the model does not take. A step is smaller than
// the one before; there are few, for the client has to acknowledge each.
//
//   wide ──some stand still──▶ middle ──too much is held──▶ small ──still too much──▶ last
//   From each back to wide, once the model has taken nearly all.

const KIB = 1024;
/** What HTTP/2 itself begins with, for a stream and for a connection (RFC 9113 §6.9.2). */
export const WINDOW = 65_535;
const MIDDLE_WINDOW = 16 * KIB;
const SMALL_WINDOW_MAX = 2 * KIB;
/** For each stream, what may wait to leave to the model while more is taken. */
const AHEAD_BYTES = 16 * KIB;
/** Of all: what a burst of streams that all stop may hold. */
const CLOSED_FROM = 640 * KIB;
/** Once the client keeps to the smallest windows: 64 KiB that were under way, and what all its streams may still send. */
const CLOSED_FROM_LAST = 896 * KIB;
/** What that is. */
const SMALL_WINDOWS = 192 * KIB;
/** As many streams have a window of 1.5 KiB in it each: no further step is needed. */
const FEW_STREAMS = 128;
/** Of more: for twice those that are open now. What is left then is for 64 KiB that were under way, and for the last step. */
const OPEN_WINDOWS = 96 * KIB;
const LAST_WINDOWS = 32 * KIB;

export interface WindowStep {
  readonly window: number;
  /** Once the client has acknowledged it. */
  readonly closedFrom: number;
  /** For each stream. */
  readonly aheadBytes: number;
  /** None is smaller. */
  readonly last: boolean;
}

export const WIDE: WindowStep = Object.freeze({
  window: WINDOW,
  closedFrom: CLOSED_FROM,
  aheadBytes: AHEAD_BYTES,
  last: false,
});
const MIDDLE: WindowStep = Object.freeze({ ...WIDE, window: MIDDLE_WINDOW });

export interface StreamsNow {
  readonly open: number;
  /** As many as may be. */
  readonly max: number;
  /** Too much is held. */
  readonly closed: boolean;
}

/** The step that follows `step` when uploads stand still; itself: it is small enough for now. */
export function nextStep(step: WindowStep, { open, max, closed }: StreamsNow): WindowStep {
  if (step.last) return step;
  if (!closed) return step === WIDE ? MIDDLE : step;
  if (max <= FEW_STREAMS) return small(SMALL_WINDOWS / max, { closedFrom: CLOSED_FROM_LAST, last: true });
  if (step !== WIDE && step !== MIDDLE)
    return small(LAST_WINDOWS / max, { closedFrom: CLOSED_FROM_LAST, last: true });
  const closedFrom = CLOSED_FROM_LAST - OPEN_WINDOWS;
  return small(OPEN_WINDOWS / Math.min(max, 2 * open), { closedFrom, last: false });
}

/** To make a small window mean little held, nothing is taken ahead. */
function small(window: number, { closedFrom, last }: Pick<WindowStep, "closedFrom" | "last">): WindowStep {
  return {
    window: Math.max(1, Math.min(SMALL_WINDOW_MAX, Math.floor(window))),
    closedFrom,
    aheadBytes: 0,
    last,
  };
}
