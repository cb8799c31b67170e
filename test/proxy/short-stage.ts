// One scripted story, played through a proxy over real sockets: all that anybody outside sees of it, step by step.
// Time is the story's, and after each step all is still before it is told what came of it: two ways of relaying can be compared.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { TLSSocket, connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { EndedBody, EndedExchange } from "../../src/facts/exchange.ts";
import type { HeaderFilter } from "../../src/facts/header-filter.ts";
import {
  createProxy,
  type Proxy,
  type ProxyOptions,
  type ProxyStats,
  type RelaySnapshot,
} from "../../src/proxy/proxy.ts";
import type { Pair } from "../support/certificates.ts";
import { LIMITS, crossed, endOfRequest, eventually, heldClock, pause } from "./support.ts";

export type Does = "end" | "reset" | "pause" | "resume";

/** `at`: clients by their number in the script, connections of the model in the order it accepted them. Whoever is gone does nothing. */
/** Bytes, and those that follow them with the next, or with "rest". */
interface Bytes {
  readonly bytes: string;
  readonly later?: string;
}

export interface Seen {
  readonly stats: ProxyStats;
  readonly got: (client: number) => string;
  readonly closed: (client: number) => boolean;
}

export type Step =
  | ({ readonly kind: "client" | "model"; readonly at: number } & Bytes)
  | { readonly kind: "client" | "model"; readonly at: number; readonly does: Does }
  /** The model answers what it has not answered yet: on every connection, or on the `pick`-th of those. */
  | ({ readonly kind: "answers"; readonly pick?: number } & Bytes)
  /** The `pick`-th of those whose bytes have not all been sent goes on. */
  | { readonly kind: "rest"; readonly pick: number }
  /** The model answers whatever comes, at once. */
  | { readonly kind: "always"; readonly bytes: string }
  /** The model takes no more connections. */
  | { readonly kind: "gone" }
  | { readonly kind: "time"; readonly ms: number }
  | { readonly kind: "rules"; readonly rules: RelaySnapshot }
  | { readonly kind: "stop"; readonly withinMs: number }
  /** Waits for what a timer brings. */
  | { readonly kind: "until"; readonly holds: (seen: Seen) => boolean }
  /** Nothing is told from here on. */
  | { readonly kind: "shut" }
  /** It is told again: all that has come meanwhile, or of all exchanges the last one alone, where how many there were is the system's. */
  | { readonly kind: "open"; readonly tells: "all" | "last" }
  /** At once: nothing is read in between. */
  | { readonly kind: "together"; readonly steps: readonly Step[] };

export interface Setting {
  readonly options?: Partial<Pick<ProxyOptions, "host" | "limits" | "maxConnections" | "responseTimeoutMs">>;
  readonly rules?: RelaySnapshot;
  readonly observed?: HeaderFilter;
  /** Facts are made when the story is over, of all its exchanges; default: after each step. */
  readonly sealedLast?: boolean;
  /** Both ways are TLS, with this certificate of `localhost`. */
  readonly tls?: Pair;
}

export interface Story extends Setting {
  readonly name: string;
  readonly steps: readonly Step[];
}

export const sends = (at: number, ...bytes: string[]): Step[] =>
  bytes.map((one): Step => ({ kind: "client", at, bytes: one }));
export const client = (at: number, does: Does): Step => ({ kind: "client", at, does });
export const says = (at: number, ...bytes: string[]): Step[] =>
  bytes.map((one): Step => ({ kind: "model", at, bytes: one }));
export const model = (at: number, does: Does): Step => ({ kind: "model", at, does });
export const answers = (bytes: string, pick?: number): Step => ({
  kind: "answers",
  bytes,
  ...(pick === undefined ? {} : { pick }),
});
export const together = (...steps: Step[]): Step => ({ kind: "together", steps });
export const time = (ms: number): Step => ({ kind: "time", ms });
export const until = (holds: (seen: Seen) => boolean): Step => ({ kind: "until", holds });
export const stop = (withinMs: number): Step => ({ kind: "stop", withinMs });

