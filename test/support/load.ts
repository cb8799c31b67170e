// Load on a sidecar whose every answer is checked, and the figures of the sidecar about it once they have settled.

import { Agent, request } from "undici";
import { sampleSum, until, type Sidecar } from "./sidecar.ts";

export interface LoadReport {
  readonly sent: number;
  readonly failed: number;
}

export interface Load {
  /** Requests that have been answered so far. */
  answered(): number;
  stop(): Promise<LoadReport>;
}

/** Closed-loop load until told to stop: every answer is checked. */
export function startLoad(url: string, connections = 8): Load {
  let over = false;
  let sent = 0;
  let failed = 0;
  let answered = 0;
  const agent = new Agent({ connections });
  const one = async (): Promise<void> => {
    // A sidecar that is gone ends the load, too.
    while (!over && failed < 1000) {
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
      answered += 1;
    }
  };
  const all = Promise.all(Array.from({ length: connections }, one));
  return {
    answered: () => answered,
    stop: async () => {
      over = true;
      await all;
      await agent.close();
      return { sent, failed };
    },
  };
}

/** Until `count` further requests have been answered. */
export async function further(load: Load, count: number): Promise<void> {
  const before = load.answered();
  await until(() => load.answered() >= before + count);
}

/** seen = recorded + dropped facts, once nothing is queued any more. */
export async function settled(
  sidecar: Sidecar,
  sent: number,
): Promise<{ seen: number; recorded: number; dropped: number }> {
  let figures = { seen: 0, recorded: 0, dropped: 0 };
  await until(async () => {
    const text = await sidecar.scrape();
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
  }).catch((thrown: unknown) => {
    throw new Error(`${JSON.stringify({ ...figures, sent })} ${sidecar.log().slice(-2000)}`, {
      cause: thrown,
    });
  });
  return figures;
}
