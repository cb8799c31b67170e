// The order in which groups are told.

interface Named {
  readonly model: string;
  readonly version: string;
  readonly slice: string;
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export function compareNames(a: Named, b: Named): number {
  return compareText(a.model, b.model) || compareText(a.version, b.version) || compareText(a.slice, b.slice);
}
