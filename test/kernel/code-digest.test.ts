import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { codeDigest } from "../../src/kernel/code-digest.ts";

test("the digest of code is another when a byte, a name or the number of its files is, and only of those that are asked for", (t) => {
  const root = mkdtempSync(join(tmpdir(), "outrider-code-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "sums/deep"), { recursive: true });
  mkdirSync(join(root, "page"));
  const write = (name: string, text: string): void => writeFileSync(join(root, name), text);
  write("sums/a.ts", "export const a = 1;");
  write("sums/deep/b.js", "export const b = 2;");
  write("page/kept.ts", "export const kept = 3;");
  write("page/other.ts", "export const other = 4;");
  const copy = `${root}-copy`;
  cpSync(root, copy, { recursive: true });
  t.after(() => rmSync(copy, { recursive: true, force: true }));
  const digest = (of = root): string => codeDigest(of, ["sums", "page/kept"]);
  const first = digest();
  assert.equal(digest(copy), first, "wherever it is");
  write("page/other.ts", "export const other = 5;");
  write("sums/a.d.ts", "export declare const a = 1;");
  write("sums/notes.md", "no code");
  assert.equal(digest(), first);

  const seen = new Set([first]);
  const isNew = (): void => {
    assert.ok(!seen.has(digest()));
    seen.add(digest());
  };
  write("sums/deep/b.js", "export const b = 3;");
  isNew();
  write("page/kept.ts", "export const kept = 4;");
  isNew();
  renameSync(join(root, "sums/a.ts"), join(root, "sums/c.ts"));
  isNew();
  write("sums/d.ts", "");
  isNew();
  assert.throws(() => codeDigest(root, ["summs"]), /no code at .*summs/);
});

test("a comment is no code: the build leaves it out", () => {
  const settings = readFileSync(new URL("../../tsconfig.build.json", import.meta.url), "utf8");
  assert.match(settings, /"removeComments": true/);
});
