// Load on a sidecar whose every answer is checked, and the figures of the sidecar about it once they have settled.

import { Agent, request } from "undici";
import { sampleSum, until, type Sidecar } from "./sidecar.ts";

export interface LoadReport {
  readonly sent: number;
  readonly failed: number;
  readonly slowestMs: number;
}

/** Closed-loop load until told to stop: every answer is checked. */
export function startLoad(url: string, connections = 8): { stop: () => Promise<LoadReport> } {
  let over = false;
  let sent = 0;
  let failed = 0;
  let slowestMs = 0;
  const agent = new Agent({ connections });
  const one = async (): Promise<void> => {
    // A sidecar that is gone ends the load, too.
    while (!over && failed < 1000) {
      const startedAt = performance.now();
      sent += 1;
      try {
        const answer = await request(`${url}/invocations`, {
          method: "POST",
          body: '{"x":1}',
          dispatcher: agent,
        });
        const text = await answer.body.text();
        if (answer.statusCode !== 200 || text !== '{"predictions":[1.5]}') failed += 1;
      } catch {
        failed += 1;
      }
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    }
  };
  const all = Promise.all(Array.from({ length: connections }, one));
  return {
    stop: async () => {
      over = true;
      await all;
      await agent.close();
      return { sent, failed, slowestMs };
    },
  };
}

/** seen = recorded + dropped facts, once nothing is queued any more. */
export async function settled(
  sidecar: Sidecar,
  sent: number,
): Promise<{ seen: number; recorded: number; dropped: number }> {
  let figures = { seen: 0, recorded: 0, dropped: 0 };
  await until(async () => {
    const text = await sidecar.metrics();
    figures = {
      seen: sampleSum(text, "outrider_exchanges_seen_total"),
      recorded: sampleSum(text, "outrider_exchanges_recorded_total"),
      dropped: sampleSum(text, "outrider_queue_dropped_total", { what: "fact" }),
    };
    return (
      sampleSum(text, "outrider_observer_up") === 1 &&
      figures.seen === sent &&
      figures.recorded + figures.dropped === sent
    );
  }, 30_000).catch((thrown: unknown) => {
    throw new Error(`${JSON.stringify({ ...figures, sent })} ${sidecar.log().slice(-2000)}`, {
      cause: thrown,
    });
  });
  return figures;
}
