// Durations and sizes as people write them, and back. Everything inside the program is milliseconds and bytes.

const DURATION_UNITS = Object.freeze({ d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 });
const SIZE_UNITS = Object.freeze({ TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10 });
const DECIMAL_SIZE_UNITS = Object.freeze({ TB: 1e12, GB: 1e9, MB: 1e6, KB: 1e3, kB: 1e3, B: 1 });
/** A hundred years: beyond it a duration is a slip of the pen, and sums with Unix times stay exact. */
export const DURATION_MS_MAX = 36_500 * DURATION_UNITS.d;

function unitsOf(table: Readonly<Record<string, number>>): ReadonlyMap<string, number> {
  return new Map(Object.entries(table));
}

const durations = unitsOf(DURATION_UNITS);
const sizes = unitsOf({ ...SIZE_UNITS, ...DECIMAL_SIZE_UNITS });

/** A whole, safe number of units, or null. `text` is at most 32 characters: no number we accept is longer. */
function parseAmount(text: string, units: ReadonlyMap<string, number>, bare: number | null): number | null {
  const match = text.length > 32 ? null : /^(\d+(?:\.\d+)?)\s?([A-Za-z]*)$/.exec(text.trim());
  if (match === null) return null;
  const [, digits = "", unit = ""] = match;
  const factor = unit === "" ? bare : units.get(unit);
  if (factor === null || factor === undefined) return null;
  // Rounded only where binary fractions blur a whole number: 1.1 s is 1100 ms, 0.5 ms is refused.
  const exact = Number(digits) * factor;
  const whole = Math.round(exact);
  return Math.abs(exact - whole) > 1e-6 || !Number.isSafeInteger(whole) ? null : whole;
}

/** Milliseconds of "500ms", "30s", "5m", "24h", "7d" (fractions where they are whole milliseconds); null: not a duration. */
export function parseDuration(text: string): number | null {
  const ms = parseAmount(text, durations, null);
  return ms === null || ms > DURATION_MS_MAX ? null : ms;
}

/** Bytes of "64KiB", "8GiB", "10MB" or plain "4096"; null: not a size. */
export function parseSize(text: string): number | null {
  return parseAmount(text, sizes, 1);
}

function formatAmount(amount: number, units: Readonly<Record<string, number>>, none: string): string {
  for (const [unit, factor] of Object.entries(units)) {
    if (amount >= factor && amount % factor === 0) return `${amount / factor}${unit}`;
  }
  return `${amount}${none}`;
}

/** The shortest exact spelling: 90000 is "90s", 604800000 is "7d". Parsing it gives `ms` back. */
export function formatDuration(ms: number): string {
  return ms === 0 ? "0s" : formatAmount(ms, DURATION_UNITS, "ms");
}

/** The shortest exact spelling: 65536 is "64KiB", 1000 is "1000". Parsing it gives `bytes` back. */
export function formatSize(bytes: number): string {
  return formatAmount(bytes, SIZE_UNITS, "");
}
