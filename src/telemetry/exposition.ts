// /metrics: one snapshot as Prometheus text 0.0.4 or OpenMetrics 1.0.0. Rendering is pure: a scrape changes nothing.

import { gzip } from "node:zlib";
import { promisify } from "node:util";
import { parseAccept, qualityOf } from "./accept.ts";
import type { Recorder } from "./recorder.ts";
import type { Exemplar, Family, HistogramFamily, HistogramSeries, Labels, Snapshot } from "./snapshot.ts";

export type Format = "text" | "openmetrics";

export const CONTENT_TYPES: Readonly<Record<Format, string>> = Object.freeze({
  text: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
});

/** Smaller answers are not worth compressing. */
const GZIP_BYTES_MIN = 1024;
const compress = promisify(gzip);

export interface Rendered {
  readonly contentType: string;
  /** "gzip" or "" (as it is). The answer varies by Accept and Accept-Encoding. */
  readonly contentEncoding: "gzip" | "";
  readonly body: Buffer;
}

export interface Exposition {
  render(accept: string | undefined, acceptEncoding: string | undefined): Promise<Rendered>;
}

export interface ExpositionOptions {
  readonly recorder: Recorder;
  /** Attributes of the resource, as OTLP names them; shown as target_info. */
  readonly resource: Readonly<Record<string, string>>;
}

/** Writes each snapshot once per format and coding, for all who ask while it is the newest. */
class SharedExposition implements Exposition {
  readonly #options: ExpositionOptions;
  #snapshot: Snapshot | null = null;
  /** Of that snapshot: at most two formats, as they are and compressed. */
  readonly #texts = new Map<Format, Buffer>();
  readonly #compressed = new Map<Format, Promise<Buffer>>();

  constructor(options: ExpositionOptions) {
    this.#options = options;
  }

  async render(accept: string | undefined, acceptEncoding: string | undefined): Promise<Rendered> {
    const format = negotiate(accept);
    this.#keep(await this.#options.recorder.snapshot());
    const body = this.#textOf(format);
    const contentType = CONTENT_TYPES[format];
    const wanted = parseAccept(acceptEncoding);
    const gzips = body.length >= GZIP_BYTES_MIN && qualityOf(wanted, "gzip") > 0;
    if (!gzips) return { contentType, contentEncoding: "", body };
    return { contentType, contentEncoding: "gzip", body: await this.#compressedOf(format, body) };
  }

  #keep(snapshot: Snapshot): void {
    if (this.#snapshot === snapshot) return;
    this.#snapshot = snapshot;
    this.#texts.clear();
    this.#compressed.clear();
  }

  #textOf(format: Format): Buffer {
    const known = this.#texts.get(format);
    if (known !== undefined || this.#snapshot === null) return known ?? Buffer.alloc(0);
    const text = Buffer.from(encode(this.#snapshot, { format, resource: this.#options.resource }), "utf8");
    this.#texts.set(format, text);
    return text;
  }

  #compressedOf(format: Format, text: Buffer): Promise<Buffer> {
    const known = this.#compressed.get(format);
    if (known !== undefined) return known;
    const compressed = compress(text, { level: 1 });
    this.#compressed.set(format, compressed);
    return compressed;
  }
}

export function createExposition(options: ExpositionOptions): Exposition {
  return new SharedExposition(options);
}

/** What a scraper wants: OpenMetrics only when it names a version we speak, and likes it at least as much as text. */
export function negotiate(accept: string | undefined): Format {
  const ranges = parseAccept(accept);
  let openmetrics = 0;
  let text = 0;
  for (const { value, quality, parameters } of ranges) {
    const version = parameters.get("version");
    if (value === "application/openmetrics-text" && (version === undefined || version === "1.0.0")) {
      openmetrics = Math.max(openmetrics, quality);
    }
    if (value === "text/plain" && (version === undefined || version === "0.0.4")) {
      text = Math.max(text, quality);
    }
  }
  return openmetrics > 0 && openmetrics >= text ? "openmetrics" : "text";
}

export interface EncodeOptions {
  readonly format: Format;
  readonly resource: Readonly<Record<string, string>>;
}

/** The whole exposition. Pure. */
export function encode(snapshot: Snapshot, options: EncodeOptions): string {
  const open = options.format === "openmetrics";
  let out = targetInfo(options.resource, open);
  for (const family of snapshot.families) {
    out += head(family, open);
    if (family.kind === "histogram") {
      for (const series of family.series) out += histogramLines(family, series, open);
    } else {
      const { name } = family.descriptor;
      for (const { labels, value } of family.series)
        out += `${name}${braces(labels)} ${formatNumber(value)}\n`;
    }
  }
  return open ? `${out}# EOF\n` : out;
}

const PROM_TYPES = {
  counter: "counter",
  gauge: "gauge",
  updowncounter: "gauge",
  histogram: "histogram",
} as const;

function head(family: Family, open: boolean): string {
  const { name, type, help } = family.descriptor;
  const familyName = open && type === "counter" ? name.replace(/_total$/, "") : name;
  const lines = `# HELP ${familyName} ${escapeHelp(help, open)}\n# TYPE ${familyName} ${PROM_TYPES[type]}\n`;
  const unit = open ? /_(seconds|bytes|ratio)$/.exec(familyName)?.[1] : undefined;
  return unit === undefined ? lines : `${lines}# UNIT ${familyName} ${unit}\n`;
}

function targetInfo(resource: Readonly<Record<string, string>>, open: boolean): string {
  const labels: Record<string, string> = {};
  for (const [key, value] of Object.entries(resource)) {
    labels[key.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[0-9])/, "_")] = value;
  }
  if (Object.keys(labels).length === 0) return "";
  const [name, type] = open ? ["target", "info"] : ["target_info", "gauge"];
  return `# HELP ${name} 1, with the attributes of the resource that OTLP names.\n# TYPE ${name} ${type}\ntarget_info${braces(labels)} 1\n`;
}

