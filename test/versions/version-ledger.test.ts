// Registering, promoting and rolling back: what holds, what is refused, and what history tells afterwards.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bench, promote, register, registration, reopen, rmseThen } from "./support.ts";

const ASK = { model: "credit", actor: "ada", via: "api", reason: null, ifCurrent: undefined } as const;

test("a version is registered once; the same content again changes nothing, other content is refused", (t) => {
  const { ledger } = bench(t);
  const asked = { model: "credit", version: "1", registration: registration(), actor: "ci", via: "api" };
  const first = ledger.register(asked);
  assert.equal(first.kind === "done" && first.changed, true);
  const again = ledger.register({ ...asked, registration: registration({ parameters: { alpha: 0.1 } }) });
  assert.equal(again.kind === "done" && again.changed, false);
  const other = ledger.register({ ...asked, registration: registration({ evaluation: { rmse: 49 } }) });
  assert.equal(other.kind === "refused" && other.code, "version_exists");
  assert.equal(ledger.history("credit").length, 1);
});

test("promoting replaces the production version in one step, and history tells both halves", (t) => {
  const { ledger, quality, clock } = bench(t);
  register(ledger, "1");
  register(ledger, "2");
  promote(ledger, "1");
  clock.advance(60_000);
  quality.set("credit/1", rmseThen(51));
  promote(ledger, "2");
  assert.equal(ledger.production("credit")?.version, "2");
  assert.equal(ledger.record("credit", "1")?.stage, "archived");
  const [left, came] = ledger.history("credit").slice(-2);
  assert.deepEqual(
    [left?.action, left?.version, left?.from, left?.to, left?.reason],
    ["archived", "1", "production", "archived", "replaced by 2"],
  );
  assert.deepEqual(left?.quality, rmseThen(51));
  assert.deepEqual([came?.action, came?.version, came?.to], ["promoted", "2", "production"]);
});

test("what was in production at a time is answered to the millisecond", (t) => {
  const { ledger, clock } = bench(t);
  register(ledger, "1");
  register(ledger, "2");
  const start = clock.wallMs();
  promote(ledger, "1");
  clock.advance(1000);
  promote(ledger, "2");
  assert.equal(ledger.productionAt("credit", start - 1), null);
  assert.equal(ledger.productionAt("credit", start)?.version, "1");
  assert.equal(ledger.productionAt("credit", start + 999)?.version, "1");
  assert.equal(ledger.productionAt("credit", start + 1000)?.version, "2");
});

test("rolling back goes to the version before, and again to the one before that", (t) => {
  const { ledger } = bench(t);
  for (const version of ["1", "2", "3"]) {
    register(ledger, version);
    promote(ledger, version);
  }
  ledger.rollBack({ ...ASK, to: "previous" });
  assert.equal(ledger.production("credit")?.version, "2");
  ledger.rollBack({ ...ASK, to: "previous" });
  assert.equal(ledger.production("credit")?.version, "1");
  const none = ledger.rollBack({ ...ASK, to: "previous" });
  assert.equal(none.kind === "refused" && none.code, "nothing_before");
});

test("rolling back to good skips versions that left production worse than registered", (t) => {
  const { ledger, quality } = bench(t);
  quality.set("credit/1", rmseThen(52));
  quality.set("credit/2", rmseThen(70));
  for (const version of ["1", "2", "3"]) {
    register(ledger, version);
    promote(ledger, version);
  }
  ledger.rollBack({ ...ASK, to: "good" });
  assert.equal(ledger.production("credit")?.version, "1");
});

test("how far below its evaluation a version may have left and still be good is the model's margin", (t) => {
  const made = bench(t);
  const { ledger, quality } = made;
  quality.set("credit/1", rmseThen(52));
  quality.set("credit/2", rmseThen(57));
  for (const version of ["1", "2", "3"]) {
    register(ledger, version);
    promote(ledger, version);
  }
  // Registered with an rmse of 50: 57 is worse by 14 %.
  made.expected = { metrics: {}, margin: 0.15 };
  ledger.rollBack({ ...ASK, to: "good" });
  assert.equal(ledger.production("credit")?.version, "2");
  made.expected = { metrics: {}, margin: 0 };
  const none = ledger.rollBack({ ...ASK, to: "good" });
  assert.equal(none.kind === "refused" && none.code, "nothing_before");
});

test("a version that was not registered with a metric is held against the model's configured baseline", (t) => {
  const made = bench(t);
  const { ledger, quality } = made;
  made.expected = { metrics: { mae: 40 }, margin: 0.1 };
  const maeThen = (mae: number) => rmseThen(50).map((then) => ({ ...then, metrics: { mae } }));
  quality.set("credit/1", maeThen(43));
  quality.set("credit/2", maeThen(45));
  for (const version of ["1", "2", "3"]) {
    register(ledger, version);
    promote(ledger, version);
  }
  ledger.rollBack({ ...ASK, to: "good" });
  assert.equal(ledger.production("credit")?.version, "1");
});

test("compare and set: a decision on a stale picture is refused and told what is current", (t) => {
  const { ledger } = bench(t);
  register(ledger, "1");
  register(ledger, "2");
  const first = ledger.promote({ ...ASK, version: "1", stage: "production", ifCurrent: null });
  assert.equal(first.kind, "done");
  const stale = ledger.promote({ ...ASK, version: "2", stage: "production", ifCurrent: null });
  assert.equal(stale.kind === "refused" && stale.code, "not_current");
  assert.deepEqual(stale.kind === "refused" && stale.details, { current: "1" });
});

