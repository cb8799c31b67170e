// The bounded part of the conformance suite against the relay; the whole of it, beside other proxies: npm run conformance.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startProxy } from "../support.ts";
import { playAll } from "./case.ts";
import { allCases } from "./cases.ts";
import { Origin } from "./origin.ts";

test("every must and every should of the bounded suite holds", { timeout: 240_000 }, async (t) => {
  const origin = new Origin();
  await origin.start();
  t.after(() => origin.stop());
  const { port, errors } = await startProxy(t, `http://127.0.0.1:${origin.port}`);
  const cases = allCases.filter((one) => one.long !== true);
  assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length, "ids are unique");
  const scores = await playAll(cases, { origin, port });
  const failed = scores.filter(({ failure }) => failure !== null);
  assert.deepEqual(
    failed.map((one) => `${one.case.level} ${one.case.id}: ${one.failure ?? ""}`),
    [],
  );
  assert.deepEqual(errors, [], "no bug was met");
});
