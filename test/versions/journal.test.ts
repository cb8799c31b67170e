// The journal file: whatever a crash leaves, entries that were kept are read again and nothing else is.

import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { openJournal } from "../../src/versions/journal.ts";

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "outrider-journal-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "versions.ndjson");
}

test("cut at any byte, the whole entries before the cut are read and the next one follows them", (t) => {
  const path = place(t);
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), fc.nat(), (entries, cut) => {
      rmSync(path, { force: true });
      const { journal } = openJournal(path, 0);
      const ends = entries.map((entry) => {
        journal.append(entry);
        return readFileSync(path).length;
      });
      journal.close();
      const size = readFileSync(path).length;
      const at = size === 0 ? 0 : cut % (size + 1);
      truncateSync(path, at);
      const again = openJournal(path, 0);
      const whole = ends.filter((end) => end <= at).length;
      assert.equal(again.entries.length, whole);
      assert.equal(again.damaged, 0);
      again.journal.append("next");
      again.journal.close();
      const last = openJournal(path, 0);
      assert.equal(last.entries.length, whole + 1);
      last.journal.close();
    }),
    { numRuns: 50 },
  );
});

test("a damaged line in the middle is left out, counted, and the file kept as it was", (t) => {
  const path = place(t);
  const { journal } = openJournal(path, 0);
  for (const entry of ["one", "two", "three"]) journal.append(entry);
  journal.close();
  writeFileSync(path, readFileSync(path, "utf8").replace("two", "tow"));
  const again = openJournal(path, 0);
  again.journal.close();
  assert.deepEqual(again.entries, ["one", "three"]);
  assert.equal(again.damaged, 1);
  assert.equal(existsSync(again.copy ?? ""), true);
});

test("rubbish at the end is cut off", (t) => {
  const path = place(t);
  const { journal } = openJournal(path, 0);
  journal.append("one");
  journal.close();
  appendFileSync(path, "deadbeef [not an en");
  const again = openJournal(path, 0);
  again.journal.close();
  assert.deepEqual(again.entries, ["one"]);
  assert.equal(openJournal(path, 0).entries.length, 1);
});

test("a closed journal refuses", (t) => {
  const { journal } = openJournal(place(t), 0);
  journal.close();
  assert.equal(journal.append("late").kind, "refused");
});
