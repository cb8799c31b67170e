// CPU and memory as the model server's own /metrics tells them: where its process is hidden from us (a pod without a shared
// process namespace, another container) that is all there is. Bounded in time and bytes.
// asking -> waiting (no answer or no figures: asked again later and later) -> asking; or -> given up (several processes answer).

import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { afterReading, type Clock } from "../kernel/clock.ts";
import { request as httpRequest } from "../kernel/http.ts";
import { ContinuedCounter } from "./accounts.ts";
import { parseFigures, type PageFigures } from "./page-figures.ts";
import { NOTHING, type Reading } from "./sample.ts";
import { wayOf, type Place } from "./way.ts";

/** Why the page gave nothing; values of `reason` in `outrider_target_scrape_errors_total`. */
export type PageMissing =
  | "metrics_unreachable"
  | "metrics_missing"
  | "metrics_too_large"
  | "several_processes";

export type PageLook = { readonly reading: Reading } | { readonly missing: PageMissing };

export interface PageReader {
  look(): Promise<PageLook>;
  readonly restarts: number;
}

const ANSWER_MS = 2000;
const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** Looks left out after a failure double up to this: with one each 5 s, who has no page is asked every 5 minutes, who is down each minute. */
const WAIT_LOOKS_MAX = { answered: 64, unreachable: 12 };
/** Start times are computed from the machine's boot time, which wobbles by a second. */
const SAME_START_SECONDS = 2.5;
/** Lives remembered; an older one that comes back is taken for a restart. */
const LIVES_MAX = 64;
const SOON_ANSWERS = 12;

type Answer = { readonly text: string } | { readonly missing: PageMissing };

function bodyOf(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    response.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= BODY_BYTES_MAX) return;
      resolve({ missing: "metrics_too_large" });
      response.destroy();
    });
    response.on("end", () => resolve({ text: Buffer.concat(chunks).toString() }));
    response.on("error", reject);
  });
}

function get(place: Place, signal: AbortSignal): Promise<Answer> {
  const { options, secure } = wayOf(place);
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)({ ...options, signal });
    request.on("response", (response) => {
      if (response.statusCode === 200) {
        bodyOf(response).then(resolve, reject);
        return;
      }
      response.destroy();
      resolve({ missing: "metrics_missing" });
    });
    request.on("upgrade", (_response, socket) => {
      socket.destroy();
      resolve({ missing: "metrics_missing" });
    });
    request.on("error", reject);
    request.end();
  });
}

class MetricsPage implements PageReader {
  readonly #place: Place;
  readonly #clock: Clock;
  readonly #cpu = new ContinuedCounter();
  /** Start times seen, the newest last. */
  readonly #lives: number[] = [];
  #lastCpu: number | null = null;
  #answers = 0;
  #fellAt = Number.NEGATIVE_INFINITY;
  #last: PageMissing | null = null;
  #failures = 0;
  #toSkip = 0;
  restarts = 0;

  constructor(place: Place, clock: Clock) {
    this.#place = place;
    this.#clock = clock;
  }

  async look(): Promise<PageLook> {
    if (this.#last === "several_processes") return { missing: this.#last };
    if (this.#last !== null && this.#toSkip > 0) {
      this.#toSkip--;
      return { missing: this.#last };
    }
    const missing = await this.#ask();
    if (typeof missing !== "string") {
      this.#last = null;
      this.#failures = 0;
      return missing;
    }
    this.#last = missing;
    const most = missing === "metrics_unreachable" ? WAIT_LOOKS_MAX.unreachable : WAIT_LOOKS_MAX.answered;
    this.#toSkip = Math.min(most, 2 ** this.#failures++) - 1;
    return { missing };
  }

  async #ask(): Promise<{ readonly reading: Reading } | PageMissing> {
    const answer = await this.#fetch();
    if ("missing" in answer) return answer.missing;
    const figures = parseFigures(answer.text);
    if (typeof figures === "string") return figures;
    return this.#meet(figures) ? { reading: this.#reading(figures) } : "several_processes";
  }

  async #fetch(): Promise<Answer> {
    const late = new AbortController();
    const timer = afterReading(this.#clock, ANSWER_MS, () => late.abort());
    try {
      return await get(this.#place, late.signal);
    } catch {
      return { missing: "metrics_unreachable" };
    } finally {
      timer.cancel();
    }
  }

  /**
   * False when the answers come from several processes in turn (workers behind one port, replicas behind one name): a life
   * that was over is back, or the time that one life used went down. No single counter tells of those.
   */
  #meet({ startedAt, cpuSeconds }: PageFigures): boolean {
    const fell = cpuSeconds !== null && this.#lastCpu !== null && cpuSeconds < this.#lastCpu;
    this.#lastCpu = cpuSeconds;
    this.#answers++;
    if (startedAt === null) return this.#meetUndated(fell);
    const isSame = (life: number): boolean => Math.abs(life - startedAt) <= SAME_START_SECONDS;
    const last = this.#lives.at(-1);
    if (last !== undefined && isSame(last)) return !fell;
    if (this.#lives.some(isSame)) return false;
    if (last !== undefined) this.restarts++;
    this.#lives.push(startedAt);
    if (this.#lives.length > LIVES_MAX) this.#lives.shift();
    return true;
  }

  /** Without a start time a smaller figure is taken for a new life; two of them soon after one another are not. */
  #meetUndated(fell: boolean): boolean {
    if (!fell) return true;
    const soon = this.#answers - this.#fellAt < SOON_ANSWERS;
    this.#fellAt = this.#answers;
    if (!soon) this.restarts++;
    return !soon;
  }

  #reading({ cpuSeconds, rssBytes }: PageFigures): Reading {
    const life = String(this.#lives.at(-1) ?? "");
    return {
      ...NOTHING,
      source: "metrics",
      cpuSecondsTotal: cpuSeconds === null ? null : this.#cpu.add(cpuSeconds, life),
      memoryBytes: { rss: rssBytes, workingSet: null },
      processes: null,
      pids: [],
    };
  }
}

export function createPageReader(place: Place, clock: Clock): PageReader {
  return new MetricsPage(place, clock);
}
