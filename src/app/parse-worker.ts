// What the traffic process and its workers send each other as JSON. It is ours, made of the same types: its outline is looked at.

import { parseFields, parseNumber, parseText } from "../facts/parse-stats.ts";
import type { UpstreamTls } from "../proxy/dial.ts";
import type { RelaySnapshot } from "../proxy/proxy.ts";
import type { WorkerOpening } from "./worker-road.ts";

export function parseWorkerOpening(payload: Buffer): WorkerOpening {
  const fields = parseFields(JSON.parse(payload.toString()), "worker opening");
  parseFields(fields["proxy"], "worker opening: proxy");
  return fields as unknown as WorkerOpening;
}

export function parseSnapshot(payload: Buffer): RelaySnapshot {
  return parseFields(JSON.parse(payload.toString()), "snapshot") as unknown as RelaySnapshot;
}

export function parseCertificate(payload: Buffer): { cert: string; key: string } {
  const fields = parseFields(JSON.parse(payload.toString()), "certificate");
  return { cert: parseText(fields["cert"]), key: parseText(fields["key"]) };
}

export function parseUpstreamTls(payload: Buffer): UpstreamTls {
  return parseFields(JSON.parse(payload.toString()), "upstream TLS") as UpstreamTls;
}

export function parseNumberField(payload: Buffer, name: string): number {
  return parseNumber(parseFields(JSON.parse(payload.toString()), name)[name]);
}

export function parseRefusal(payload: Buffer): Error {
  const fields = parseFields(JSON.parse(payload.toString()), "refusal");
  return Object.assign(new Error(parseText(fields["message"])), { code: parseText(fields["code"]) });
}
