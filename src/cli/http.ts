// Small GETs of the command line, with a deadline.

import { request } from "undici";
import { messageOf, Problem } from "../kernel/problem.ts";

interface Sending {
  readonly method: "GET" | "POST";
  readonly body?: string;
}

/** The detail of a problem document, or the text as it is. */
function refusalOf(text: string): string {
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem === "object" && problem !== null && "detail" in problem && "code" in problem)
      return `${String(problem.code)}: ${String(problem.detail)}`;
  } catch {
    // Not JSON: shown as it came.
  }
  return text.slice(0, 500);
}

async function ask(url: string, token: string | null, { method, body }: Sending): Promise<string> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  try {
    const sent = body === undefined ? {} : { body };
    const answer = await request(url, {
      method,
      ...sent,
      headers,
      headersTimeout: 10_000,
      bodyTimeout: 10_000,
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200)
      throw new Problem("api_refused", `${url} answered ${answer.statusCode}: ${refusalOf(text)}`);
    return text;
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown;
    throw new Problem(
      "api_unreachable",
      `${url}: ${messageOf(thrown)}; is the sidecar running, and is this its API address?`,
    );
  }
}

/** "?a=1&b=2" of what is not null; "" of nothing. */
export function queryOf(values: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== null) query.set(name, value);
  return query.size === 0 ? "" : `?${query.toString()}`;
}

/** The body of a 200 answer. Throws Problem `api_unreachable` or `api_refused`. */
export function getText(url: string, token: string | null): Promise<string> {
  return ask(url, token, { method: "GET" });
}

/** Sends `body` as JSON; never again by itself. Throws as `getText`. */
export function postText(url: string, body: unknown, token: string | null): Promise<string> {
  return ask(url, token, { method: "POST", body: JSON.stringify(body) });
}
