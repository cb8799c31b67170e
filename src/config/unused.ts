// Keys that are accepted but have no effect in this version: the user is told, so that nobody waits for it.

interface Sections {
  readonly capture: { readonly storeInputs: boolean; readonly redact: readonly string[] } | null;
  readonly registries: readonly { readonly write: readonly string[] }[] | null;
}

/** One warning per key that is set and does nothing yet. */
export function unusedKeys(sections: Sections): string[] {
  const { capture, registries } = sections;
  const keys: string[] = [];
  if (capture?.storeInputs === true) keys.push("capture.storeInputs");
  // Bodies leave on traces alone.
  const leave = (registries ?? []).some(({ write }) => write.includes("inputs"));
  if ((capture?.redact ?? []).length > 0 && !leave) keys.push("capture.redact");
  return keys.map((key) => `${key}: accepted, but without effect in this version`);
}
