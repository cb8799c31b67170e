// The ledger of model versions: register, promote, roll back. Every decision is one journal entry, on disk before it holds.

import type {
  QualityThen,
  Registration,
  Stage,
  VersionDecision,
  VersionEvent,
  VersionRecord,
  VersionRefusal,
  VersionRefusalCode,
} from "../facts/version.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../kernel/log.ts";
import { canonicalJson } from "./canonical.ts";
import { type Expected, wasGood } from "./good-quality.ts";
import { type Journal, openJournal } from "./journal.ts";
import { parseEntry } from "./parse-event.ts";
import { Shelf } from "./shelf.ts";

export interface VersionLedgerOptions {
  /** The journal's file. */
  readonly path: string;
  /** Versions over all models. Beyond: `versions_full`. Default 10,000. */
  readonly versionsMax?: number;
  /** Bytes of JSON that all registrations may take together. Beyond: `versions_full`. Default 64 MiB. */
  readonly registrationBytesMax?: number;
  /** Lines of history over all models. Beyond: `versions_full`. Default 200,000. */
  readonly eventsMax?: number;
}

export interface GateAnswer {
  readonly allowed: boolean;
  /** Why, in words. */
  readonly message: string;
  /** The figures it rests on. */
  readonly figures: unknown;
}

export interface VersionLedgerNeeds {
  readonly clock: Clock;
  readonly log: Log;
  /** How good a version is now; null: not measured. */
  readonly qualityOf: (model: string, version: string) => QualityThen | null;
  /** Whether `candidate` may replace `current` in production; null: no gate is configured. */
  readonly gate: (model: string, current: string, candidate: string) => GateAnswer | null;
  /** The quality that is expected of a model's versions, and how far below it is still good. */
  readonly expectedOf: (model: string) => Expected;
}

export interface Registering {
  readonly model: string;
  readonly version: string;
  readonly registration: Registration;
  readonly actor: string;
  readonly via: string;
}

export interface Promoting {
  readonly model: string;
  readonly version: string;
  readonly stage: Exclude<Stage, "none">;
  readonly actor: string;
  readonly via: string;
  readonly reason: string | null;
  /** The version that must be in production now (null: none); undefined: whichever. */
  readonly ifCurrent: string | null | undefined;
}

/** What somebody else has decided, and we take note of: no gate, no compare-and-set. */
export interface Adopting {
  readonly model: string;
  /** null: nothing is in production. */
  readonly version: string | null;
  readonly actor: string;
  readonly via: string;
  readonly reason: string | null;
  readonly action: "promoted" | "rolled_back";
}

type Enthroning = Adopting & { readonly version: string };

export interface RollingBack {
  readonly model: string;
  readonly actor: string;
  readonly via: string;
  readonly reason: string | null;
  /** "previous": the production version before; "good": the last one before whose quality was good when it was left. */
  readonly to: "previous" | "good";
  readonly ifCurrent: string | null | undefined;
}

export interface VersionLedger {
  /** Reads the journal. Throws a system error when the file cannot be had; may be called again. */
  open(): { readonly events: number; readonly damaged: number; readonly copy: string | null };
  register(asked: Registering): VersionDecision;
  promote(asked: Promoting): VersionDecision;
  rollBack(asked: RollingBack): VersionDecision;
  /** What `promote` or `rollBack` would say and do, without doing it. */
  weigh(asked: Promoting | RollingBack): VersionDecision;
  /** Notes that the version is in production by another's decision; null: nothing is, and nothing was. */
  adopt(asked: Adopting): VersionDecision | null;
  /** A version appeared in traffic: recorded once as not registered. Does nothing when it is known, or there is no room. */
  seen(model: string, version: string): "new" | "known" | "full";
  models(): readonly string[];
  record(model: string, version: string): VersionRecord | null;
  records(model: string): readonly VersionRecord[];
  /** Oldest first. */
  history(model: string): readonly VersionEvent[];
  production(model: string): { readonly version: string; readonly since: number } | null;
  productionAt(model: string, at: number): { readonly version: string; readonly since: number } | null;
  close(): void;
}

type Draft = Omit<VersionEvent, "seq" | "at" | "model" | "quality" | "registration"> &
  Partial<Pick<VersionEvent, "quality" | "registration">>;

function refuse(
  code: VersionRefusalCode,
  message: string,
  details: Record<string, unknown> = {},
): VersionRefusal {
  return { kind: "refused", code, message, details };
}

class JournalledLedger implements VersionLedger {
  readonly #options: Required<VersionLedgerOptions>;
  readonly #needs: VersionLedgerNeeds;
  #shelf = new Shelf();
  #journal: Journal | null = null;

