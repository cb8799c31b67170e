// What some folders of this program's code are, in twelve letters: state that they wrote is read again by the same code only.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A glob would do, and cost each start three times as much. */
function codeAt(root: string, place: string): string[] {
  const inFolder = existsSync(join(root, place))
    ? readdirSync(join(root, place), { recursive: true, encoding: "utf8" }).map((name) => join(place, name))
    : [];
  const files = [`${place}.ts`, `${place}.js`].filter((name) => existsSync(join(root, name)));
  return [...inFolder, ...files]
    .filter((name) => /\.(?:ts|js)$/.test(name) && !name.endsWith(".d.ts"))
    .toSorted();
}

/** `places`: folders or files below `root`, the same ones as TypeScript or as what was built from it. Throws when one has no code. */
export function codeDigest(root: string, places: readonly string[]): string {
  const hash = createHash("sha256");
  for (const place of places) {
    const found = codeAt(root, place);
    if (found.length === 0) throw new Error(`no code at ${join(root, place)}`);
    for (const name of found) {
      const text = readFileSync(join(root, name));
      hash.update(`${name} ${text.length}\n`).update(text);
    }
  }
  return hash.digest("hex").slice(0, 12);
}
