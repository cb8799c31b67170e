// The observer process put together, in road order: exchanges in, observe, ledger, measure, telemetry, watch, api.

import { Socket } from "node:net";
import { createLogger } from "./app/logger.ts";
import type { ObserverState } from "./facts/road.ts";
import { systemClock } from "./kernel/clock.ts";
import type { CompiledCode } from "./kernel/compiled-code.ts";
import type { Log } from "./kernel/log.ts";
import { messageOf } from "./kernel/problem.ts";
import { createObserver, type Observer } from "./observer/observer.ts";
import { createRoad, type Road } from "./observer/road.ts";

/** Descriptor of the socket pair that the traffic process opened for us. */
const ROAD_FD = 3;
const BEAT_MS = 1000;
/** After it is ready: what waited for that is done by then. One that is killed later leaves its code to the next. */
const KEEP_COMPILED_MS = 3000;

/** Lives until the traffic process says stop, or is gone. Resolves to the exit code. */
export async function runObserver(
  env: Readonly<Record<string, string | undefined>>,
  compiled: CompiledCode | null,
): Promise<number> {
  const log = createLogger("observer", env["LOG_LEVEL"] ?? "info");
  const clock = systemClock;
  // A signal to the process group is the traffic process's to handle: it tells us when to stop.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
  const socket = new Socket({ fd: ROAD_FD, readable: true, writable: true });
  let observer: Observer | null = null;
  return await new Promise<number>((resolve) => {
    let stopping = false;
    const stop = (deadlineMs: number): void => {
      if (stopping) return;
      stopping = true;
      void endAll(observer, { road, deadlineMs }).then(() => resolve(0));
    };
    const road: Road = createRoad(socket, {
      opening: (opening) => {
        observer = createObserver(opening, {
          clock,
          log,
          env,
          road,
          compiledBytes: () => compiled?.bytes ?? 0,
        });
        observer
          .start()
          .then(() => {
            if (compiled !== null) clock.after(KEEP_COMPILED_MS, () => void keep(compiled, log));
          })
          .catch((thrown: unknown) => {
            log.error({ error: messageOf(thrown) }, "observer could not start");
            resolve(1);
          });
        clock.every(BEAT_MS, () => tellState(road, observer?.state()));
      },
      facts: (batch, exchanges) => observer?.facts(batch, exchanges),
      stats: (stats) => observer?.stats(stats),
      metrics: (accept, encoding) =>
        observer?.metrics(accept, encoding) ?? Promise.reject(new Error("not open")),
      stop,
    });
  });
}

async function keep(compiled: CompiledCode, log: Log): Promise<void> {
  const whyNot = await compiled.keep();
  if (whyNot === null) log.debug({ bytes: compiled.bytes }, "compiled code is kept for the next start");
  else log.info({ whyNot }, "compiled code is not kept in the store");
}

function tellState(road: Road, state: ObserverState | undefined): void {
  if (state !== undefined) road.state(state);
}

async function endAll(observer: Observer | null, end: { road: Road; deadlineMs: number }): Promise<void> {
  await observer?.stop(end.deadlineMs);
  await end.road.close();
}