  constructor(options: VersionLedgerOptions, needs: VersionLedgerNeeds) {
    this.#options = {
      versionsMax: 10_000,
      registrationBytesMax: 64 * 1024 * 1024,
      eventsMax: 200_000,
      ...options,
    };
    this.#needs = needs;
  }

  open(): { readonly events: number; readonly damaged: number; readonly copy: string | null } {
    const opened = openJournal(this.#options.path, this.#needs.clock.wallMs());
    const shelf = new Shelf();
    let { damaged } = opened;
    for (const line of opened.entries) {
      const events = parseEntry(line);
      if (events === null) damaged++;
      for (const event of events ?? []) shelf.take(event);
    }
    this.#shelf = shelf;
    this.#journal?.close();
    this.#journal = opened.journal;
    return { events: shelf.events, damaged, copy: opened.copy };
  }

  close(): void {
    this.#journal?.close();
    this.#journal = null;
  }

  register({ model, version, registration, actor, via }: Registering): VersionDecision {
    const known = this.#shelf.record(model, version);
    if (known !== null && known.registration !== null) {
      if (canonicalJson(known.registration) === canonicalJson(registration))
        return { kind: "done", changed: false, record: known };
      // What a registry knew stands in until somebody registers it in earnest.
      if (known.mirrored && via !== "registry")
        return this.#registered({ model, version, registration, actor, via });
      const message = `version "${version}" is registered with other content; a version never changes: choose a new one`;
      return refuse("version_exists", message, { registered: known.registration });
    }
    return this.#registered({ model, version, registration, actor, via });
  }

  #registered({ model, version, registration, actor, via }: Registering): VersionDecision {
    const bytes = this.#shelf.bytes + JSON.stringify(registration).length;
    if (bytes > this.#options.registrationBytesMax)
      return refuse(
        "versions_full",
        `registrations take ${this.#options.registrationBytesMax} bytes together at most`,
      );
    const stage = this.#shelf.record(model, version)?.stage ?? "none";
    const draft: Draft = {
      version,
      actor,
      via,
      action: "registered",
      from: stage,
      to: stage,
      reason: null,
      registration,
    };
    return this.#write(model, [draft], version);
  }

  weigh(asked: Promoting | RollingBack): VersionDecision {
    return "stage" in asked ? this.#weighPromotion(asked) : this.#weighRollback(asked);
  }

  #weighPromotion({ model, version, stage, ifCurrent }: Promoting): VersionDecision {
    const record = this.#shelf.record(model, version);
    if (record === null) return this.#unknown(model, version);
    const stale = this.#stale(model, ifCurrent);
    if (stale !== null) return stale;
    const current = this.#shelf.production(model)?.version ?? null;
    if (record.stage !== stage && stage === "production" && current !== null) {
      const gate = this.#needs.gate(model, current, version);
      if (gate !== null && !gate.allowed)
        return refuse("gate_closed", gate.message, { figures: gate.figures });
    }
    return { kind: "done", changed: false, record };
  }

  promote(asked: Promoting): VersionDecision {
    const weighed = this.#weighPromotion(asked);
    if (weighed.kind === "refused" || weighed.record.stage === asked.stage) return weighed;
    const { model, version, stage, actor, via, reason } = asked;
    if (stage === "production")
      return this.#enthrone({ model, version, actor, via, reason, action: "promoted" });
    const action = stage === "archived" ? "archived" : "promoted";
    const draft: Draft = { version, actor, via, action, from: weighed.record.stage, to: stage, reason };
    return this.#write(model, [draft], version);
  }

  #weighRollback({ model, to, ifCurrent }: RollingBack): VersionDecision {
    if (!this.#shelf.models().includes(model))
      return refuse("unknown_model", "no version of this model is known");
    const stale = this.#stale(model, ifCurrent);
    if (stale !== null) return stale;
    const before = this.#shelf.predecessors(model);
    const expected = this.#needs.expectedOf(model);
    const target =
      to === "good"
        ? before.find((version) =>
            wasGood(this.#shelf.record(model, version), this.#shelf.history(model), expected),
          )
        : before[0];
    const record = target === undefined ? null : this.#shelf.record(model, target);
    if (record !== null) return { kind: "done", changed: false, record };
    const which =
      to === "good"
        ? "no earlier production version is known to have left with good mature quality"
        : "no version was in production before";
    return refuse("nothing_before", which, { before });
  }

  rollBack(asked: RollingBack): VersionDecision {
    const weighed = this.#weighRollback(asked);
    if (weighed.kind === "refused") return weighed;
    const { model, actor, via, reason } = asked;
    const { version } = weighed.record;
    return this.#enthrone({ model, version, actor, via, reason, action: "rolled_back" });
  }

  adopt(asked: Adopting): VersionDecision | null {
    const { version, model, actor, via, reason } = asked;
    if (version === null) {
      const current = this.#shelf.production(model)?.version ?? null;
      return current === null
        ? null
        : this.#write(model, [this.#leaving(model, { current, actor, via, reason })], current);
    }
    const record = this.#shelf.record(model, version);
    if (record?.stage === "production") return { kind: "done", changed: false, record };
    return this.#enthrone({ ...asked, version });
  }

  /** The version comes into production, the one before it leaves: one entry. */
  #enthrone({ model, version, actor, via, reason, action }: Enthroning): VersionDecision {
    const from = this.#shelf.record(model, version)?.stage ?? "none";
    const current = this.#shelf.production(model)?.version ?? null;
    const drafts: Draft[] = [{ version, actor, via, action, from, to: "production", reason }];
    const why = action === "rolled_back" ? `rolled back to ${version}` : `replaced by ${version}`;
    if (current !== null) drafts.unshift(this.#leaving(model, { current, actor, via, reason: why }));
    return this.#write(model, drafts, version);
  }

  seen(model: string, version: string): "new" | "known" | "full" {
    if (this.#shelf.record(model, version) !== null) return "known";
    // Names in traffic are anybody's: they never take the room that registrations need.
    if (this.#shelf.versions >= this.#options.versionsMax / 2) return "full";
    const draft: Draft = {
      version,
      actor: "outrider",
      via: "traffic",
      action: "unregistered",
      from: "none",
      to: "none",
      reason: "in traffic, not registered",
    };
    const written = this.#write(model, [draft], version);
    return written.kind === "done" ? "new" : "full";
  }

  models(): readonly string[] {
    return this.#shelf.models();
  }

  record(model: string, version: string): VersionRecord | null {
    return this.#shelf.record(model, version);
  }

  records(model: string): readonly VersionRecord[] {
    return this.#shelf.records(model);
  }

  history(model: string): readonly VersionEvent[] {
    return this.#shelf.history(model);
  }

  production(model: string): { readonly version: string; readonly since: number } | null {
    return this.#shelf.production(model);
  }

  productionAt(model: string, at: number): { readonly version: string; readonly since: number } | null {
    return this.#shelf.productionAt(model, at);
  }

  #unknown(model: string, version: string): VersionRefusal {
    return refuse(
      "unknown_version",
      `version "${version}" of "${model}" is neither registered nor seen in traffic`,
    );
  }

  /** Compare and set: what the caller believed to be in production must still be. */
  #stale(model: string, ifCurrent: string | null | undefined): VersionRefusal | null {
    if (ifCurrent === undefined) return null;
    const current = this.#shelf.production(model)?.version ?? null;
    if (current === ifCurrent) return null;
    const said = current === null ? "no version" : `version "${current}"`;
    return refuse("not_current", `${said} is in production now`, { current });
  }

  #leaving(model: string, by: { current: string; actor: string; via: string; reason: string | null }): Draft {
    const { current, actor, via, reason } = by;
    const quality = this.#needs.qualityOf(model, current);
    return {
      version: current,
      actor,
      via,
      action: "archived",
      from: "production",
      to: "archived",
      reason,
      quality,
    };
  }

  /** One entry: all of it happens, or nothing. */
  #write(model: string, drafts: readonly Draft[], version: string): VersionDecision {
    const { versionsMax, eventsMax } = this.#options;
    const isNew = this.#shelf.record(model, version) === null;
    if (isNew && this.#shelf.versions >= versionsMax)
      return refuse("versions_full", `${versionsMax} versions are kept at most`);
    if (this.#shelf.events + drafts.length > eventsMax)
      return refuse("versions_full", `${eventsMax} lines of history are kept at most`);
    // History is told in order of time, also when the clock was set back.
    const at = Math.max(this.#needs.clock.wallMs(), this.#shelf.lastAt);
    const seq = this.#shelf.nextSeq;
    const events = drafts.map((draft, i): VersionEvent => ({
      quality: this.#needs.qualityOf(model, draft.version),
      registration: null,
      ...draft,
      seq: seq + i,
      at,
      model,
    }));
    const kept = this.#journal?.append(events) ?? {
      kind: "refused",
      cause: "closed",
      message: "the version ledger is not open",
    };
    if (kept.kind === "refused") {
      this.#needs.log.error(
        { cause: kept.cause, error: kept.message },
        "the version ledger cannot be written",
      );
      return refuse("store_unavailable", kept.message, { cause: kept.cause });
    }
    for (const event of events) this.#shelf.take(event);
    const record = this.#shelf.record(model, version);
    return record === null ? this.#unknown(model, version) : { kind: "done", changed: true, record };
  }
}

export function createVersionLedger(options: VersionLedgerOptions, needs: VersionLedgerNeeds): VersionLedger {
  return new JournalledLedger(options, needs);
}
