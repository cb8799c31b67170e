// What the detectors of changed errors have learnt, as text: after a restart they go on with the first row they had not seen.

import { ArchiveReader, ArchiveWriter } from "../../kernel/archive.ts";
import type { State } from "../saved-states.ts";
import type { LossWatch } from "./losses.ts";
import { DRIFT_STATES } from "./saved-spreads.ts";

/** Keys of the store: model and version follow. */
export const WATCH_STATES = `${DRIFT_STATES}losses:`;

/** A few hundred numbers; the first losses of a regression wait until their size is known. */
const BYTES_MAX = 64 * 1024;

export function watchKey(of: { readonly model: string; readonly version: string }): string {
  return `${WATCH_STATES}${JSON.stringify([of.model, of.version])}`;
}

export function watchState(
  of: { readonly model: string; readonly version: string },
  watch: LossWatch,
): State {
  return { key: watchKey(of), token: watch.token, text: () => watchText(watch) };
}

/** The token, and the state after it. */
export function watchText(watch: LossWatch): string {
  const writer = new ArchiveWriter(BYTES_MAX);
  watch.archive(writer);
  return `${watch.token} ${Buffer.from(writer.finish()).toString("base64")}`;
}

/** NaN: the text is none. */
export function watchTokenOf(text: string): number {
  return Number.parseInt(text, 10);
}

/** The watch as it was; null: the text is none, or of losses that mean something else now. */
export function reviveWatch(fresh: LossWatch, text: string): LossWatch | null {
  try {
    const reader = new ArchiveReader(Buffer.from(text.slice(text.indexOf(" ") + 1), "base64"));
    fresh.archive(reader);
    reader.end();
    return fresh;
  } catch {
    return null;
  }
}
