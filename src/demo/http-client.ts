// One POST over a kept-alive connection, bounded in time and in what is read of the answer.

import type { Agent, IncomingHttpHeaders } from "node:http";
import type { Clock } from "../kernel/clock.ts";
import { request } from "../kernel/http.ts";

export interface Post {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export type PostResult =
  | { readonly kind: "answered"; readonly status: number; readonly headers: IncomingHttpHeaders }
  | { readonly kind: "failed"; readonly why: string };

export interface PostNeeds {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly withinMs: number;
}

/** Resolves when the whole answer has been read (and dropped), failed, or took too long. Never rejects. */
export function post(what: Post, needs: PostNeeds): Promise<PostResult> {
  return new Promise((resolve) => {
    const { agent, clock, signal } = needs;
    const headers = {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(what.body)),
      ...what.headers,
    };
    const sent = request(what.url, { method: "POST", agent, signal, headers });
    const late = clock.after(needs.withinMs, () => sent.destroy(new Error("timed out")));
    const end = (result: PostResult): void => {
      late.cancel();
      resolve(result);
    };
    sent.on("error", (error) => end({ kind: "failed", why: error.message }));
    sent.on("response", (response) => {
      response.on("error", (error) => end({ kind: "failed", why: error.message }));
      response.on("close", () => end({ kind: "failed", why: "the answer was cut" }));
      response.on("end", () =>
        end({ kind: "answered", status: response.statusCode ?? 0, headers: response.headers }),
      );
      response.resume();
    });
    sent.end(what.body);
  });
}
