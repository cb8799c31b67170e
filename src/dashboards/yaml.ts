// Plain data as YAML that people can read: block maps and lists, strings of several lines as blocks, doubtful strings in quotes.

export type Plain =
  | string
  | number
  | boolean
  | null
  | readonly Plain[]
  | { readonly [key: string]: Plain | undefined };

type Scalar = string | number | boolean | null;

/** Words that stay as they are without quotes in YAML 1.1 and 1.2, in blocks and in brackets. */
const BARE =
  /^(?:[A-Za-z_/][A-Za-z0-9_./@+-]*(?::[A-Za-z0-9_./@+-]+)*(?: [A-Za-z0-9_./@+-]+)*|\d+(?:ms|[smhd]))$/;
const WORDS = /^(?:true|false|yes|no|on|off|y|n|null)$/i;
/** Longer than this, or with quotes in it, a text reads better as a block. */
const QUOTED_MAX = 60;

/** A JSON string is a double-quoted YAML string. */
function quoted(value: Scalar): string {
  if (typeof value !== "string") return String(value);
  return BARE.test(value) && !WORDS.test(value) ? value : JSON.stringify(value);
}

function scalar(value: Scalar, indent: string): string {
  if (typeof value !== "string") return String(value);
  const broken = value.includes("\n");
  const block = broken || (!BARE.test(value) && (value.length > QUOTED_MAX || /["\\]/.test(value)));
  // A block's first line says how far it is indented, and its last line how it ends.
  if (!block || /^\s|\n\n$|[^\S\n]$|[\p{Cc}--[\n\t]]/v.test(value)) return quoted(value);
  const text = value.endsWith("\n") ? value.slice(0, -1) : value;
  const body = text.split("\n").map((line) => (line === "" ? "" : `${indent}${line}`));
  return `|${text === value ? "-" : ""}\n${body.join("\n")}`;
}

/** Lists of so many words stand in brackets. */
const FLOW_MAX = 12;

function isScalar(value: Plain): value is Scalar {
  return typeof value !== "object" || value === null;
}

function isMap(value: Plain): value is { readonly [key: string]: Plain | undefined } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: Plain): value is readonly Plain[] {
  return Array.isArray(value);
}

function lines(value: Plain, indent: string): string[] {
  if (isList(value)) return value.flatMap((item) => listItem(item, indent));
  if (isScalar(value)) return [`${indent}${scalar(value, indent)}`];
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    inner === undefined ? [] : entry(key, inner, indent),
  );
}

function listItem(item: Plain, indent: string): string[] {
  if (isScalar(item)) return [`${indent}- ${scalar(item, `${indent}  `)}`];
  const [first = "", ...rest] = lines(item, `${indent}  `);
  return first === "" ? [`${indent}- {}`] : [`${indent}- ${first.slice(indent.length + 2)}`, ...rest];
}

function entry(key: string, value: Plain, indent: string): string[] {
  const name = `${indent}${quoted(key)}:`;
  if (isScalar(value)) return [`${name} ${scalar(value, `${indent}  `)}`];
  if (isList(value)) {
    const short = value.length <= FLOW_MAX && value.every(isScalar);
    return short
      ? [`${name} [${value.filter(isScalar).map(quoted).join(", ")}]`]
      : [name, ...lines(value, `${indent}  `)];
  }
  const inner = lines(value, `${indent}  `);
  return inner.length === 0 ? [`${name} {}`] : [name, ...inner];
}

/** A whole document. `head` is put before it as comments. */
export function yamlDocument(value: Plain, head: readonly string[] = []): string {
  return `${[...head.map((line) => `# ${line}`.trimEnd()), ...lines(value, "")].join("\n")}\n`;
}
