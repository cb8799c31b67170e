// The Accept and Accept-Encoding headers of a scrape: ranges with quality and parameters (RFC 9110 §12).

export interface Range {
  /** Lower case. */
  readonly value: string;
  /** 0 to 1; 0 refuses. */
  readonly quality: number;
  readonly parameters: ReadonlyMap<string, string>;
}

/** Scrapers name a handful; what is beyond is not looked at. */
const RANGES_MAX = 32;

/** The ranges of a header, in its order. A range with a broken quality is left out. */
export function parseAccept(header: string | undefined): readonly Range[] {
  const ranges: Range[] = [];
  for (const part of (header ?? "").split(",", RANGES_MAX)) {
    const [value = "", ...rest] = part.split(";").map((piece) => piece.trim().toLowerCase());
    if (value === "") continue;
    const parameters = new Map<string, string>();
    for (const piece of rest) {
      const equals = piece.indexOf("=");
      if (equals > 0)
        parameters.set(
          piece.slice(0, equals).trim(),
          piece
            .slice(equals + 1)
            .trim()
            .replace(/^"(.*)"$/, "$1"),
        );
    }
    const quality = Number(parameters.get("q") ?? 1);
    if (quality >= 0 && quality <= 1) ranges.push({ value, quality, parameters });
  }
  return ranges;
}

/** The quality of `value`: its own, else that of `*`, else 0. */
export function qualityOf(ranges: readonly Range[], value: string): number {
  const own = ranges.find((range) => range.value === value);
  return (own ?? ranges.find((range) => range.value === "*"))?.quality ?? 0;
}
