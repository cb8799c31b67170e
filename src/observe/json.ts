// Looking into foreign JSON without trusting it: own properties only, numbers only when finite.

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

export function isFiniteNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** The object's own property, or undefined; never one of `Object.prototype`. */
export function own(object: JsonObject, key: string): unknown {
  // Most names that are asked for are not there: then one look is enough.
  const value = object[key];
  return value === undefined || Object.hasOwn(object, key) ? value : undefined;
}

/** The first of `keys` that the object has with a value other than null. */
export function firstOwn(object: JsonObject, keys: readonly string[]): unknown {
  for (const key of keys) {
    const value = own(object, key);
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** All members as finite numbers (booleans are no numbers here), or null. */
export function numberList(value: unknown): readonly number[] | null {
  if (!isList(value) || value.length === 0) return null;
  const numbers: number[] = [];
  for (const member of value) {
    if (!isFiniteNumber(member)) return null;
    numbers.push(member);
  }
  return numbers;
}

/** Undoes the wrapping of single values in lists: [[x]] is x. */
export function unwrapped(value: unknown): unknown {
  let at = value;
  for (let depth = 0; depth < 8 && isList(at) && at.length === 1; depth++) at = at[0];
  return at;
}
