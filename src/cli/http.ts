// Small GETs of the command line, with a deadline.

import { request } from "undici";
import { messageOf, Problem } from "../kernel/problem.ts";

/** The body of a 200 answer. Throws Problem `api_unreachable` or `api_refused`. */
export async function getText(url: string, token: string | null): Promise<string> {
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  try {
    const { statusCode, body } = await request(url, { headers, headersTimeout: 10_000, bodyTimeout: 10_000 });
    const text = await body.text();
    if (statusCode !== 200)
      throw new Problem("api_refused", `${url} answered ${statusCode}: ${text.slice(0, 500)}`);
    return text;
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown;
    throw new Problem(
      "api_unreachable",
      `${url}: ${messageOf(thrown)}; is the sidecar running, and is this its API address?`,
    );
  }
}
