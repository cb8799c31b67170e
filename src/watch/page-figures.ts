// What a process tells of itself on a page in Prometheus's text format or OpenMetrics: the names that client libraries agree on
// (Prometheus, "Writing client libraries", process metrics).

export interface PageFigures {
  /** Seconds of CPU time since it started. */
  readonly cpuSeconds: number | null;
  readonly rssBytes: number | null;
  /** Unix time in seconds: tells one life of the process from the next. */
  readonly startedAt: number | null;
}

/** `metrics_missing`: nothing of that on the page. `several_processes`: a family with several series tells of several. */
export type PageVerdict = PageFigures | "metrics_missing" | "several_processes";

const NAMES = {
  cpuSeconds: "process_cpu_seconds_total",
  rssBytes: "process_resident_memory_bytes",
  startedAt: "process_start_time_seconds",
} as const;

const LINE = new RegExp(
  String.raw`^(${Object.values(NAMES).join("|")})(?:\{[^\n]*\})?[ \t]+([^\s]+)[^\n]*$`,
  "gm",
);

export function parseFigures(text: string): PageVerdict {
  const found = new Map<string, number>();
  for (const [, name = "", value = ""] of text.matchAll(LINE)) {
    if (found.has(name)) return "several_processes";
    found.set(name, value === "" ? Number.NaN : Number(value));
  }
  const figure = (name: string): number | null => {
    const value = found.get(name);
    return value !== undefined && Number.isFinite(value) && value >= 0 ? value : null;
  };
  const cpuSeconds = figure(NAMES.cpuSeconds);
  const rssBytes = figure(NAMES.rssBytes);
  if (cpuSeconds === null && rssBytes === null) return "metrics_missing";
  return { cpuSeconds, rssBytes, startedAt: figure(NAMES.startedAt) };
}
