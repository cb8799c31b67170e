// What is remembered of requests and answers that came before: how often it did not help, and what was forgotten to make room.

/** Counted where something is looked up and is not there, and where something goes for another one. A find is not counted. */
export interface Recall {
  misses: number;
  evictions: number;
}

/** By what is remembered: the values of `cache` in `outrider_proxy_cache_misses_total`. */
export interface Recalls {
  readonly request_head: Recall;
  readonly answer_head: Recall;
  readonly target: Recall;
}

export function newRecall(): Recall {
  return { misses: 0, evictions: 0 };
}

export function countsOf(recalls: Recalls, what: keyof Recall): Record<string, number> {
  return Object.fromEntries(
    Object.entries(recalls).map(([name, recall]: [string, Recall]) => [name, recall[what]]),
  );
}
