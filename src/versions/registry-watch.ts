// What a registry declares to be in production, and which versions it knows; in trouble the last answer stays, with its age.

import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { RegistryPoll } from "./registry-poll.ts";
import {
  bounded,
  failed,
  type Registry,
  type RegistryVersion,
  type Reply,
  type TrafficShare,
} from "./registry.ts";

/** Versions change seldom: they are listed once in so many looks, where looks tell that the registry is alive. */
const LOOKS_PER_LIST = 10;

export interface Declared {
  readonly version: string;
  /** Unix ms: when it was first seen to be the declared one. */
  readonly since: number;
  readonly split: readonly TrafficShare[] | null;
}

export interface WatchNeeds {
  readonly clock: Clock;
  readonly log: Log;
  readonly count: (operation: string, result: string) => void;
  /** The registry said which version is declared: every time it is asked. null: none is. */
  readonly onVersion: (model: string, version: RegistryVersion | null) => void;
  /** The list of versions came anew. */
  readonly onList: (model: string) => void;
  /** State or trouble changed. */
  readonly onState: () => void;
}

export interface WatchOptions {
  readonly model: string;
  readonly everyMs: number;
}

const UNUSABLE = "the registry names a version that cannot be one: 1-128 characters, no control characters";

function checked(reply: Reply<RegistryVersion>): Reply<RegistryVersion> {
  if (reply.kind !== "ok") return reply;
  const value = bounded(reply.value);
  return value === null ? failed(UNUSABLE, true) : { kind: "ok", value };
}

export class RegistryWatch {
  readonly model: string;
  readonly #registry: Registry;
  readonly #needs: WatchNeeds;
  readonly #looks: RegistryPoll<RegistryVersion> | null;
  readonly #lists: RegistryPoll<readonly RegistryVersion[]> | null;
  #declared: Declared | null = null;
  #versions: ReadonlyMap<string, RegistryVersion> = new Map();
  #trouble: string | null = null;
  #listTrouble: string | null = null;

  constructor(registry: Registry, { model, everyMs }: WatchOptions, needs: WatchNeeds) {
    this.model = model;
    this.#registry = registry;
    this.#needs = needs;
    const { clock } = needs;
    this.#looks = registry.can.has("current")
      ? new RegistryPoll({ clock, everyMs, ask: () => this.#current(), took: (reply) => this.#took(reply) })
      : null;
    this.#lists = registry.can.has("versions")
      ? new RegistryPoll({
          clock,
          everyMs: this.#looks === null ? everyMs : everyMs * LOOKS_PER_LIST,
          ask: () => registry.versions(model),
          took: (reply) => this.#listed(reply),
        })
      : null;
  }

  /** null: nothing is declared, or it is not known yet. */
  get declared(): Declared | null {
    return this.#declared;
  }

  /** Unix ms of the last answer. */
  get answeredAt(): number | null {
    return (this.#looks ?? this.#lists)?.answeredAt ?? null;
  }

  /** Unix ms at which the list of versions was last got. */
  get listedAt(): number | null {
    return this.#lists?.answeredAt ?? null;
  }

  /** What the registry knows of each version, as of the last list. */
  get versions(): ReadonlyMap<string, RegistryVersion> {
    return this.#versions;
  }

  /** Why the last look failed; null: it did not. */
  get trouble(): string | null {
    return this.#trouble ?? this.#listTrouble;
  }

  start(): void {
    this.#looks?.start();
    this.#lists?.start();
  }

  stop(): void {
    this.#looks?.stop();
    this.#lists?.stop();
  }

  /** Looks now, e.g. because a promotion was written. */
  soon(): void {
    this.#looks?.soon();
  }

  /** Lists now, e.g. because a version appeared that is not known. */
  listSoon(): void {
    this.#lists?.soon();
  }

  /** The declared version; one that was not declared before with all that is known of it. */
  async #current(): Promise<Reply<RegistryVersion>> {
    const reply = checked(await this.#registry.current(this.model));
    if (reply.kind !== "ok" || reply.value.version === this.#declared?.version) return reply;
    const whole = checked(await this.#registry.version(this.model, reply.value.version));
    return whole.kind === "ok" ? { kind: "ok", value: { ...reply.value, ...whole.value } } : reply;
  }

  #took(reply: Reply<RegistryVersion>): void {
    const { count, clock, onVersion } = this.#needs;
    count("current", reply.kind);
    if (reply.kind === "ok") {
      const { version, split } = reply.value;
      const before = this.#declared;
      const since = before?.version === version ? before.since : clock.wallMs();
      this.#declared = { version, since, split: split ?? null };
      this.#setTrouble(null, this.#listTrouble);
      onVersion(this.model, reply.value);
      return;
    }
    if (reply.kind === "none") {
      this.#declared = null;
      onVersion(this.model, null);
    }
    this.#setTrouble(reply.message, this.#listTrouble);
  }

  #listed(reply: Reply<readonly RegistryVersion[]>): void {
    this.#needs.count("versions", reply.kind);
    if (reply.kind !== "ok") {
      this.#setTrouble(this.#trouble, reply.message);
      return;
    }
    const known = reply.value.map(bounded).filter((version) => version !== null);
    this.#versions = new Map(known.map((version) => [version.version, version]));
    this.#setTrouble(this.#trouble, null);
    this.#needs.onList(this.model);
  }

  #setTrouble(look: string | null, list: string | null): void {
    const before = this.trouble;
    this.#trouble = look;
    this.#listTrouble = list;
    const why = this.trouble;
    if (before === why) return;
    const { log, onState } = this.#needs;
    const fields = { registry: this.#registry.type, model: this.model };
    if (why === null) log.info(fields, "the registry answers again");
    else log.warn({ ...fields, error: why }, "the registry could not be asked; the last answer stays");
    onState();
  }
}