test("a closed gate refuses the promotion with its figures and leaves production alone", (t) => {
  const made = bench(t);
  register(made.ledger, "1");
  register(made.ledger, "2");
  promote(made.ledger, "1");
  made.gate = { allowed: false, message: "rmse may be worse by 3", figures: { upper: 3 } };
  const refused = made.ledger.promote({ ...ASK, version: "2", stage: "production" });
  assert.equal(refused.kind === "refused" && refused.code, "gate_closed");
  assert.deepEqual(refused.kind === "refused" && refused.details, { figures: { upper: 3 } });
  assert.equal(made.ledger.production("credit")?.version, "1");
});

test("a version seen in traffic is recorded once as unregistered, and can be registered later", (t) => {
  const { ledger } = bench(t);
  assert.equal(ledger.seen("credit", "9"), "new");
  assert.equal(ledger.seen("credit", "9"), "known");
  assert.equal(ledger.record("credit", "9")?.registration, null);
  register(ledger, "9");
  assert.notEqual(ledger.record("credit", "9")?.registration, null);
  assert.deepEqual(
    ledger.history("credit").map((event) => event.action),
    ["unregistered", "registered"],
  );
});

test("versions beyond the cap are refused, those known go on", (t) => {
  const { ledger } = bench(t, { versionsMax: 1 });
  register(ledger, "1");
  const full = ledger.register({
    model: "credit",
    version: "2",
    registration: registration(),
    actor: "ci",
    via: "api",
  });
  assert.equal(full.kind === "refused" && full.code, "versions_full");
  assert.equal(ledger.seen("credit", "3"), "full");
  promote(ledger, "1");
  assert.equal(ledger.production("credit")?.version, "1");
});

test("after reopening everything is as it was", (t) => {
  const { ledger, path } = bench(t);
  for (const version of ["1", "2", "3"]) {
    register(ledger, version);
    promote(ledger, version);
  }
  ledger.rollBack({ ...ASK, to: "previous" });
  const before = { records: ledger.records("credit"), history: ledger.history("credit") };
  ledger.close();
  const again = reopen(path).ledger;
  assert.deepEqual({ records: again.records("credit"), history: again.history("credit") }, before);
  again.rollBack({ ...ASK, to: "previous" });
  assert.equal(again.production("credit")?.version, "1");
  again.close();
});

test("names like __proto__ are names like any other", (t) => {
  const { ledger } = bench(t);
  const done = ledger.register({
    model: "__proto__",
    version: "constructor",
    registration: registration(),
    actor: "ci",
    via: "api",
  });
  assert.equal(done.kind, "done");
  assert.equal(ledger.record("__proto__", "constructor")?.version, "constructor");
  assert.equal(ledger.record("__proto__", "toString"), null);
});

test("what was never measured, or not maturely, is not known to have been good", (t) => {
  const { ledger, quality } = bench(t);
  quality.set("credit/2", [
    { window: "24h", basis: "all", n_predictions: 9, n_labeled: 9, coverage: 1, metrics: { rmse: 50 } },
  ]);
  for (const version of ["1", "2", "3"]) {
    register(ledger, version);
    promote(ledger, version);
  }
  const none = ledger.rollBack({ ...ASK, to: "good" });
  assert.equal(none.kind === "refused" && none.code, "nothing_before");
});

test("history is in order of time, also when the clock was set back", (t) => {
  const { ledger, clock } = bench(t);
  register(ledger, "1");
  register(ledger, "2");
  clock.advance(10_000);
  promote(ledger, "1");
  const [first] = ledger.history("credit").slice(-1);
  clock.advance(-5000);
  promote(ledger, "2");
  const [last] = ledger.history("credit").slice(-1);
  assert.ok((last?.at ?? 0) >= (first?.at ?? 0));
  assert.equal(ledger.productionAt("credit", last?.at ?? 0)?.version, "2");
});

test("what a registry knew stands in until somebody registers the version in earnest, once", (t) => {
  const { ledger } = bench(t);
  const asked = { model: "credit", version: "1", actor: "mlflow alias champion" };
  ledger.register({ ...asked, registration: registration({ parameters: {} }), via: "registry" });
  const earnest = ledger.register({ ...asked, registration: registration(), actor: "ci", via: "token:ci" });
  assert.equal(earnest.kind === "done" && earnest.changed, true);
  const mirrored = ledger.register({
    ...asked,
    registration: registration({ parameters: {} }),
    via: "registry",
  });
  assert.equal(mirrored.kind, "refused");
  const other = ledger.register({ ...asked, registration: registration({ tags: { a: "b" } }), via: "api" });
  assert.equal(other.kind, "refused");
  assert.deepEqual(ledger.record("credit", "1")?.registration, registration());
});

test("when nothing is declared any more, production is empty and history says since when and by whom", (t) => {
  const { ledger } = bench(t);
  register(ledger, "1");
  const by = {
    model: "credit",
    actor: "mlflow alias champion",
    via: "registry",
    reason: "names none",
    action: "promoted",
  } as const;
  assert.equal(ledger.adopt({ ...by, version: null }), null);
  ledger.adopt({ ...by, version: "1" });
  assert.equal(ledger.adopt({ ...by, version: null })?.kind, "done");
  assert.equal(ledger.production("credit"), null);
  const [last] = ledger.history("credit").slice(-1);
  assert.deepEqual([last?.action, last?.via, last?.reason], ["archived", "registry", "names none"]);
  assert.equal(ledger.rollBack({ ...ASK, to: "previous" }).kind, "done");
});

test("names in traffic take at most half of the room", (t) => {
  const { ledger } = bench(t, { versionsMax: 4 });
  assert.deepEqual(
    ["a", "b", "c"].map((version) => ledger.seen("credit", version)),
    ["new", "new", "full"],
  );
  register(ledger, "1");
  register(ledger, "2");
  assert.equal(ledger.records("credit").length, 4);
});
