import assert from "node:assert/strict";
import { test } from "node:test";
import { workAhead } from "../../src/observer/work-ahead.ts";

/** A clock of which each step of work takes `stepMs`. */
function desk(stepMs: number) {
  const state = { now: 0, due: 0, call: (): void => undefined, ended: false, left: 0, isBusy: false };
  const clock = {
    wallMs: () => state.now,
    monotonicMs: () => state.now,
    after: (ms: number, call: () => void) => {
      state.due = state.now + ms;
      state.call = call;
      return { cancel: () => (state.ended = true) };
    },
    every: () => ({ cancel: () => undefined }),
  };
  const work = (): boolean => {
    state.now += stepMs;
    state.left--;
    return state.left > 0;
  };
  const end = workAhead({ clock, work, busy: () => state.isBusy });
  const next = (): number => {
    state.now = state.due;
    state.call();
    return state.due - state.now;
  };
  return { state, end, next };
}

test("between steps others have as much time as a step took, nine times as much when they wait for it", () => {
  const { state, end, next } = desk(100);
  assert.equal(state.due, 1000);
  state.left = 3;
  assert.equal(next(), 100);
  state.isBusy = true;
  assert.equal(next(), 900);
  assert.equal(next(), 1000, "nothing is left");
  end();
  assert.equal(state.ended, true);
});

test("short steps come no closer than 25 ms", () => {
  const { state, next } = desk(1);
  state.left = 2;
  assert.equal(next(), 25);
});
