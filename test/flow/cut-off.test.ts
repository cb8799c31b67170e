// A store that cannot be read for a while: what is measured stands still, and goes on to the numbers of the rows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { DAY_MS, HOUR_MS, NOW, exchange, label } from "../ledger/support.ts";
import { World, type WorldSetup } from "../support/checkpointed-world.ts";
import { handClock } from "../support/hand-clock.ts";

const MINUTE_MS = 60_000;
const LATE_MINUTES = 20;

test("windows of both bases that were asked while the store was cut off are those of the rows when it is back", async (t) => {
  const clock = handClock(NOW);
  const setup: WorldSetup = { clock, options: { retentionMs: 10 * DAY_MS }, checkpoints: false };
  const [world, whole] = [World.open(setup), World.open(setup)];
  t.after(async () => {
    await world.remove();
    await whole.remove();
  });
  const worlds = [world, whole];
  let minutes = 0;
  const minute = async (): Promise<void> => {
    const at = clock.wallMs();
    for (const each of worlds) {
      await each.record([exchange(`e${minutes}`, { model: "numbers", ts: at, values: [minutes % 7] })]);
      const late = { model: "numbers", ts: at, receivedAt: at };
      if (minutes >= LATE_MINUTES && minutes % 4 !== 0)
        await each.label([label(`e${minutes - LATE_MINUTES}`, minutes % 5, late)]);
    }
    minutes++;
    clock.advance(MINUTE_MS);
  };
  const ask = (): void => {
    for (const each of worlds) {
      each.ask();
      each.measure.catchUp(clock.wallMs());
    }
  };
  for (let i = 0; i < 12 * 60; i++) {
    await minute();
    if (i % 10 === 0) ask();
  }
  const matured = world.measure.groups(clock.wallMs(), { basis: "matured", window: "6h" });
  assert.ok((matured.find(({ slice }) => slice === "")?.n_labeled ?? 0) > 0);

  await world.cutOff(label("e1", 1, { model: "numbers" }));
  // Longer than the short window, and less than half of the long one: it is not made anew.
  for (let i = 0; i < 17; i++) {
    clock.advance(10 * MINUTE_MS + 7);
    ask();
  }
  assert.equal(world.ledger.readable(), false);
  world.heal();
  clock.advance(MINUTE_MS);
  assert.ok(world.ledger.readable());
  for (let i = 0; i < 5; i++) ask();
  const at = clock.wallMs();
  const { compared, differences } = world.measure.verify(at);
  assert.deepEqual([compared > 0, differences], [true, []]);
  assert.deepEqual(world.says(), whole.says());
  // And further on: nothing was left at an edge.
  clock.advance(2 * HOUR_MS + 13);
  ask();
  assert.deepEqual(world.measure.verify(clock.wallMs()).differences, []);
  assert.deepEqual(world.says(), whole.says());
});
