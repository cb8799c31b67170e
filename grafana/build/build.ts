// Part of `npm run generate`: writes grafana/dashboards. With --check it only says which files differ. Needs the dev dependencies.

import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { boards } from "./boards.ts";
import { render } from "./render.ts";

const check = process.argv.includes("--check");
const folder = join(import.meta.dirname, "..", "dashboards");
const wanted = new Map(boards.map((board) => [`${board.id}.json`, render(board)]));
const stale: string[] = [];
for (const [name, text] of wanted) {
  const path = join(folder, name);
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  stale.push(name);
  if (!check) writeFileSync(path, text);
}
for (const name of readdirSync(folder)) {
  if (wanted.has(name)) continue;
  stale.push(name);
  if (!check) rmSync(join(folder, name));
}
if (check && stale.length > 0) {
  process.stderr.write(`boards differ: ${stale.join(", ")}; run npm run generate\n`);
  process.exitCode = 1;
}
