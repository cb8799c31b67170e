import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderPicker, pickHeaders } from "../../src/observe/heads.ts";

const WANTED: ReadonlySet<string> = new Set(["content-type", "x-request-id"]);

test("what was picked last is never taken for what other lines say", () => {
  const name = fc.constantFrom("Content-Type", "content-type", "X-Request-Id", "x-other", "");
  const line = fc.tuple(name, fc.constantFrom("", "a", "b", " a "));
  const heads = fc.array(fc.array(line, { maxLength: 3 }), { maxLength: 12 });
  fc.assert(
    fc.property(heads, (all) => {
      const picker = new HeaderPicker(WANTED);
      for (const lines of all) {
        const headers = lines.flat();
        assert.deepEqual(picker.pick(headers), pickHeaders(headers, WANTED));
        assert.deepEqual(picker.pick([...headers]), pickHeaders(headers, WANTED));
      }
    }),
  );
});
