// What some folders of this program's code are, in twelve letters: state that they wrote is read again by the same code only.

import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** `places`: folders or files below `root`, the same ones as TypeScript or as what was built from it. Throws when one has no code. */
export function codeDigest(root: string, places: readonly string[]): string {
  const hash = createHash("sha256");
  for (const place of places) {
    const found = globSync([`${place}/**/*.{ts,js}`, `${place}.{ts,js}`], { cwd: root })
      .filter((name) => !name.endsWith(".d.ts"))
      .toSorted();
    if (found.length === 0) throw new Error(`no code at ${join(root, place)}`);
    for (const name of found) {
      const text = readFileSync(join(root, name));
      hash.update(`${name} ${text.length}\n`).update(text);
    }
  }
  return hash.digest("hex").slice(0, 12);
}
