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
}: Credentials): Readonly<Record<string, string>> | null {
  if (type === "databricks" && clientId !== null) return null;
  if (token === null) return {};
  const pair = type === "langfuse" || (type === "mlflow" && token.includes(":"));
  return { authorization: pair ? basic(token) : `Bearer ${token}` };
}

const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number().default(3600) });

/** RFC 6749 section 4.4 at /oidc/v1/token, as the Databricks SDK does it. */
function clientCredentials({ url, token, clientId }: Credentials, clock: Clock): Authorise {
  const secret = { authorization: basic(`${clientId ?? ""}:${token ?? ""}`) };
  const http = createRegistryHttp(url, () => Promise.resolve({ kind: "ok", value: secret }));
  let held: { readonly header: string; readonly untilMs: number } | null = null;
  return async () => {
    if (held !== null && clock.monotonicMs() < held.untilMs)
      return { kind: "ok", value: { authorization: held.header } };
    const reply = picked(
      await http.call({
        method: "POST",
        path: "/oidc/v1/token",
        form: { grant_type: "client_credentials", scope: "all-apis" },
      }),
      (json) => tokenAnswer.safeParse(json).data ?? null,
    );
    if (reply.kind !== "ok") return reply;
    const header = `Bearer ${reply.value.access_token}`;
    held = { header, untilMs: clock.monotonicMs() + reply.value.expires_in * 1000 - EARLY_MS };
    return { kind: "ok", value: { authorization: header } };
  };
}

export function authoriseOf(credentials: Credentials, clock: Clock): Authorise {
  const fixed = fixedHeaders(credentials);
  return fixed === null
    ? clientCredentials(credentials, clock)
    : () => Promise.resolve({ kind: "ok", value: fixed });
}
