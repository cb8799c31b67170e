import assert from "node:assert/strict";
import { test } from "node:test";
import { plainLine } from "../../src/app/plain-line.ts";

test("on a terminal a log line is time, level, process, message and fields", () => {
  const line = JSON.stringify({
    level: "warn",
    time: "2026-01-14T12:00:01.123Z",
    process: "observer",
    reason: "no answer",
    status: 503,
    msg: "probe failed",
  });
  assert.equal(plainLine(line), '12:00:01 warn  observer: probe failed  reason="no answer"  status=503\n');
});

test("what is no JSON object stays as it is", () => {
  for (const line of ["plain\n", "42", "{"]) assert.equal(plainLine(line), line);
});
