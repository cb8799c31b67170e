// docs/limits.md tells every limit of the relay with its default and its counter.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { catalogue } from "../../src/catalogue.ts";
import { keyRows } from "../../src/config/keys.ts";
import { startProxy } from "./support.ts";

const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "limits.md"), "utf8");
const rows = page.split("\n").filter((line) => line.startsWith("|"));

test("each limit that can be set stands in a row with its default", () => {
  const keys = keyRows().filter(({ key }) => /^proxy\.(limits\.|\w+Timeout$|maxConnections$)/.test(key));
  assert.ok(keys.length > 12, String(keys.length));
  for (const { key, default: value } of keys) {
    const row = rows.find((line) => line.includes(`\`${key}\``));
    assert.ok(row?.includes(` ${value} `), `${key}, ${value}: ${row}`);
  }
});

test("each value of the counter of limits is on it, and each counter it names is one", async (t) => {
  const { proxy } = await startProxy(t, "http://127.0.0.1:1");
  for (const limit of Object.keys(proxy.stats().limited)) assert.match(page, new RegExp(`\\b${limit}\\b`));
  const names = new Set(catalogue.map(({ name }) => name));
  const named = [...page.matchAll(/\boutrider_\w+/g)].map(([name]) => name);
  assert.deepEqual(
    named.filter((name) => !names.has(name)),
    [],
  );
});
