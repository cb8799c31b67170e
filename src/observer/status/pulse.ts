// The last hour in slices of ten seconds, for the status page: traffic, errors, probes, and what the model server used.

import type { Exchange } from "../../facts/exchange.ts";
import type { Pulse, PulseBin } from "../../facts/status.ts";
import { Latencies } from "./latencies.ts";

const BIN_MS = 10_000;
/** Bins that are kept: one hour, about 0.5 MB. Older ones are written over. */
const BINS = 360;

class Bin {
  /** Number of the slice since 1970; -1: never used. */
  slice = -1;
  requests = 0;
  clientErrors = 0;
  serverErrors = 0;
  ownErrors = 0;
  probes = 0;
  probesUp = 0;
  cpu: number | null = null;
  memoryBytes: number | null = null;
  readonly response = new Latencies();
  readonly firstByte = new Latencies();

  begin(slice: number): void {
    this.slice = slice;
    this.requests = this.clientErrors = this.serverErrors = this.ownErrors = 0;
    this.probes = this.probesUp = 0;
    this.cpu = this.memoryBytes = null;
    this.response.clear();
    this.firstByte.clear();
  }

  told(): PulseBin {
    return {
      at: this.slice * BIN_MS,
      requests: this.requests,
      clientErrors: this.clientErrors,
      serverErrors: this.serverErrors,
      ownErrors: this.ownErrors,
      responseTimeP50Ms: this.response.quantile(0.5),
      responseTimeP95Ms: this.response.quantile(0.95),
      firstByteP50Ms: this.firstByte.quantile(0.5),
      firstByteP95Ms: this.firstByte.quantile(0.95),
      up: this.probes === 0 ? null : this.probesUp / this.probes,
      cpu: this.cpu,
      memoryBytes: this.memoryBytes,
    };
  }
}

export interface PulseBook {
  exchange(exchange: Pick<Exchange, "clocks" | "outcome">, nowMs: number): void;
  probe(up: boolean, nowMs: number): void;
  target(sample: { readonly cpu: number | null; readonly memoryBytes: number | null }, nowMs: number): void;
  /** From the first slice that was used (an hour ago at most) to `nowMs`. */
  at(nowMs: number): Pulse;
}

class LastHour implements PulseBook {
  readonly #bins = Array.from({ length: BINS }, () => new Bin());

  /** The bin of this moment; null when the clock went back and its place is taken by a later one. */
  #bin(nowMs: number): Bin | null {
    const slice = Math.floor(nowMs / BIN_MS);
    const bin = this.#bins[((slice % BINS) + BINS) % BINS];
    if (bin === undefined || bin.slice > slice) return null;
    if (bin.slice < slice) bin.begin(slice);
    return bin;
  }

  exchange({ clocks, outcome }: Pick<Exchange, "clocks" | "outcome">, nowMs: number): void {
    const bin = this.#bin(nowMs);
    if (bin === null) return;
    bin.requests++;
    if (outcome === "client_error") bin.clientErrors++;
    else if (outcome === "server_error") bin.serverErrors++;
    else if (outcome !== "ok" && outcome !== "client_abort") bin.ownErrors++;
    bin.response.add(clocks.endMs);
    if (clocks.firstByteMs !== null) bin.firstByte.add(clocks.firstByteMs);
  }

  probe(up: boolean, nowMs: number): void {
    const bin = this.#bin(nowMs);
    if (bin === null) return;
    bin.probes++;
    if (up) bin.probesUp++;
  }

  target(sample: { readonly cpu: number | null; readonly memoryBytes: number | null }, nowMs: number): void {
    const bin = this.#bin(nowMs);
    if (bin === null) return;
    bin.cpu = sample.cpu;
    bin.memoryBytes = sample.memoryBytes;
  }

  at(nowMs: number): Pulse {
    const last = Math.floor(nowMs / BIN_MS);
    const used = this.#bins.filter(({ slice }) => slice > last - BINS && slice <= last);
    const first = Math.min(last, ...used.map(({ slice }) => slice));
    const known = new Map(used.map((bin) => [bin.slice, bin]));
    const empty = new Bin();
    const bins = Array.from({ length: last - first + 1 }, (_, i) => {
      const bin = known.get(first + i) ?? empty;
      return { ...bin.told(), at: (first + i) * BIN_MS };
    });
    return { binMs: BIN_MS, bins };
  }
}

export function createPulse(): PulseBook {
  return new LastHour();
}
