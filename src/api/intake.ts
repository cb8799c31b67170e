// Labels of one request on their way to the ledger: batched, a few batches in flight, outcomes tallied in order.

import type { LabelEvent, LabelOutcome, LabelResult } from "../facts/label.ts";
import type { Clock, Timer } from "../kernel/clock.ts";
import type { ApiNeeds, LabelsKept } from "./contract.ts";

export const BATCH_EVENTS_MAX = 2_000;
const BATCH_BYTES_MAX = 1024 * 1024;
const FLIGHTS_MAX = 3;
export const ERRORS_MAX = 100;

export interface LabelError {
  readonly line: number;
  readonly code: string;
  readonly message: string;
}

/** The answer to POST /v1/labels. */
export type Tally = { readonly received: number } & Readonly<Record<LabelResult, number>> & {
    readonly errors: readonly LabelError[];
  };

/** Why labels were not kept: the ledger's cause and words, or our own clock. */
export interface StoreFailure {
  readonly kind: "refused" | "timeout";
  readonly cause: string;
  readonly message: string;
}

interface Batch {
  readonly events: LabelEvent[];
  readonly lines: number[];
  bytes: number;
}

type Settled = LabelsKept | { readonly kind: "threw"; readonly thrown: unknown } | { readonly kind: "late" };

interface Flight {
  readonly lines: readonly number[];
  readonly settled: Promise<Settled>;
}

export interface LabelIntake {
  add(event: LabelEvent, line: number, bytes: number): void;
  reject(outcome: LabelOutcome, line: number): void;
  /** Sends what is due and waits where the ledger is behind. "stop": the store refuses, reading on is useless. */
  flow(): Promise<"go-on" | "stop">;
  /** Sends the rest, unless the store refused before, and waits for every answer. */
  finish(): Promise<void>;
  /** Waits for what was sent already; the rest is dropped. */
  abandon(): Promise<void>;
  readonly failure: StoreFailure | null;
  tally(): Tally;
}

export interface IntakeNeeds extends Pick<ApiNeeds, "labels" | "countLabel"> {
  readonly clock: Clock;
  readonly storeTimeoutMs: number;
}

function emptyBatch(): Batch {
  return { events: [], lines: [], bytes: 0 };
}

class Intake implements LabelIntake {
  readonly #needs: IntakeNeeds;
  #open: Batch = emptyBatch();
  /** Full batches of the chunk being read; a chunk is small, so this stays short. */
  #sealed: Batch[] = [];
  #flights: Flight[] = [];
  #failure: StoreFailure | null = null;
  #received = 0;
  readonly #counts: Record<LabelResult, number> = {
    joined: 0,
    waiting: 0,
    duplicate: 0,
    corrected: 0,
    stale: 0,
    retracted: 0,
    rejected: 0,
  };
  // Two lists, each in line order and capped, so that the first hundred of all can be told at the end.
  readonly #unreadable: LabelError[] = [];
  readonly #refused: LabelError[] = [];

  constructor(needs: IntakeNeeds) {
    this.#needs = needs;
  }

  get failure(): StoreFailure | null {
    return this.#failure;
  }

  add(event: LabelEvent, line: number, bytes: number): void {
    this.#received++;
    const batch = this.#open;
    batch.events.push(event);
    batch.lines.push(line);
    batch.bytes += bytes;
    if (batch.events.length >= BATCH_EVENTS_MAX || batch.bytes >= BATCH_BYTES_MAX) this.#seal();
  }

  reject(outcome: LabelOutcome, line: number): void {
    this.#received++;
    this.#count(outcome, line, this.#unreadable);
  }

  async flow(): Promise<"go-on" | "stop"> {
    // An idle ledger gets what there is: a slow sender's labels must not wait for a full batch.
    if (this.#flights.length === 0 && this.#open.events.length > 0) this.#seal();
    while (this.#failure === null && this.#sealed.length > 0) {
      if (this.#flights.length >= FLIGHTS_MAX) await this.#land();
      else this.#launch();
    }
    await this.#landSettled();
    return this.#failure === null ? "go-on" : "stop";
  }

  async finish(): Promise<void> {
    if (this.#open.events.length > 0) this.#seal();
    await this.flow();
    await this.abandon();
  }

  async abandon(): Promise<void> {
    while (this.#flights.length > 0) await this.#land();
  }

  tally(): Tally {
    const errors = [...this.#unreadable, ...this.#refused].toSorted((a, b) => a.line - b.line);
    return { received: this.#received, ...this.#counts, errors: errors.slice(0, ERRORS_MAX) };
  }

  #seal(): void {
    this.#sealed.push(this.#open);
    this.#open = emptyBatch();
  }

  #launch(): void {
    const batch = this.#sealed.shift();
    if (batch === undefined) return;
    const { lines } = batch;
    this.#flights.push({ lines, settled: this.#settle(batch.events) });
  }

  /** Never rejects: a flight may be waited for long after it has failed. */
  async #settle(events: readonly LabelEvent[]): Promise<Settled> {
    let timer: Timer | null = null;
    const late = new Promise<Settled>((resolve) => {
      timer = this.#needs.clock.after(this.#needs.storeTimeoutMs, () => resolve({ kind: "late" }));
    });
    try {
      return await Promise.race([this.#needs.labels(events), late]);
    } catch (thrown) {
      return { kind: "threw", thrown };
    } finally {
      (timer as Timer | null)?.cancel();
    }
  }

  /** Takes in answers that are there already, so that the next batch may leave. */
  async #landSettled(): Promise<void> {
    const pending: unique symbol = Symbol("pending");
    for (let oldest = this.#flights[0]; oldest !== undefined; oldest = this.#flights[0]) {
      const state = await Promise.race([oldest.settled, Promise.resolve(pending)]);
      if (state === pending) return;
      await this.#land();
    }
  }

  async #land(): Promise<void> {
    const flight = this.#flights.shift();
    if (flight === undefined) return;
    const settled = await flight.settled;
    switch (settled.kind) {
      case "kept":
        this.#countAll(settled.outcomes, flight.lines);
        return;
      case "refused":
        this.#failure ??= { kind: "refused", cause: settled.cause, message: settled.message };
        return;
      case "late":
        this.#failure ??= { kind: "timeout", cause: "timeout", message: "the store did not answer in time" };
        return;
      case "threw":
        throw settled.thrown;
    }
  }

  /** The ledger says the same of many labels with one object: they are counted together. */
  #countAll(outcomes: readonly LabelOutcome[], lines: readonly number[]): void {
    for (let from = 0, at = 1; from < outcomes.length; from = at, at++) {
      const outcome = outcomes[from];
      if (outcome === undefined) return;
      if (outcome.result === "rejected") {
        this.#count(outcome, lines[from] ?? 0, this.#refused);
        continue;
      }
      while (outcomes[at] === outcome) at++;
      this.#counts[outcome.result] += at - from;
      this.#needs.countLabel(outcome, at - from);
    }
  }

  #count(outcome: LabelOutcome, line: number, errors: LabelError[]): void {
    this.#counts[outcome.result]++;
    this.#needs.countLabel(outcome, 1);
    if (outcome.result !== "rejected" || errors.length >= ERRORS_MAX) return;
    errors.push({ line, code: outcome.code ?? "rejected", message: outcome.message ?? "refused" });
  }
}

export function createIntake(needs: IntakeNeeds): LabelIntake {
  return new Intake(needs);
}
