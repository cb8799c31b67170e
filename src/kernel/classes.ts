// One class, one spelling: 1, 1.0, true and "1" are the class "1" (golden SEMANTICS rule 6).

/** The canonical string of a class value: integers without a fraction, booleans as 1 and 0, strings as they are. */
export function canonicalClass(value: number | string | boolean): string {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value === "string") return value;
  if (!Number.isInteger(value)) return String(value);
  return Number.isSafeInteger(value) ? String(value === 0 ? 0 : value) : BigInt(value).toString();
}
