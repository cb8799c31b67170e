// Header lists of HTTP/2 (RFC 9113 §8.2, §8.3) from the flat lines of HTTP/1.1, and back.

import type { RawHeaders } from "../../facts/exchange.ts";
import { bare } from "../field-lines.ts";
import { upstreamTarget } from "../request-head.ts";

/** What stands before the fields of a request. */
export interface RequestPseudo {
  readonly method: string;
  readonly scheme: string;
  readonly target: string;
  /** Used when the lines name no `Host`. */
  readonly authority: string;
}

/** A request's field list: the pseudo fields, then the lines in their order, names in lower case, `Host` as `:authority`. */
export function requestFields(pseudo: RequestPseudo, lines: RawHeaders): string[] {
  let { authority } = pseudo;
  const fields: string[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    const name = (lines[i] ?? "").toLowerCase();
    if (name === "host") authority = lines[i + 1] ?? "";
    else fields.push(name, lines[i + 1] ?? "");
  }
  const { method, scheme, target } = pseudo;
  return [":method", method, ":scheme", scheme, ":authority", authority, ":path", target, ...fields];
}

/** A response's field list. */
export function responseFields(status: number, lines: RawHeaders): string[] {
  const fields = [":status", String(status)];
  for (let i = 0; i < lines.length; i += 2) fields.push((lines[i] ?? "").toLowerCase(), lines[i + 1] ?? "");
  return fields;
}

/** Fields as node:http2 takes them where it takes no list: interim answers and trailers. The order of equal names is kept. */
export function fieldMap(lines: readonly (readonly [string, string])[]): Record<string, string[]> {
  const map: Record<string, string[]> = Object.create(null);
  for (const [name, value] of lines) (map[name.toLowerCase()] ??= []).push(value);
  return map;
}

/** What a field list of a request says before its fields; "" where it says nothing. */
export interface ReadRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly target: string;
  /** The fields with `Host` in front, as HTTP/1.1 would write them. */
  readonly lines: string[];
  /** Why the list cannot be forwarded, or null. */
  readonly refusal: string | null;
}

/** Reads a request's field list. Its grammar has been checked by node:http2 (nghttp2). */
export function readRequestFields(raw: RawHeaders): ReadRequest {
  const pseudo = { ":method": "", ":scheme": "", ":authority": "", ":path": "" };
  const lines: string[] = [];
  const hosts = new Set<string>();
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = bareValue(raw[i + 1] ?? "");
    if (name === ":method" || name === ":scheme" || name === ":authority" || name === ":path")
      pseudo[name] = value;
    else if (name === "host") hosts.add(value);
    else if (!name.startsWith(":")) lines.push(name, value);
  }
  if (pseudo[":authority"] !== "") hosts.add(pseudo[":authority"]);
  const [authority = ""] = hosts;
  return {
    method: pseudo[":method"],
    scheme: pseudo[":scheme"],
    target: pseudo[":path"],
    authority,
    lines: ["host", authority, ...lines],
    refusal:
      hosts.size > 1 ? "The request names two hosts, in :authority and in Host. Send one of them." : null,
  };
}

/** Why a request cannot be forwarded, or null. */
export function refusalOf({ method, target, refusal }: ReadRequest): string | null {
  if (method === "CONNECT")
    return "CONNECT is not offered: this is the front of one model server, not a forward proxy.";
  if (upstreamTarget(method, target) === null)
    return "The request target is not a path, so it cannot be forwarded.";
  return refusal;
}

/** The status of a response's field list, and its fields. */
export function readResponseFields(raw: RawHeaders): { readonly status: number; readonly lines: string[] } {
  let status = 0;
  const lines: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (name === ":status") status = Number(raw[i + 1]);
    else if (!name.startsWith(":")) lines.push(name, bareValue(raw[i + 1] ?? ""));
  }
  return { status, lines };
}

/** Flat lines, their values as `bareValue` makes them. */
export function bareLines(raw: RawHeaders): RawHeaders {
  return raw.map((text, i) => (i % 2 === 0 ? text : bareValue(text)));
}

/**
 * Without spaces and tabs around it. No value has them in HTTP/2 (RFC 9113 §8.2.1), some clients send them, and over HTTP/1.1 they are left
 * out, too.
 */
function bareValue(value: string): string {
  return bare(value, 0, value.length);
}

/** HTTP/1.1 has one Cookie line; HTTP/2 may have cut it into crumbs (RFC 9113 §8.2.3). */
export function joinCookies(lines: string[]): string[] {
  const first = lines.findIndex((name, i) => i % 2 === 0 && name === "cookie");
  if (first < 0) return lines;
  const joined = lines.slice(0, first + 2);
  for (let i = first + 2; i < lines.length; i += 2) {
    const name = lines[i] ?? "";
    const value = lines[i + 1] ?? "";
    if (name === "cookie") joined[first + 1] = `${joined[first + 1]}; ${value}`;
    else joined.push(name, value);
  }
  return joined;
}
