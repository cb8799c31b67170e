// Who we are, said once: the OTLP resource and target_info show the same attributes.

import {
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from "@opentelemetry/semantic-conventions";
import type { Log } from "../kernel/log.ts";

/** What the SDK says of itself, as it does: to ask it, all of it would be loaded at each start. A test compares. */
const SDK: Attributes = {
  "telemetry.sdk.language": "nodejs",
  "telemetry.sdk.name": "opentelemetry",
  "telemetry.sdk.version": "3.1.0",
};

export type Env = Readonly<Record<string, string | undefined>>;
export type Attributes = Readonly<Record<string, string>>;

export interface ResourceOptions {
  /** Not the watched service's own name: two sources of one name would be added up. */
  readonly serviceName: string;
  readonly serviceVersion: string;
  /** Names this run of the process among its replicas. */
  readonly instanceId: string;
  readonly env: Env;
  readonly log: Log;
}

/**
 * The attributes, weakest first: the SDK's own, ours, OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME.
 * No detectors run: they would add command lines and owners, which may hold secrets.
 */
export function resourceOf(options: ResourceOptions): Attributes {
  const { env, log } = options;
  const given = parseResourceAttributes(env["OTEL_RESOURCE_ATTRIBUTES"] ?? "");
  if (given === null) log.warn({}, "OTEL_RESOURCE_ATTRIBUTES is not a list of key=value and is left out");
  const name = env["OTEL_SERVICE_NAME"]?.trim() ?? "";
  return {
    ...SDK,
    [ATTR_SERVICE_NAME]: options.serviceName,
    [ATTR_SERVICE_VERSION]: options.serviceVersion,
    [ATTR_SERVICE_INSTANCE_ID]: options.instanceId,
    ...given,
    ...(name === "" ? {} : { [ATTR_SERVICE_NAME]: name }),
  };
}

/** `key=value,key=value`, values percent-encoded; null when any part is broken, as the specification asks. */
function parseResourceAttributes(text: string): Attributes | null {
  const entries: [string, string][] = [];
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const equals = part.indexOf("=");
    if (equals <= 0) return null;
    try {
      const key = part.slice(0, equals).trim();
      entries.push([decodeURIComponent(key), decodeURIComponent(part.slice(equals + 1).trim())]);
    } catch {
      return null;
    }
  }
  return Object.fromEntries(entries);
}
