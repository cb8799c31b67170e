#!/usr/bin/env node
import { existsSync } from "node:fs";

// The installed command. An older Node gets one clear line instead of a syntax error.
const major = Number(process.versions.node.split(".")[0]);
if (major < 26) {
  process.stderr.write(
    `outrider needs Node 26 or newer; this is ${process.version}. Install Node 26 and try again.\n`,
  );
  process.exit(1);
}
// A clone runs its source, which a package does not have.
const source = new URL("../src/main.ts", import.meta.url);
await import(existsSync(source) ? source.href : "../dist/main.js");
