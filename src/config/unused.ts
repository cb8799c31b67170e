// Keys that are accepted but have no effect in this version: the user is told, so that nobody waits for it.

interface Sections {
  readonly capture: { readonly storeInputs: boolean; readonly redact: readonly string[] } | null;
}

/** One warning per key that is set and does nothing yet. */
export function unusedKeys(sections: Sections): string[] {
  const { capture } = sections;
  const keys: string[] = [];
  if (capture?.storeInputs === true) keys.push("capture.storeInputs");
  if ((capture?.redact ?? []).length > 0) keys.push("capture.redact");
  return keys.map((key) => `${key}: accepted, but without effect in this version`);
}
