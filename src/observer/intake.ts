// Exchanges in, facts recorded: read, count, store, acknowledge. Every exchange is counted; predictions also go to the ledger.
// A batch is worked off in pieces with pauses, so that the traffic process does not wait for a core while all of it is read (decision 0065).

import type { Exchange } from "../facts/exchange.ts";
import type { ExchangeRecord, Prediction } from "../facts/prediction.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { messageOf } from "../kernel/problem.ts";
import type { InputDesk, ReadInputs } from "./inputs.ts";

/** What was read of an exchange (the observe room's Reading, in our words). */
export interface ReadExchange {
  readonly kind: "predictions" | "none" | "unreadable";
  readonly model: string;
  readonly version: string;
  readonly route: string;
  readonly aliases: readonly string[];
  readonly predictions: readonly Prediction[];
  readonly failure: { readonly reason: string; readonly detail: string } | null;
  readonly generation: ReadGeneration | null;
  readonly inputs?: ReadInputs;
}

/** What was generated or streamed (the observe room's Generation, in our words). */
export interface ReadGeneration {
  readonly operation: string | null;
  readonly requestModel: string | null;
  readonly firstTokenMs: number | null;
  readonly perTokenMs: number | null;
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly events: number | null;
}

export type Stored =
  | { readonly kind: "kept"; readonly conflicts: number }
  | { readonly kind: "refused"; readonly cause: string };

export interface IntakeNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly read: (exchange: Exchange) => ReadExchange;
  /** The models' tasks may follow from what they say. */
  readonly learn: (model: string, predictions: readonly Prediction[]) => void;
  readonly count: (exchange: Exchange, read: ReadExchange) => void;
  readonly countUnreadable: (model: string, reason: string) => void;
  readonly record: (records: readonly ExchangeRecord[], batch: number) => Promise<Stored>;
  readonly acknowledge: (batch: number, notStored: number) => void;
  readonly inputs: Pick<InputDesk, "expect" | "settle">;
}

export interface Intake {
  /** Begins at once, and ends within some milliseconds. */
  facts(batch: number, exchanges: readonly Exchange[]): void;
  /** Everything that was handed in has been read and counted when it returns. */
  catchUp(): void;
  /** Resolves when everything taken in has been acknowledged. */
  idle(): Promise<void>;
}

/** One example per model and reason is logged; at most so many of them. */
const EXAMPLES_MAX = 200;
/** A piece takes this long, by a clock that is read every few exchanges: each further one begins in cold caches. */
const PIECE_MS = 2;
const STEP = 8;
/** Or longer where more waits: this share of it, so that a batch is done before the next one comes. */
const PIECE_SHARE = 1 / 4;
const PAUSE_MS = 3;
/** With more batches than this we are behind: no pauses, and the traffic process sees that we do not read. */
const BATCHES_MAX = 4;

/** A batch that is being worked off. */
interface Taking {
  readonly batch: number;
  readonly exchanges: readonly Exchange[];
  readonly records: ExchangeRecord[];
  taken: number;
}

class ExchangeIntake implements Intake {
  readonly #needs: IntakeNeeds;
  readonly #told = new Set<string>();
  readonly #pending = new Set<Promise<void>>();
  /** In order; the first may be half done. */
  readonly #taking: Taking[] = [];
  /** Exchanges of these that are still to be read. */
  #waiting = 0;
  #pause: Timer | null = null;

  constructor(needs: IntakeNeeds) {
    this.#needs = needs;
  }

  facts(batch: number, exchanges: readonly Exchange[]): void {
    this.#taking.push({ batch, exchanges, records: [], taken: 0 });
    this.#waiting += exchanges.length;
    if (this.#taking.length > BATCHES_MAX) this.catchUp();
    else if (this.#pause === null) this.#piece();
  }

  catchUp(): void {
    this.#pause?.cancel();
    this.#pause = null;
    this.#work(this.#waiting);
  }

  #piece(): void {
    const { clock } = this.#needs;
    const until = clock.monotonicMs() + PIECE_MS;
    this.#work(Math.max(STEP, Math.ceil(this.#waiting * PIECE_SHARE)));
    while (this.#taking.length > 0 && clock.monotonicMs() < until) this.#work(STEP);
    if (this.#taking.length === 0) return;
    this.#pause = clock.after(PAUSE_MS, () => {
      this.#pause = null;
      this.#piece();
    });
  }

  /** Takes the next `count` exchanges, and ends the batches that are through. */
  #work(count: number): void {
    let left = count;
    for (let first = this.#taking[0]; first !== undefined; first = this.#taking[0]) {
      const until = Math.min(first.exchanges.length, first.taken + left);
      const piece = first.exchanges.slice(first.taken, until);
      first.taken = until;
      left -= piece.length;
      this.#waiting -= piece.length;
      for (const exchange of piece) {
        const read = this.#take(exchange);
        if (read !== null && read.kind === "predictions") first.records.push(recordOf(exchange, read));
      }
      if (first.taken < first.exchanges.length) return;
      this.#taking.shift();
      if (first.records.length === 0) this.#needs.acknowledge(first.batch, 0);
      else this.#store(first.batch, first.records);
    }
  }

  #store(batch: number, records: readonly ExchangeRecord[]): void {
    const done = this.#needs
      .record(records, batch)
      .catch((thrown: unknown): Stored => ({ kind: "refused", cause: messageOf(thrown) }))
      .then((stored) => {
        this.#needs.acknowledge(batch, stored.kind === "kept" ? 0 : records.length);
      })
      .finally(() => {
        for (const { predictions } of records) this.#needs.inputs.settle(predictions);
        this.#pending.delete(done);
      });
    this.#pending.add(done);
  }

  /** Null when reading it failed by a bug of ours: one exchange must not take the observer down. */
  #take(exchange: Exchange): ReadExchange | null {
    try {
      const read = this.#needs.read(exchange);
      this.#needs.count(exchange, read);
      if (read.failure !== null) this.#unreadable(exchange, read.model, read.failure);
      if (read.kind === "predictions") this.#needs.learn(read.model, read.predictions);
      if (read.inputs !== undefined) this.#needs.inputs.expect(read.predictions, read.inputs);
      return read;
    } catch (thrown) {
      this.#unreadable(exchange, "", { reason: "internal", detail: messageOf(thrown) });
      return null;
    }
  }

  #unreadable(exchange: Exchange, model: string, failure: { reason: string; detail: string }): void {
    this.#needs.countUnreadable(model, failure.reason);
    const key = `${model} ${failure.reason}`;
    if (this.#told.has(key) || this.#told.size >= EXAMPLES_MAX) return;
    this.#told.add(key);
    this.#needs.log.warn(
      {
        model,
        ...failure,
        method: exchange.method,
        path: exchange.target.split("?")[0]?.slice(0, 200),
        status: exchange.status,
      },
      "no prediction could be read; further ones of this kind are only counted (outrider_prediction_extract_failures_total)",
    );
  }

  async idle(): Promise<void> {
    this.catchUp();
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }
}

function recordOf(exchange: Exchange, read: ReadExchange): ExchangeRecord {
  return {
    id: exchange.id,
    aliases: read.aliases,
    model: read.model,
    version: read.version,
    ts: Math.floor(exchange.startedAtMs),
    traceId: exchange.trace.traceId,
    method: exchange.method,
    route: read.route,
    status: exchange.status,
    durationMs: exchange.clocks.endMs,
    ttfbMs: exchange.clocks.firstByteMs,
    predictions: read.predictions,
  };
}

export function createIntake(needs: IntakeNeeds): Intake {
  return new ExchangeIntake(needs);
}
