// The status page as one document: markup, style, uPlot and our own modules in line, so that nothing else is ever fetched.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export interface Page {
  readonly html: string;
  /** Content-Security-Policy: these scripts and this style, and the API of the same origin. */
  readonly policy: string;
}

/** In the order of their imports: put one behind the other they are one module. */
const MODULES = ["format", "dom", "plots", "service", "quality", "main"] as const;

function own(name: string): string {
  return readFileSync(new URL(`./client/${name}`, import.meta.url), "utf8");
}

function plotting(file: string): string {
  return readFileSync(createRequire(import.meta.url).resolve(`uplot/dist/${file}`), "utf8");
}

/** A module that others follow: what it exports they see, what it imports stands above it. */
function joinable(name: string): string {
  return own(`${name}.js`)
    .replaceAll(/^import [^;]+;$/gm, "")
    .replaceAll(/^export /gm, "");
}

function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** Reads the page's files; throws when the package is not whole. */
export function readPage(): Page {
  const style = `${plotting("uPlot.min.css")}\n${own("page.css")}`;
  const library = plotting("uPlot.iife.min.js");
  // A script of its own, so that `uPlot` becomes a global; `var` at its top does that.
  const script = MODULES.map(joinable).join("\n");
  if (/<\/(script|style)/i.test(`${style}${library}${script}`))
    throw new Error("a part of the page would end its element");
  const html = own("page.html")
    .replace("/*STYLE*/", () => style)
    .replace('<script type="module">', () => `<script>${library}</script>\n    <script type="module">`)
    .replace("/*SCRIPT*/", () => script);
  const inner = (open: string, close: string): string => {
    const from = html.indexOf(open) + open.length;
    return html.slice(from, html.indexOf(close, from));
  };
  const scripts = [library, inner('<script type="module">', "</script>")].map(hashOf).join(" ");
  const policy = [
    "default-src 'none'",
    `script-src ${scripts}`,
    `style-src ${hashOf(inner("<style>", "</style>"))}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return { html, policy };
}
