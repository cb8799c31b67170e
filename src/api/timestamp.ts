// Times as callers write them (RFC 3339 or Unix milliseconds) and as we answer them (RFC 3339 UTC).

/** 2200-01-01T00:00:00Z: a later time is a mistake of unit, not of a clock. */
export const TS_MAX_MS = 7_258_118_400_000;

const RFC3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const TEXT_LENGTH_MAX = 64;

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysIn(year: number, month: number): number {
  if (month === 2) return isLeap(year) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function inRange(ms: number): number | null {
  return Number.isInteger(ms) && ms >= 0 && ms <= TS_MAX_MS ? ms : null;
}

/** Unix ms of an RFC 3339 date-time with its offset, cut to whole milliseconds; null when it is none or out of range. */
function parseRfc3339(text: string): number | null {
  if (text.length > TEXT_LENGTH_MAX) return null;
  const parts = RFC3339.exec(text);
  if (parts === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map(Number);
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  // 60 is a leap second (RFC 3339 §5.6); it counts as the second after it.
  if (hour > 23 || minute > 59 || second > 60) return null;
  const offsetHours = Number(parts[9] ?? 0);
  const offsetMinutes = Number(parts[10] ?? 0);
  if (offsetHours > 23 || offsetMinutes > 59) return null;
  const millis = Number((parts[7] ?? "0").padEnd(3, "0").slice(0, 3));
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000 * (parts[8] === "-" ? -1 : 1);
  return inRange(Date.UTC(year, month - 1, day, hour, minute, second, millis) - offsetMs);
}

/** Unix ms from a JSON value: a whole number of milliseconds or RFC 3339 text; null when it is neither. */
export function parseTimestamp(value: unknown): number | null {
  if (typeof value === "number") return inRange(value);
  return typeof value === "string" ? parseRfc3339(value) : null;
}

/** As parseTimestamp, where all values are text (CSV): digits alone are milliseconds. */
export function parseTimestampText(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? inRange(Number(text)) : parseRfc3339(text);
}

/** RFC 3339 UTC with milliseconds. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString();
}

/** The same, where there may be none. */
export function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : rfc3339(ms);
}
