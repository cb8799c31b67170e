// Who may come in: tokens by digest, and without tokens only this machine's own programs (no DNS rebinding, no cross-site writes).

import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { Problem } from "../kernel/problem.ts";
import type { ApiOptions, Scope } from "./contract.ts";
import { ApiProblem } from "./problems.ts";

export interface Guard {
  /** Throws an ApiProblem when `request` may not do what `scope` names (null: open to everybody who may connect). */
  /** Answers how it was let in: "api", or "token:<name>". */
  admit(request: IncomingMessage, scope: Scope | null): string;
}

interface KnownToken {
  readonly name: string;
  readonly digest: Buffer;
  readonly scopes: ReadonlySet<Scope>;
}

/** True for `localhost`, 127.0.0.0/8, ::1 and their bracketed or IPv4-mapped spellings. */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/^::ffff:/, "");
  return name === "localhost" || name === "::1" || (isIPv4(name) && name.startsWith("127."));
}

/** The name in a Host header, without its port. */
function hostName(header: string): string {
  const bracketed = /^(\[[^\]]*\])(?::\d*)?$/.exec(header);
  return bracketed?.[1] ?? header.replace(/:\d*$/, "");
}

function parseTokens(options: ApiOptions): readonly KnownToken[] {
  return options.tokens.map(({ name, sha256, scopes }, index) => {
    if (!/^[0-9a-f]{64}$/i.test(sha256)) {
      const message = `token "${name}" needs sha256: the SHA-256 of the token as 64 hex digits`;
      throw new Problem("invalid_token_digest", message, `api.tokens[${index}].sha256`);
    }
    return { name, digest: Buffer.from(sha256, "hex"), scopes: new Set(scopes) };
  });
}

/** The presented token, or null when it is none of ours. Every digest is compared, whichever fits. */
function tokenOf(tokens: readonly KnownToken[], authorization: string | undefined): KnownToken | null {
  const presented = /^bearer +([^\s]+) *$/i.exec(authorization ?? "")?.[1];
  if (presented === undefined) return null;
  const digest = createHash("sha256").update(presented).digest();
  let known: KnownToken | null = null;
  for (const token of tokens) {
    if (timingSafeEqual(token.digest, digest)) known = token;
  }
  return known;
}

function refuseForeignHost(request: IncomingMessage): void {
  // Node shows the first of several; a program in between may have looked at another.
  const [host, ...more] = request.headersDistinct["host"] ?? [];
  if (host !== undefined && more.length === 0 && isLoopbackHost(hostName(host))) return;
  throw new ApiProblem(
    "host_not_allowed",
    "without api.tokens the API answers only to Host localhost, 127.0.0.1 or [::1]",
  );
}

/** A browser tells where a request comes from; pages of other sites may not write. */
function refuseCrossSite(request: IncomingMessage): void {
  const site = request.headers["sec-fetch-site"];
  const { origin, host } = request.headers;
  const siteFits = site === undefined || site === "same-origin" || site === "none";
  const originFits = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  if (siteFits && originFits) return;
  throw new ApiProblem("cross_site", "a page of another site may not write to this API");
}

/** Checks the options as well: throws a Problem when they would leave the API open to the network. */
export function createGuard(options: ApiOptions): Guard {
  const tokens = parseTokens(options);
  if (tokens.length === 0 && !isLoopbackHost(options.listen.host)) {
    throw new Problem(
      "api_tokens_required",
      `the API would be open to the network at ${options.listen.host}: set api.tokens, or listen on 127.0.0.1`,
      "api.tokens",
    );
  }
  return {
    admit(request, scope) {
      if (tokens.length === 0) refuseForeignHost(request);
      if (request.method !== "GET" && request.method !== "HEAD") refuseCrossSite(request);
      if (scope === null || tokens.length === 0) return "api";
      const granted = tokenOf(tokens, request.headers.authorization);
      if (granted === null) {
        throw new ApiProblem(
          "unauthorized",
          "send Authorization: Bearer <token> with a token of api.tokens",
          {
            headers: { "www-authenticate": 'Bearer realm="outrider"' },
          },
        );
      }
      if (granted.scopes.has(scope)) return `token:${granted.name}`;
      throw new ApiProblem("insufficient_scope", `this token lacks the scope ${scope}`, {
        headers: {
          "www-authenticate": `Bearer realm="outrider", error="insufficient_scope", scope="${scope}"`,
        },
      });
    },
  };
}
