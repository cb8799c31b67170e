// The processes that the sidecar starts of itself. They have no command line to read, and load nothing of what reads one.

import type { CliIo } from "./io.ts";

type OwnProcess = (io: CliIo) => Promise<number>;

/** By the one word that each is started with; to the exit code. */
const OWN: Readonly<Record<string, OwnProcess>> = {
  observer: async ({ env, compiled }) => {
    const { runObserver } = await import("../observer.ts");
    return await runObserver(env, compiled);
  },
  "traffic-worker": async ({ env }) => {
    const { runTrafficWorker } = await import("../app/traffic-worker.ts");
    return await runTrafficWorker(env);
  },
};

/** null: it is a command of the user's. */
export function ownProcess(word: string | undefined): OwnProcess | null {
  return word !== undefined && Object.hasOwn(OWN, word) ? (OWN[word] ?? null) : null;
}