const STARTED_AT_MS = Date.UTC(2026, 10, 28, 1, 2, 3);
/** Looks at the loop between which nothing happens, until all is still. */
const QUIET_LOOKS = 3;
const TURNS = 4;

/** One end of a connection that the script holds. */
class End {
  readonly socket: Socket;
  readonly #name: string;
  readonly #onEvent: () => void;
  #got: Buffer[] = [];
  #news: string[] = [];
  /** Latin-1. */
  text = "";
  /** Where the first request begins that was not answered. */
  #answeredTo = 0;
  /** What it sends next. */
  later = "";

  constructor(name: string, socket: Socket, onEvent: () => void) {
    this.#name = name;
    this.socket = socket;
    this.#onEvent = onEvent;
    socket.on("data", (chunk: Buffer) => {
      this.#got.push(chunk);
      this.text += chunk.toString("latin1");
      onEvent();
    });
    // Which of the system's errors it was depends on who was quicker.
    for (const event of ["end", "error", "close"] as const) socket.on(event, () => this.#tell(event));
  }

  #tell(what: string): void {
    this.#news.push(what);
    this.#onEvent();
  }

  get gone(): boolean {
    return this.socket.destroyed || this.socket.writableEnded;
  }

  /** A whole request has come that nothing was said to. */
  get asked(): boolean {
    return !this.gone && endOfRequest(this.text.slice(this.#answeredTo)) > 0;
  }

  send({ bytes, later = "" }: Bytes): void {
    if (this.gone) return;
    const end = endOfRequest(this.text.slice(this.#answeredTo));
    if (end > 0) this.#answeredTo += end;
    this.socket.write(this.later + bytes, "latin1");
    this.later = later;
  }

  do(what: Does): void {
    const { socket } = this;
    if (socket.destroyed) return;
    if (what === "end") socket.end();
    else if (what === "reset" && socket instanceof TLSSocket) socket.destroy();
    else if (what === "reset") socket.resetAndDestroy();
    else if (what === "pause") socket.pause();
    else socket.resume();
  }

  /** What has come of it since it was asked last. */
  news(): string[] {
    const bytes = Buffer.concat(this.#got).toString("latin1");
    const news = this.#news;
    this.#got = [];
    this.#news = [];
    return [
      ...(bytes === "" ? [] : [`${this.#name} got ${bytes}`]),
      ...news.map((one) => `${this.#name}: ${one}`),
    ];
  }
}

class Stage {
  readonly #clock = heldClock();
  readonly #setting: Setting;
  readonly #server: Server;
  readonly #clients = new Map<number, End>();
  readonly #models: End[] = [];
  #events = 0;
  readonly #proxy: Proxy;
  #port = 0;
  #ended: EndedExchange[] = [];
  #stats: Record<string, unknown> = {};
  #always: string | null = null;
  #shut = false;
  /** What comes from here on depends on how many there were. */
  #over = false;
  readonly #complaints: string[] = [];
  readonly journal: string[] = [];

  private constructor(setting: Setting, server: Server, how: { port: number; shortExchanges: boolean }) {
    this.#setting = setting;
    this.#server = server;
    server.on(setting.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
      const end = new End(`model ${this.#models.length}`, socket, this.#onEvent);
      this.#models.push(end);
      this.#onEvent();
      socket.on("data", () => {
        while (this.#always !== null && end.asked) end.send({ bytes: this.#always });
      });
    });
    const { tls } = setting;
    const url = tls === undefined ? `http://127.0.0.1:${how.port}` : `https://localhost:${how.port}`;
    const clock = { ...this.#clock, wallMs: () => STARTED_AT_MS + this.#clock.monotonicMs() };
    const complain = (_fields: unknown, message: string): void => void this.#complaints.push(message);
    const quiet = (): void => {};
    this.#proxy = createProxy(
      {
        listen: { host: "127.0.0.1", port: 0 },
        host: "preserve",
        connectTimeoutMs: 0,
        responseTimeoutMs: 0,
        maxConnections: 1000,
        limits: LIMITS,
        ...setting.options,
        upstream: { url, tls: tls === undefined ? null : { ca: tls.cert } },
        tls: tls ?? null,
      },
      {
        clock,
        log: { debug: quiet, info: quiet, warn: complain, error: complain },
        observed: setting.observed ?? null,
        shortExchanges: how.shortExchanges,
        deliver: (ended) => {
          this.#ended.push(ended);
          this.#onEvent();
        },
      },
    );
    if (setting.rules !== undefined) this.#proxy.setSnapshot(setting.rules);
  }

  static async open(setting: Setting, shortExchanges: boolean): Promise<Stage> {
    const { tls } = setting;
    const server =
      tls === undefined ? createServer({ noDelay: true }) : createTlsServer({ noDelay: true, ...tls });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const stage = new Stage(setting, server, { port, shortExchanges });
    await stage.#proxy.start();
    stage.#port = stage.#proxy.address?.port ?? 0;
    return stage;
  }

  readonly #onEvent = (): void => {
    this.#events++;
  };

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      await this.#meet(step);
      await this.#do(step);
      await this.#still();
      this.#tell(step);
    }
  }

  /** Clients connect before they act. */
  async #meet(step: Step): Promise<void> {
    if (step.kind === "together") for (const one of step.steps) await this.#meet(one);
    if (step.kind !== "client" || this.#clients.has(step.at)) return;
    const { tls } = this.#setting;
    const address = { port: this.#port, host: "127.0.0.1", noDelay: true };
    const socket =
      tls === undefined
        ? connect(address)
        : connectTls({ ...address, ca: tls.cert, servername: "localhost" });
    if (tls !== undefined) socket.once("secureConnect", this.#onEvent);
    const end = new End(`client ${step.at}`, socket, this.#onEvent);
    this.#clients.set(step.at, end);
    const met = (): boolean => !socket.connecting && (!(socket instanceof TLSSocket) || socket.authorized);
    await eventually(() => met() || socket.destroyed);
    await this.#still();
  }

  async #do(step: Step): Promise<void> {
    switch (step.kind) {
      case "client":
      case "model": {
        const end = step.kind === "client" ? this.#clients.get(step.at) : this.#models[step.at];
        if ("bytes" in step) end?.send(step);
        else end?.do(step.does);
        return;
      }
      case "answers": {
        const asked = this.#models.filter((one) => one.asked);
        const picked =
          step.pick === undefined ? asked : asked.slice(step.pick % Math.max(1, asked.length)).slice(0, 1);
        for (const one of picked) one.send(step);
        return;
      }
      case "rest": {
        const waiting = [...this.#models, ...this.#clients.values()].filter(({ later }) => later !== "");
        waiting[step.pick % Math.max(1, waiting.length)]?.send({ bytes: "" });
        return;
      }
      case "always":
        this.#always = step.bytes;
        return;
      case "shut":
      case "open":
        this.#shut = step.kind === "shut";
        return;
      case "gone":
        this.#server.close();
        return;
      case "time":
        this.#clock.pass(step.ms);
        return;
      case "rules":
        this.#proxy.setSnapshot(step.rules);
        return;
      case "stop":
        void this.#proxy.stop(step.withinMs).then(this.#onEvent);
        return;
      case "until":
        await eventually(() =>
          step.holds({
            stats: this.#proxy.stats(),
            got: (at) => this.#clients.get(at)?.text ?? "",
            closed: (at) => this.#clients.get(at)?.socket.destroyed === true,
          }),
        );
        return;
      case "together":
        for (const one of step.steps) await this.#do(one);
        return;
      default:
        throw new Error(`no such step: ${String(step satisfies never)}`);
    }
  }

  async #still(): Promise<void> {
    let seen = -1;
    for (let quiet = 0; quiet < QUIET_LOOKS; quiet++) {
      await pause(1);
      for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (this.#events !== seen) quiet = -1;
      seen = this.#events;
    }
  }

  #tell(step: Step | { readonly kind: "over" }): void {
    this.journal.push(`--- ${JSON.stringify(step)}`);
    if (this.#over || (this.#shut && step.kind !== "over")) return;
    if (step.kind === "open" && step.tells === "last") return this.#tellLast();
    for (const end of [...this.#models, ...this.#clients.values()]) this.journal.push(...end.news());
    if (this.#setting.sealedLast !== true || step.kind === "over") this.#seal();
    const { cacheMisses, ...others } = this.#proxy.stats();
    // How often a target is looked up that is not remembered is a matter of the way.
    const { target: _, ...misses } = cacheMisses;
    const stats: Record<string, unknown> = { ...others, misses };
    for (const [name, value] of Object.entries(stats)) {
      const now = JSON.stringify(value);
      if (now !== this.#stats[name]) this.journal.push(`${name} ${now}`);
      this.#stats[name] = now;
    }
    for (const complaint of this.#complaints.splice(0)) this.journal.push(`complaint ${complaint}`);
  }

  #tellLast(): void {
    const last = this.#ended.at(-1)?.seal();
    if (last !== undefined) {
      const { outcome, ownError, abortedBy, status, response } = last;
      const clocks = Object.entries(last.clocks).filter(([, ms]) => ms !== null);
      const { total } = response;
      this.journal.push(
        sorted({ outcome, ownError, abortedBy, status, total, clocks: clocks.map(([name]) => name) }),
      );
    }
    this.#ended = [];
    for (const end of [...this.#models, ...this.#clients.values()]) end.news();
    const { activeRequests, openConnections, limited } = this.#proxy.stats();
    this.journal.push(sorted({ activeRequests, openConnections, limited }));
    this.#over = true;
  }

  #seal(): void {
    for (const ended of this.#ended.splice(0)) {
      const copied = ended.copiedBytes;
      const { request, response, ...fact } = ended.seal();
      const bodies = [request, response].map(bodyText).join(" ");
      this.journal.push(`fact ${sorted(fact)} bodies ${bodies} ${copied} bytes`);
      ended.recycle();
    }
  }

  /** Whatever is still under way ends. */
  async close(): Promise<void> {
    for (const { socket } of this.#clients.values()) socket.destroy();
    await this.#still();
    this.#tell({ kind: "over" });
    for (const { socket } of this.#models) socket.destroy();
    await this.#proxy.stop(0);
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}

function bodyText(body: EndedBody): string {
  const { bytes, tail, ...rest } = crossed(body);
  const text = (part: Uint8Array): string => Buffer.from(part).toString("latin1");
  return sorted({ ...rest, bytes: text(bytes), ...(tail === undefined ? {} : { tail: text(tail) }) });
}

function sorted(value: object): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    typeof one === "object" && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}

/** Ids that the story itself says. */
export const GIVEN_TRACE = "0af7651916cd43dd8448eb211c80319c";
export const GIVEN_SPAN = "b7ad6b7169203331";
const MADE_UP = /[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[\da-f]{4}-[\da-f]{12}|\b[\da-f]{32}\b|\b[\da-f]{16}\b/g;

/** Ids and ports are new in each run: they are numbered as they appear. */
function normalised(journal: readonly string[]): string[] {
  const names = new Map<string, string>();
  return journal.map((entry) =>
    entry.replaceAll(/(127\.0\.0\.1|localhost):\d+/g, "$1:port").replaceAll(MADE_UP, (id) => {
      if (id === GIVEN_TRACE || id === GIVEN_SPAN) return id;
      const name = names.get(id) ?? `<${names.size}>`;
      names.set(id, name);
      return name;
    }),
  );
}

/** What was seen of it, in order. */
export async function played(story: Story, shortExchanges: boolean): Promise<string[]> {
  const stage = await Stage.open(story, shortExchanges);
  try {
    await stage.play(story.steps);
  } finally {
    await stage.close();
  }
  return normalised(stage.journal);
}

const SHOWN_CHARS = 3000;
const SHOWN_BEFORE = 4;

/** Null: the two are the same. Else where they part, and what was before it. */
export function parting(one: readonly string[], other: readonly string[]): string | null {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  if (at >= one.length && at >= other.length) return null;
  const shown = (entry = "(nothing)"): string => JSON.stringify(entry.slice(0, SHOWN_CHARS));
  const before = one.slice(Math.max(0, at - SHOWN_BEFORE), at).map(shown);
  return [...before, `long way:  ${shown(one[at])}`, `short way: ${shown(other[at])}`].join("\n    ");
}
