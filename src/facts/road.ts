// What crosses the socket pair between the traffic process and the observer, beside the exchanges themselves.

/** Frame kinds. Facts are binary (`exchange-wire.ts`), everything else is JSON or raw bytes behind a JSON head. */
export const FRAME = Object.freeze({
  /** to the observer: `Opening` */
  opening: 1,
  /** to the observer: u32 batch, u32 count, exchanges */
  facts: 2,
  /** to the observer: `Question` */
  question: 3,
  /** to the observer, once a second: `TrafficStats` */
  stats: 4,
  /** to the observer: `{ deadlineMs }`; it flushes, closes and exits */
  stop: 5,
  /** from the observer: `Ready` */
  ready: 17,
  /** from the observer: u32 batch, u32 facts of it that were not stored */
  ack: 18,
  /** from the observer: u32 question id, u32 status, text content type, text content encoding, bytes body */
  answer: 19,
  /** from the observer, once a second and at changes: `ObserverState` */
  state: 20,
});

/** The first frame to the observer. `config` is the whole effective configuration. */
export interface Opening {
  /** Names this run of the traffic process: batch numbers are unique within it. */
  readonly session: string;
  readonly config: unknown;
  readonly stats: TrafficStats;
}

export interface Ready {
  /** The last batch of this session that is on disk, or null. */
  readonly lastBatch: number | null;
}

export interface Question {
  readonly id: number;
  readonly accept: string;
  readonly acceptEncoding: string;
  readonly stats: TrafficStats;
}

/** Absolute figures owned by the traffic process; it outlives the observer. */
export interface TrafficStats {
  readonly seen: number;
  readonly recorded: number;
  /** Keys `queue/what`, e.g. `observer/fact`, `observer/body`, `store/fact`. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly queuedFacts: number;
  readonly queuedBytes: number;
  readonly activeRequests: number;
  readonly openConnections: number;
  readonly refusedConnections: number;
  readonly clientErrors: number;
  /** Of bodies: read, and not handed on. */
  readonly heldBytes: number;
  /** Connections and requests ended by a limit, by the value of `limit`. */
  readonly limited: Readonly<Record<string, number>>;
  /** Requests that came back from the model without an answer, and what came of it: keys `reason/outcome`. */
  readonly resends: Readonly<Record<string, number>>;
  /** Calls that found no stream free at a model of HTTP/2. */
  readonly streamWaits: number;
  /** Connections to the model whose opening has ended: keys `version/outcome`, the version that of HTTP. */
  readonly upstreamConnections: Readonly<Record<string, number>>;
  /** Of those that were opened, by how long it took: keys `version/bucket` (of `CONNECT_SECONDS`) and `version/sum`, seconds. */
  readonly upstreamConnectTimes: Readonly<Record<string, number>>;
  /** Bodies that were not copied, because the copies in flight held what they may together. */
  readonly uncapturedBodies: number;
  /** Of what the relay remembers of earlier messages, by the value of `cache`: not found, and forgotten to make room. */
  readonly cacheMisses: Readonly<Record<string, number>>;
  readonly cacheEvictions: Readonly<Record<string, number>>;
  readonly observerRestarts: number;
  readonly loopDelayMs: number;
  /** Processes that accept connections, and how often one of them was started again. */
  readonly workers: number;
  readonly workerRestarts: number;
}

/** The state of one part, as `/readyz` tells it. */
export interface PartState {
  readonly state: "ok" | "degraded" | "off";
  readonly why: string | null;
  /** RFC 3339 UTC. */
  readonly since: string;
}

export interface ServedVersion {
  readonly version: string;
  readonly since: string;
  /** Share of the model's predictions in the last hour. */
  readonly share: number;
}

export interface VersionModel {
  readonly name: string;
  readonly served: readonly ServedVersion[];
  readonly declared: {
    readonly version: string;
    /** `ledger`, or the registry that decides, e.g. `mlflow alias champion`. */
    readonly source: string;
    readonly since: string;
    /** With a registry: when it last answered, and why not since then. */
    readonly checkedAt?: string;
    readonly trouble?: string | null;
    /** Where the registry splits traffic: each version's share in percent. */
    readonly split?: readonly { readonly version: string; readonly percent: number }[];
  } | null;
  readonly mismatch: boolean;
}

export interface ObserverState {
  readonly parts: Readonly<Record<string, PartState>>;
  readonly models: readonly VersionModel[];
  /** Versions known from outside the traffic (polled, registry): model -> version. */
  readonly external: Readonly<Record<string, string>>;
  /** Models whose version somebody is asked for who has not answered since the observer's start. */
  readonly awaited: readonly string[];
  /** The API's address when it is open. */
  readonly api: { readonly host: string; readonly port: number } | null;
}
