// A target over a small machine of fixture files, sampled when the test says so.

import type { TestContext } from "node:test";
import { silentLog } from "../../src/kernel/log.ts";
import { createTarget, type Target, type TargetOptions, type TargetSample } from "../../src/watch/target.ts";
import { handClock } from "../support/hand-clock.ts";
import { fixture, type Fixture } from "./fixture.ts";

const EVERY_MS = 5000;

export interface Watching {
  readonly target: Target;
  readonly errors: string[];
  readonly said: string[];
  /** One sample later. */
  next(): Promise<TargetSample | null>;
  first(): Promise<TargetSample | null>;
}

/** A target over a fixture, with a clock that only the test moves. */
export function watching(t: TestContext, options: TargetOptions, { roots }: Fixture): Watching {
  const clock = handClock();
  const errors: string[] = [];
  const said: string[] = [];
  let onSample: (sample: TargetSample | null) => void = () => {};
  const log = {
    ...silentLog,
    info: (_fields: unknown, message: string) => void said.push(message),
    warn: (_fields: unknown, message: string) => void said.push(message),
  };
  const target = createTarget(options, {
    clock,
    log,
    everyMs: EVERY_MS,
    roots,
    onSample: (sample) => onSample(sample),
    onError: (reason) => errors.push(reason),
  });
  t.after(() => target.stop(1000));
  const sampled = async (act: () => unknown): Promise<TargetSample | null> => {
    const sample = new Promise<TargetSample | null>((resolve) => {
      onSample = resolve;
    });
    await act();
    const got = await sample;
    await new Promise((resolve) => setImmediate(resolve));
    return got;
  };
  return {
    target,
    errors,
    said,
    first: () => sampled(() => target.start()),
    next: () => sampled(() => clock.advance(EVERY_MS)),
  };
}

/** Nobody listens there. */
const NO_PAGE = { url: "http://127.0.0.1:1/metrics", tls: null };
export const PORT = {
  kind: "auto",
  port: 8000,
  host: "127.0.0.1",
  page: NO_PAGE,
} as const satisfies TargetOptions;

/** pid 1, a shell, and us; the model server comes from the test. */
export function machine(t: TestContext): Fixture {
  const fake = fixture(t);
  fake.put({ pid: 1, ppid: 0, name: "init" });
  fake.put({ pid: 50, ppid: 1, name: "bash" });
  fake.self({ pid: 900, ppid: 901, pgrp: 901, name: "node" });
  fake.put({ pid: 901, ppid: 50, name: "node" });
  fake.listening({ port: 8000, inode: "777" }, { port: 8001, inode: "778" });
  return fake;
}
