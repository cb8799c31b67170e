import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedScrapes } from "../../src/app/shared-scrapes.ts";

interface Asked {
  readonly accept: string;
  readonly timeoutMs: number;
  answer(text: string | null): void;
}

function desk() {
  const asked: Asked[] = [];
  const clock = { now: 0, monotonicMs: () => clock.now };
  const scrapes = new SharedScrapes<string>(clock, (accept, _encoding, timeoutMs) => {
    return new Promise((resolve) => asked.push({ accept, timeoutMs, answer: resolve }));
  });
  return { asked, clock, scrapes };
}

test("many scrapes at once are one question, a later one is asked again", async () => {
  const { asked, scrapes } = desk();
  const answers = Array.from({ length: 50 }, () => scrapes.get("text/plain", "gzip", 1000));
  assert.equal(asked.length, 1);
  asked[0]?.answer("first");
  assert.deepEqual(new Set(await Promise.all(answers)), new Set(["first"]));
  const later = scrapes.get("text/plain", "gzip", 1000);
  assert.equal(asked.length, 2);
  asked[1]?.answer("second");
  assert.equal(await later, "second");
});

test("who wants another form asks for himself", async () => {
  const { asked, scrapes } = desk();
  const answers = [scrapes.get("a", "", 1000), scrapes.get("b", "", 1000), scrapes.get("a", "gzip", 1000)];
  assert.equal(asked.length, 3);
  for (const [at, { answer }] of asked.entries()) answer(String(at));
  assert.deepEqual(await Promise.all(answers), ["0", "1", "2"]);
});

test("who joined late waits his own time, not that of the first", async () => {
  const { asked, clock, scrapes } = desk();
  const first = scrapes.get("a", "", 1000);
  clock.now = 600;
  const second = scrapes.get("a", "", 1000);
  const third = scrapes.get("a", "", 1000);
  clock.now = 1000;
  asked[0]?.answer(null);
  assert.equal(await first, null);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(asked.length, 2, "the two share the next one as well");
  assert.equal(asked[1]?.timeoutMs, 600);
  asked[1]?.answer("late");
  assert.deepEqual(await Promise.all([second, third]), ["late", "late"]);
});

test("who has no time left is told so", async () => {
  const { asked, clock, scrapes } = desk();
  const answers = [scrapes.get("a", "", 1000), scrapes.get("a", "", 10)];
  clock.now = 1000;
  asked[0]?.answer(null);
  assert.deepEqual(await Promise.all(answers), [null, null]);
  assert.equal(asked.length, 1);
});
