// What an alert is made of: its rule, its words, and the page that is opened at three in the morning.

import type { AlertName } from "../../config/config.ts";
import type { BoardId } from "../board-ids.ts";

export type Severity = "critical" | "warning" | "info";

export interface Runbook {
  /** What has happened, and what it means for the users of the model. */
  readonly means: string;
  readonly check: readonly string[];
  readonly fix: readonly string[];
  /** Keys of the configuration that decide when it fires. */
  readonly tune: readonly string[];
}

export interface AlertSpec {
  readonly name: AlertName;
  readonly severity: Severity;
  /** Prometheus duration; "0s": at once. */
  readonly for: string;
  readonly expr: string;
  /** Beside `severity`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** One sentence. */
  readonly summary: string;
  /** With values. */
  readonly description: string;
  /** The board on which it is seen. */
  readonly board: BoardId;
  readonly runbook: Runbook;
}

/** `{{ $value | humanizePercentage }}` and its like. */
export const PERCENT = "{{ $value | humanizePercentage }}";
export const DURATION = "{{ $value | humanizeDuration }}";
export const NUMBER = "{{ $value | humanize }}";
/** The version of the model that an alert is about. */
export const VERSION = "version {{ $labels.version }} of {{ $labels.model }}";
/** A share as people write it: 0.05 is "5 %". */
export const share = (ratio: number): string => `${Number((ratio * 100).toPrecision(6))} %`;
