// How long readiness waits for versions that a poll or a registry tells.

import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { asksForVersions, VERSION_WAIT_MS, VersionWait } from "../../src/app/version-wait.ts";
import { loadConfig } from "../../src/config/config.ts";
import { silentLog, type Log } from "../../src/kernel/log.ts";
import { handClock } from "../support/hand-clock.ts";

function waiting(): { wait: VersionWait; clock: ReturnType<typeof handClock>; warnings: string[] } {
  const clock = handClock();
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (_fields, text) => warnings.push(text) };
  const wait = new VersionWait({ clock, log });
  wait.start();
  return { wait, clock, warnings };
}

test("it is waited until every model's version was answered for, and never again", () => {
  const { wait, clock, warnings } = waiting();
  assert.equal(wait.over, false);
  assert.match(wait.state().why ?? "", /the observer has not told yet .* waiting until 2026-01-14T00:00:05/);
  wait.told(["credit", "churn"]);
  assert.match(wait.state().why ?? "", /credit, churn; waiting/);
  wait.told(["churn"]);
  assert.equal(wait.over, false);
  clock.advance(1500);
  wait.told([]);
  assert.equal(wait.over, true);
  assert.deepEqual(wait.state(), { state: "ok", why: null, since: "2026-01-14T00:00:01.500Z" });
  // Another observer, that has heard of none.
  wait.told(["credit"]);
  assert.equal(wait.over, true);
  assert.match(wait.state().why ?? "", /credit; the last one noted is taken/);
  clock.advance(VERSION_WAIT_MS);
  assert.deepEqual(warnings, []);
});

test("after the time for it traffic may come all the same; the log and the state say what is missing", () => {
  const { wait, clock, warnings } = waiting();
  wait.told(Array.from({ length: 7 }, (_, i) => `m${i}`));
  clock.advance(VERSION_WAIT_MS - 1);
  assert.equal(wait.over, false);
  clock.advance(1);
  assert.equal(wait.over, true);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /ready without a version: .* m0, m1, m2, m3, m4 and 2 more/);
  assert.equal(wait.state().state, "degraded");
  wait.told([]);
  assert.equal(wait.state().state, "ok");
});

test("an observer that never tells anything keeps no traffic away", () => {
  const { wait, clock } = waiting();
  clock.advance(VERSION_WAIT_MS);
  assert.equal(wait.over, true);
  assert.match(wait.state().why ?? "", /the observer has not told yet/);
});

test("only a poll or a registry is waited for", () => {
  const asks = (models: unknown, registries: unknown = []): boolean => {
    const env = { OUTRIDER_MODELS: JSON.stringify(models), OUTRIDER_REGISTRIES: JSON.stringify(registries) };
    const flags = { upstream: "http://127.0.0.1:1" };
    return asksForVersions(loadConfig({ flags, env, file: null, cwd: tmpdir() }).config);
  };
  const mlflow = [{ type: "mlflow", url: "http://127.0.0.1:2" }];
  assert.equal(asks([]), false);
  assert.equal(asks([], mlflow), false);
  assert.equal(asks([{ name: "m" }]), false);
  assert.equal(asks([{ name: "m", version: { static: "1" } }], mlflow), false);
  assert.equal(asks([{ name: "m" }], mlflow), true);
  assert.equal(asks([{ name: "m", version: { registry: "mlflow" } }], mlflow), true);
  assert.equal(asks([{ name: "m", version: { poll: { path: "/v", at: "$.v" } } }]), true);
});
