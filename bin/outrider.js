#!/usr/bin/env node
// The installed command. An older Node gets one clear line instead of a syntax error.
const major = Number(process.versions.node.split(".")[0]);
if (major < 26) {
  process.stderr.write(
    `outrider needs Node 26 or newer; this is ${process.version}. Install Node 26 and try again.\n`,
  );
  process.exit(1);
}
await import("../dist/main.js");
