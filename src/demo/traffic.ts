// The demo's callers: rows through the proxy at a steady mean rate, and labels to the API when the truth becomes known.

import type { Clock, Timer } from "../kernel/clock.ts";
import { Agent } from "../kernel/http.ts";
import { uuidv7 } from "../kernel/ids.ts";
import { UndoStack, type Part } from "../kernel/lifecycle.ts";
import type { Log } from "../kernel/log.ts";
import { post, type PostResult } from "./http-client.ts";
import { planLabels } from "./label-plan.ts";
import { createLabelSender, type LabelCounts, type LabelSender } from "./label-sender.ts";
import type { Demo } from "./models.ts";
import { planRequest, type PlannedRequest } from "./requests.ts";

export interface DemoTrafficOptions {
  readonly proxyUrl: string;
  readonly apiUrl: string;
  /** Of the API; null or absent: it needs none. */
  readonly token?: string | null;
  /** Mean; the gaps are random, as of independent callers. */
  readonly requestsPerSecond: number;
  /** Ends by itself after this long; null or absent: when stopped. */
  readonly seconds?: number | null;
}

export interface DemoTrafficNeeds {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly chance: () => number;
  readonly log: Log;
  readonly demo: Demo;
}

export interface DemoTrafficCounts {
  readonly requests: number;
  /** By status of the answer; `failed` for none. */
  readonly answers: Readonly<Record<string, number>>;
  /** Not sent because too many were under way. */
  readonly skipped: number;
  readonly labels: LabelCounts;
}

export interface DemoTraffic extends Part {
  counts(): DemoTrafficCounts;
}

/** More requests than this under way: the next ones are skipped and counted. */
const UNDER_WAY_MAX = 128;
const REQUEST_MS = 10_000;
const FLUSH_EVERY_MS = 500;
/** Share of the requests whose caller chose the id and sent the label first. */
const EARLY_SHARE = 0.02;
const EARLY_MS = 2000;

class Traffic implements DemoTraffic {
  readonly #options: DemoTrafficOptions;
  readonly #needs: DemoTrafficNeeds;
  readonly #undo: UndoStack;
  readonly #labels: LabelSender;
  readonly #answers = new Map<string, number>();
  #agent: InstanceType<typeof Agent> | null = null;
  #stopped = new AbortController();
  #next: Timer | null = null;
  readonly #early = new Set<Timer>();
  #requests = 0;
  #underWay = 0;
  #skipped = 0;

  constructor(options: DemoTrafficOptions, needs: DemoTrafficNeeds) {
    this.#options = options;
    this.#needs = needs;
    this.#undo = new UndoStack(needs.clock, needs.log);
    const { apiUrl, token = null } = options;
    const url = `${apiUrl}/v1/labels`;
    const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
    this.#labels = createLabelSender({
      clock: needs.clock,
      send: (body) => this.#post({ url, headers, body }),
    });
  }

  async start(): Promise<void> {
    if (this.#agent !== null) return;
    const { clock, log } = this.#needs;
    const agent = new Agent({ keepAlive: true, maxSockets: 32, maxFreeSockets: 32 });
    this.#agent = agent;
    this.#stopped = new AbortController();
    this.#undo.push("connections", () => {
      this.#stopped.abort();
      agent.destroy();
      this.#agent = null;
    });
    const flushing = clock.every(FLUSH_EVERY_MS, () => void this.#labels.flush());
    this.#undo.push("label timer", () => flushing.cancel());
    this.#undo.push("request timer", () => this.#next?.cancel());
    this.#undo.push("early predictions", () => {
      for (const timer of this.#early) timer.cancel();
      this.#underWay -= this.#early.size;
      this.#early.clear();
    });
    const { seconds } = this.#options;
    if (seconds !== null && seconds !== undefined) {
      const end = clock.after(seconds * 1000, () => {
        log.info({ ...this.counts().labels }, "demo traffic ends");
        void this.stop(0);
      });
      this.#undo.push("end timer", () => end.cancel());
    }
    this.#schedule();
    await Promise.resolve();
  }

  stop(deadlineMs: number): Promise<void> {
    return this.#undo.run(deadlineMs);
  }

  counts(): DemoTrafficCounts {
    return {
      requests: this.#requests,
      answers: Object.fromEntries(this.#answers),
      skipped: this.#skipped,
      labels: this.#labels.counts(),
    };
  }

  #schedule(): void {
    const { clock, chance } = this.#needs;
    const gapMs = (-Math.log(1 - chance()) / this.#options.requestsPerSecond) * 1000;
    this.#next = clock.after(gapMs, () => {
      this.#schedule();
      this.#begin();
    });
  }

  #begin(): void {
    const { chance, clock, demo } = this.#needs;
    if (this.#underWay >= UNDER_WAY_MAX) {
      this.#skipped++;
      return;
    }
    const planned = planRequest(demo.dataSets, chance);
    if (planned === null) return;
    if (chance() >= EARLY_SHARE) {
      void this.#predict(planned, null);
      return;
    }
    const id = uuidv7(clock.wallMs());
    this.#label(planned, { id, early: true });
    this.#underWay++;
    const waiting = clock.after(EARLY_MS, () => {
      this.#early.delete(waiting);
      this.#underWay--;
      void this.#predict(planned, id);
    });
    this.#early.add(waiting);
  }

  /** Asks for the prediction. With a chosen id its labels are already on their way. */
  async #predict(planned: PlannedRequest, chosenId: string | null): Promise<void> {
    const headers = chosenId === null ? {} : { "x-prediction-id": chosenId };
    this.#underWay++;
    this.#requests++;
    const url = this.#options.proxyUrl + planned.path;
    const result = await this.#post({ url, headers, body: planned.body });
    this.#underWay--;
    const status = result.kind === "answered" ? String(result.status) : "failed";
    this.#answers.set(status, (this.#answers.get(status) ?? 0) + 1);
    if (result.kind !== "answered" || result.status !== 200 || chosenId !== null) return;
    const id = result.headers["x-prediction-id"];
    if (typeof id === "string") this.#label(planned, { id, early: false });
  }

  #label(planned: PlannedRequest, { id, early }: { id: string; early: boolean }): void {
    const { chance, clock } = this.#needs;
    const { rows, binary } = planned;
    const nowMs = clock.wallMs();
    for (const [i, { target }] of rows.entries()) {
      const rowId = rows.length === 1 ? id : `${id}:${i}`;
      if (early) this.#labels.add([{ id: rowId, label: target, dueMs: nowMs, sends: 1, ts: null }]);
      else this.#labels.add(planLabels({ id: rowId, target, binary, nowMs }, chance));
    }
  }

  #post(what: { url: string; headers: Record<string, string>; body: string }): Promise<PostResult> {
    const agent = this.#agent;
    if (agent === null) return Promise.resolve({ kind: "failed", why: "stopped" });
    const { clock } = this.#needs;
    return post(what, { agent, clock, signal: this.#stopped.signal, withinMs: REQUEST_MS });
  }
}

/** Bounded on every side: requests under way, labels waiting, time of each request. `stop` cuts what is under way. */
export function createDemoTraffic(options: DemoTrafficOptions, needs: DemoTrafficNeeds): DemoTraffic {
  return new Traffic(options, needs);
}
