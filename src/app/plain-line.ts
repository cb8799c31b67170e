// A log line as a person at a terminal reads it. Pure.

/** Hidden: told by the place in the line, or of no use to a reader. */
const OWN: ReadonlySet<string> = new Set(["level", "time", "process", "msg", "pid", "hostname"]);

function shown(value: unknown): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

function fieldsOf(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}

/** One JSON line to `17:02:11 warn  observer: message  field=value`; what is no JSON object stays as it is. */
export function plainLine(line: string): string {
  const fields = fieldsOf(line);
  if (fields === null) return line;
  const { level, time, process, msg } = fields;
  const clock = typeof time === "string" ? time.slice(11, 19) : "";
  const rest = Object.entries(fields)
    .filter(([name]) => !OWN.has(name))
    .map(([name, value]) => `${name}=${shown(value)}`);
  const word = String(level).padEnd(5);
  return `${clock} ${word} ${String(process)}: ${[String(msg), ...rest].join("  ")}\n`;
}
