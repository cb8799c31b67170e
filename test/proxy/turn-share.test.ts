import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnShare } from "../../src/proxy/turn-share.ts";
import { eventually } from "./support.ts";

const KIB = 1024;

test("full reads in a row use up a share of 256 KiB, and the connection goes on in the next turn", async () => {
  let went = 0;
  const share = new TurnShare(() => went++);
  assert.deepEqual(
    Array.from({ length: 5 }, () => share.usedUp(64 * KIB)),
    [false, false, false, true, false],
  );
  assert.equal(went, 0, "not within this turn");
  await eventually(() => went === 1);
});

test("a read that was not full ended the row: nothing more was there", () => {
  const share = new TurnShare(() => assert.fail("nothing was stopped"));
  for (let at = 0; at < 10; at++) {
    for (let full = 0; full < 3; full++) assert.equal(share.usedUp(64 * KIB), false);
    assert.equal(share.usedUp(300), false);
  }
});

test("records of TLS count, too", () => {
  const share = new TurnShare(() => {});
  const used = Array.from({ length: 16 }, () => share.usedUp(16 * KIB));
  assert.equal(used.indexOf(true), 15);
});
