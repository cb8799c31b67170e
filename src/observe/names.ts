// Names that become dimensions of metrics: foreign text is let through only when it is short and plain.

/** Stands for a name that was not plain, and for every value beyond a cap. */
export const OTHER = "_OTHER";
/** Stands for a version that was given, but is no plain name. */
export const INVALID_VERSION = "invalid";
export const UNKNOWN_VERSION = "unknown";
export const DEFAULT_MODEL = "default";

const PLAIN = /^[A-Za-z0-9_.:/@+-]{1,128}$/;

function textOf(raw: unknown): string | null {
  if (typeof raw === "string") return raw === "" ? null : raw;
  return typeof raw === "number" ? String(raw) : null;
}

/** A model's name; null when none is given, `_OTHER` when it is not 1-128 characters of `[A-Za-z0-9_.:/@+-]`. */
export function modelName(raw: unknown): string | null {
  const text = textOf(raw);
  return text === null || PLAIN.test(text) ? text : OTHER;
}

/** A version's name; null when none is given, `invalid` when it is not 1-128 characters of `[A-Za-z0-9_.:/@+-]`. */
export function versionName(raw: unknown): string | null {
  const text = textOf(raw);
  return text === null || PLAIN.test(text) ? text : INVALID_VERSION;
}
