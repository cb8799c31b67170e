// How each registry wants to be told who we are. Secrets stay in headers; nothing here is logged.

import * as z from "zod";
import { readFileSync } from "node:fs";
import type { Clock } from "../kernel/clock.ts";
import { createRegistryHttp, picked, type Authorise } from "./registry-http.ts";
import type { RegistryType } from "./registry.ts";

export interface Credentials {
  readonly type: RegistryType;
  readonly url: string;
  /** Token; `user:password` (MLflow), `public:secret` key (Langfuse), or the secret of `clientId` (Databricks). */
  readonly token: string | null;
  /** Where the token came from: read again, since tokens are renewed there. */
  readonly tokenFile: string | null;
  /** Databricks service principal: its token is fetched by OAuth (client credentials). */
  readonly clientId: string | null;
  /** Further headers of every call: a workspace, a gateway's own key. */
  readonly headers: Readonly<Record<string, string>>;
}

type Lines = Readonly<Record<string, string>>;

/** An OAuth token is fetched again so long before it ends. */
const EARLY_MS = 60_000;
/** A token's file is looked at so often, and whenever the token was refused. */
const REREAD_MS = 60_000;

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

function linesOf({ type, headers }: Credentials, token: string | null): Lines {
  if (token === null) return headers;
  const pair = type === "langfuse" || (type === "mlflow" && token.includes(":"));
  return { ...headers, authorization: pair ? basic(token) : `Bearer ${token}` };
}

/** The token as it stands in its file; one that cannot be read, or is empty, leaves the last one. */
function tokenSource({ token, tokenFile }: Credentials, clock: Clock): (refused: boolean) => string | null {
  if (tokenFile === null) return () => token;
  let held = token;
  let readAt = clock.monotonicMs();
  return (refused) => {
    const now = clock.monotonicMs();
    if (!refused && now - readAt < REREAD_MS) return held;
    readAt = now;
    try {
      held = readFileSync(tokenFile, "utf8").trim() || held;
    } catch {
      // While it is being replaced it may be missing.
    }
    return held;
  };
}

function lasting(credentials: Credentials, tokenOf: (refused: boolean) => string | null): Authorise {
  let token = tokenOf(false);
  let lines = linesOf(credentials, token);
  return (refused) => {
    const now = tokenOf(refused);
    if (now !== token) {
      token = now;
      lines = linesOf(credentials, token);
    }
    return Promise.resolve({ kind: "ok", value: lines });
  };
}

const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number().default(3600) });

/** RFC 6749 section 4.4 at /oidc/v1/token, as the Databricks SDK does it. */
function clientCredentials(
  { url, clientId, headers }: Credentials,
  tokenOf: (refused: boolean) => string | null,
  clock: Clock,
): Authorise {
  const http = createRegistryHttp(url, (refused) =>
    Promise.resolve({
      kind: "ok",
      value: { ...headers, authorization: basic(`${clientId ?? ""}:${tokenOf(refused) ?? ""}`) },
    }),
  );
  let held: { readonly lines: Lines; readonly untilMs: number } | null = null;
  return async (refused) => {
    if (!refused && held !== null && clock.monotonicMs() < held.untilMs)
      return { kind: "ok", value: held.lines };
    const reply = picked(
      await http.call({
        method: "POST",
        path: "/oidc/v1/token",
        form: { grant_type: "client_credentials", scope: "all-apis" },
      }),
      (json) => tokenAnswer.safeParse(json).data ?? null,
    );
    if (reply.kind !== "ok") return reply;
    const lines = { ...headers, authorization: `Bearer ${reply.value.access_token}` };
    held = { lines, untilMs: clock.monotonicMs() + reply.value.expires_in * 1000 - EARLY_MS };
    return { kind: "ok", value: lines };
  };
}

export function authoriseOf(credentials: Credentials, clock: Clock): Authorise {
  const tokenOf = tokenSource(credentials, clock);
  return credentials.type === "databricks" && credentials.clientId !== null
    ? clientCredentials(credentials, tokenOf, clock)
    : lasting(credentials, tokenOf);
}
