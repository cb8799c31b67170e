// Addresses as people write them: where we listen ("host:port") and where the model is (an URL).

import { isIP, isIPv6 } from "node:net";

/** Where to listen or connect. IPv6 hosts stand without brackets; port 0 asks the system for a free one. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `h2c`: cleartext HTTP/2 with prior knowledge. */
export type Scheme = "http" | "https" | "h2c";

/** Where the model is. `url` has no trailing slash: `http://127.0.0.1:8000`, `http://[::1]:8000`, `unix:/run/model.sock`. */
export type Origin =
  | {
      readonly kind: "tcp";
      readonly url: string;
      readonly scheme: Scheme;
      readonly host: string;
      readonly port: number;
    }
  | { readonly kind: "unix"; readonly url: string; readonly path: string };

/** A parsed value, or what is wrong with the text. */
export type Parsed<T> = { readonly value: T } | { readonly wrong: string };

const HOST = /^(?!-)[A-Za-z0-9_.-]{1,253}$/;

function parseHost(text: string): string | null {
  const bracketed = /^\[([^\]]+)\]$/.exec(text);
  if (bracketed !== null) {
    const inner = bracketed[1] ?? "";
    return isIPv6(inner) ? inner : null;
  }
  if (/^[\d.]+$/.test(text)) return isIP(text) === 4 ? text : null;
  return HOST.test(text) ? text : null;
}

/** Parses `host:port` or `[ipv6]:port`. */
export function parseAddress(text: string): Parsed<Address> {
  const colon = text.lastIndexOf(":");
  const host = colon < 0 ? null : parseHost(text.slice(0, colon));
  if (host === null) return { wrong: 'must be "host:port" such as "0.0.0.0:7070" or "[::]:7070"' };
  const digits = text.slice(colon + 1);
  const port = Number(digits);
  if (!/^\d{1,5}$/.test(digits) || port > 65_535) return { wrong: "must have a port from 0 to 65535" };
  return { value: { host, port } };
}

export function formatAddress(address: Address): string {
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

/** Whether two listeners would want the same port: equal ports, and equal hosts or one of them every address. */
export function collide(a: Address, b: Address): boolean {
  const every = (host: string): boolean => host === "0.0.0.0" || host === "::";
  return a.port !== 0 && a.port === b.port && (a.host === b.host || every(a.host) || every(b.host));
}

function wrongWith(url: URL): string | null {
  if (url.username !== "" || url.password !== "") return "must not carry a user name or password";
  if (url.search !== "" || url.hash !== "" || (url.pathname !== "/" && url.pathname !== "")) {
    return "must end after the port: every request keeps its own path";
  }
  if (url.hostname === "" || url.port === "0") return "must name a host and a port from 1 to 65535";
  return null;
}

/** Parses the address of the model: http, https, h2c or unix:/path. */
export function parseOrigin(text: string): Parsed<Origin> {
  return parsePlace(text, {
    schemes: /^(?:https?|h2c):\/\//i,
    wanted: 'an address such as "http://127.0.0.1:8000", "https://…", "h2c://…" or "unix:/run/model.sock"',
  });
}

/** Parses the address for gRPC: h2c, https or unix:/path. All speak HTTP/2. */
export function parseGrpcOrigin(text: string): Parsed<Origin> {
  return parsePlace(text, {
    schemes: /^(?:https|h2c):\/\//i,
    wanted:
      'an address such as "h2c://127.0.0.1:8081", "https://…" (HTTP/2 over TLS) or "unix:/run/model.sock"',
  });
}

const PORTS: Readonly<Record<Scheme, number>> = { http: 80, https: 443, h2c: 80 };

function parsePlace(
  text: string,
  { schemes, wanted }: { readonly schemes: RegExp; readonly wanted: string },
): Parsed<Origin> {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    if (!/^\/[^\0:]+$/.test(path)) return { wrong: 'must be "unix:" and an absolute path without ":"' };
    return { value: { kind: "unix", url: `unix:${path}`, path } };
  }
  if (!schemes.test(text)) return { wrong: `must be ${wanted}` };
  const scheme = schemeOf(text);
  // URL knows hosts and ports of http, not of h2c.
  const known = text.replace(/^h2c:/i, "http:");
  const url = URL.canParse(known) ? new URL(known) : null;
  if (url === null) return { wrong: `must be ${wanted}` };
  const wrong = wrongWith(url);
  if (wrong !== null) return { wrong };
  const port = url.port === "" ? PORTS[scheme] : Number(url.port);
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return { value: { kind: "tcp", url: `${scheme}://${formatAddress({ host, port })}`, scheme, host, port } };
}

function schemeOf(text: string): Scheme {
  if (/^h2c:/i.test(text)) return "h2c";
  return /^https:/i.test(text) ? "https" : "http";
}
