import assert from "node:assert/strict";
import { test } from "node:test";
import { SharedScrapes } from "../../src/app/shared-scrapes.ts";
import { handClock } from "../support/hand-clock.ts";

/** Of each scrape that got the last answer. */
const PAUSE_MS = 5;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Asked {
  readonly accept: string;
  readonly timeoutMs: number;
  answer(text: string | null): void;
}

function desk() {
  const asked: Asked[] = [];
  const clock = handClock();
  const scrapes = new SharedScrapes<string>(clock, (accept, _encoding, timeoutMs) => {
    return new Promise((resolve) => asked.push({ accept, timeoutMs, answer: resolve }));
  });
  return { asked, clock, scrapes };
}

test("many scrapes at once are one question, a later one is asked again", async () => {
  const { asked, clock, scrapes } = desk();
  const answers = Array.from({ length: 50 }, () => scrapes.get("text/plain", "gzip", 1000));
  assert.equal(asked.length, 1);
  asked[0]?.answer("first");
  assert.deepEqual(new Set(await Promise.all(answers)), new Set(["first"]));
  clock.advance(1000);
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
  clock.advance(600);
  const second = scrapes.get("a", "", 1000);
  const third = scrapes.get("a", "", 1000);
  clock.advance(400);
  asked[0]?.answer(null);
  assert.equal(await first, null);
  await turn();
  clock.advance(PAUSE_MS * 3);
  await turn();
  assert.equal(asked.length, 2, "the two share the next one as well");
  assert.equal(asked[1]?.timeoutMs, 600);
  asked[1]?.answer("late");
  assert.deepEqual(await Promise.all([second, third]), ["late", "late"]);
});

test("who has no time left is told so", async () => {
  const { asked, clock, scrapes } = desk();
  const answers = [scrapes.get("a", "", 1000), scrapes.get("a", "", 10)];
  clock.advance(1000);
  asked[0]?.answer(null);
  assert.deepEqual(await Promise.all(answers), [null, null]);
  assert.equal(asked.length, 1);
});

test("the more scrapes got an answer, the longer the next question waits, and its time counts from then", async () => {
  const { asked, clock, scrapes } = desk();
  const storm = Array.from({ length: 50 }, () => scrapes.get("a", "", 1000));
  asked[0]?.answer("first");
  await Promise.all(storm);
  const next = [scrapes.get("a", "", 1000), scrapes.get("a", "", 1000), scrapes.get("b", "", 1000)];
  clock.advance(50 * PAUSE_MS - 1);
  await turn();
  assert.equal(asked.length, 1, "it is not yet time");
  clock.advance(1);
  await turn();
  assert.deepEqual(
    asked.slice(1).map(({ accept, timeoutMs }) => [accept, timeoutMs]),
    [
      ["a", 1000],
      ["b", 1000],
    ],
  );
  for (const { answer } of asked) answer("second");
  assert.deepEqual(await Promise.all(next), ["second", "second", "second"]);
});

test("no scrape waits longer than a second for its question", async () => {
  const { asked, clock, scrapes } = desk();
  const storm = Array.from({ length: 5000 }, () => scrapes.get("a", "", 1000));
  asked[0]?.answer("first");
  await Promise.all(storm);
  const next = scrapes.get("a", "", 1000);
  clock.advance(1000);
  await turn();
  asked[1]?.answer("second");
  assert.equal(await next, "second");
});