function histogramLines(family: HistogramFamily, series: HistogramSeries, open: boolean): string {
  const { name } = family.descriptor;
  const inner = pairs(series.labels);
  const comma = inner === "" ? "" : ",";
  let out = "";
  let below = 0;
  for (const [at, count] of series.counts.entries()) {
    below += count;
    const exemplar = open ? exemplarText(series.exemplars[at] ?? null) : "";
    out += `${name}_bucket{${inner}${comma}le="${formatBound(family.bounds[at])}"} ${below}${exemplar}\n`;
  }
  // OpenMetrics: count and sum go together or not at all.
  if (series.sum === null) return out;
  const labels = inner === "" ? "" : `{${inner}}`;
  return `${out}${name}_sum${labels} ${formatNumber(series.sum)}\n${name}_count${labels} ${series.count}\n`;
}

function exemplarText(exemplar: Exemplar | null): string {
  if (exemplar === null) return "";
  const at = exemplar.timestamp.toFixed(3);
  return ` # {${pairs(exemplar.labels)}} ${formatNumber(exemplar.value)} ${at}`;
}

function braces(labels: Labels): string {
  const inner = pairs(labels);
  return inner === "" ? "" : `{${inner}}`;
}

function pairs(labels: Labels): string {
  let out = "";
  for (const name in labels) {
    const value = labels[name] ?? "";
    // An empty value is the same as no label.
    if (value !== "") out += `${out === "" ? "" : ","}${name}="${escapeValue(value)}"`;
  }
  return out;
}

function escapeValue(value: string): string {
  if (!/[\\"\n]/.test(value)) return value;
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function escapeHelp(help: string, open: boolean): string {
  const escaped = help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return open ? escaped.replaceAll('"', '\\"') : escaped;
}

/** A bucket's bound always as a float ("1.0"), so that both formats and all versions of Prometheus spell a series alike. */
export function formatBound(bound: number | undefined): string {
  if (bound === undefined || bound === Infinity) return "+Inf";
  return Number.isInteger(bound) && Math.abs(bound) < 1e21 ? `${bound}.0` : String(bound);
}

function formatNumber(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
