// Notes of past nowcasts, read back from text that may be anything.

import { savedItems } from "../../kernel/saved.ts";
import type { Note } from "./past-nowcasts.ts";

const METRICS_MAX = 20;

function isNote(item: unknown): item is Note {
  if (typeof item !== "object" || item === null) return false;
  const { window, end, said } = item as Record<string, unknown>;
  if (typeof window !== "string" || !Number.isSafeInteger(end)) return false;
  if (typeof said !== "object" || said === null) return false;
  const values: unknown[] = Object.values(said);
  return values.length <= METRICS_MAX && values.every((value) => Number.isFinite(value));
}

/** What of the text is a note; nothing when it is not JSON. */
export function parseNotes(text: string): Note[] {
  return savedItems(text, isNote);
}
