// Lists that come in pages: all of them, in bounded number. A page may be empty and still have a next one.

import type { Reply } from "./registry.ts";

const PAGES_MAX = 100;

export interface Page<T> {
  readonly items: readonly T[];
  /** null or "": this was the last. */
  readonly next: string | null;
}

/** Ends at the last page, at a token that comes again, or after 100 pages. */
export async function allPages<T>(
  ask: (pageToken: string | null) => Promise<Reply<Page<T>>>,
): Promise<Reply<readonly T[]>> {
  const items: T[] = [];
  const seen = new Set<string>();
  let token: string | null = null;
  for (let page = 0; page < PAGES_MAX; page++) {
    const reply: Reply<Page<T>> = await ask(token);
    if (reply.kind !== "ok") return reply;
    for (const item of reply.value.items) items.push(item);
    token = reply.value.next;
    if (token === null || token === "" || seen.has(token)) break;
    seen.add(token);
  }
  return { kind: "ok", value: items };
}
