// Which header lines leave the traffic process: what the observer needs, and nothing that might be a secret.

import { textSays } from "../kernel/ascii.ts";

export interface HeaderFilter {
  /** The kept name (lower case) that stands there in any case, or null. */
  keptIn(text: string, at: number, end: number): string | null;
  /** In any case. */
  keeps(name: string): boolean;
}

/** Names as long or longer are told apart by the list alone. */
const NAME_LENGTH_MAX = 40;

/** Header names the observer needs: identity, version, format. Everything else (Authorization, cookies) stays in the traffic process. */
const KEPT: readonly string[] = [
  "content-type",
  "content-encoding",
  "inference-header-content-length",
  "x-request-id",
  "x-prediction-id",
  "x-model-version",
  "x-bentoml-request-id",
  "x-litellm-call-id",
  "x-litellm-model-id",
  "ce-id",
  "ce-requestid",
  "grpc-encoding",
  "grpc-status",
];

/** Keeps the names the observer always needs, and those of `extra`. */
export function headerFilter(extra: readonly string[]): HeaderFilter {
  const kept = new Set([...KEPT, ...extra.map((name) => name.toLowerCase())]);
  const byLength: string[][] = Array.from({ length: NAME_LENGTH_MAX + 1 }, () => []);
  // Bit n of [length]: a kept name of that length begins with the n-th of 32 characters; upper and lower case share one.
  const initials = new Int32Array(NAME_LENGTH_MAX + 1);
  for (const name of kept) {
    const length = Math.min(name.length, NAME_LENGTH_MAX);
    initials[length] = (initials[length] ?? 0) | (1 << (name.charCodeAt(0) & 31));
    byLength[length]?.push(name);
  }
  const mayKeep = (length: number, first: number): boolean =>
    ((initials[Math.min(length, NAME_LENGTH_MAX)] ?? 0) & (1 << (first & 31))) !== 0;
  return {
    keptIn: (text, at, end) => {
      const length = end - at;
      if (!mayKeep(length, text.charCodeAt(at))) return null;
      const names = byLength[Math.min(length, NAME_LENGTH_MAX)];
      for (let i = 0; names !== undefined && i < names.length; i++) {
        const name = names[i] ?? "";
        if (name.length === length && textSays(text, at, name)) return name;
      }
      return null;
    },
    // Names that `keptIn` gave are found at once.
    keeps: (name) =>
      mayKeep(name.length, name.charCodeAt(0)) && (kept.has(name) || kept.has(name.toLowerCase())),
  };
}
