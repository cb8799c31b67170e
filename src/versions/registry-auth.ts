// How each registry wants to be told who we are. Secrets stay in headers; nothing here is logged.

import * as z from "zod";
import type { Clock } from "../kernel/clock.ts";
import { createRegistryHttp, picked, type Authorise } from "./registry-http.ts";
import type { RegistryType } from "./registry.ts";

export interface Credentials {
  readonly type: RegistryType;
  readonly url: string;
  /** Token; `user:password` (MLflow), `public:secret` key (Langfuse), or the secret of `clientId` (Databricks). */
  readonly token: string | null;
  /** Databricks service principal: its token is fetched by OAuth (client credentials). */
  readonly clientId: string | null;
  /** Further headers of every call: a workspace, a gateway's own key. */
  readonly headers: Readonly<Record<string, string>>;
}

/** An OAuth token is fetched again so long before it ends. */
const EARLY_MS = 60_000;

function basic(pair: string): string {
  return `Basic ${Buffer.from(pair).toString("base64")}`;
}

/** Headers that hold for the life of the program; null: they must be fetched (OAuth). */
export function fixedHeaders({
  type,
  token,
  clientId,
  headers,
}: Credentials): Readonly<Record<string, string>> | null {
  if (type === "databricks" && clientId !== null) return null;
  if (token === null) return headers;
  const pair = type === "langfuse" || (type === "mlflow" && token.includes(":"));
  return { ...headers, authorization: pair ? basic(token) : `Bearer ${token}` };
}

const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number().default(3600) });

/** RFC 6749 section 4.4 at /oidc/v1/token, as the Databricks SDK does it. */
function clientCredentials(credentials: Credentials, clock: Clock): Authorise {
  const { url, token, clientId, headers } = credentials;
  const secret = { ...headers, authorization: basic(`${clientId ?? ""}:${token ?? ""}`) };
  const http = createRegistryHttp(url, () => Promise.resolve({ kind: "ok", value: secret }));
  let held: { readonly lines: Readonly<Record<string, string>>; readonly untilMs: number } | null = null;
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
  const fixed = fixedHeaders(credentials);
  return fixed === null
    ? clientCredentials(credentials, clock)
    : () => Promise.resolve({ kind: "ok", value: fixed });
}
