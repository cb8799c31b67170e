// What was lost on the way to the observer, counted exactly by the process that outlives it: seen = recorded + dropped + queued.

export interface LossBook {
  seen: number;
  recorded: number;
  readonly dropped: Map<string, number>;
}

export function createLossBook(): LossBook {
  return { seen: 0, recorded: 0, dropped: new Map() };
}

/** `queue`: where it was lost; `what`: whole facts, or only the copies of bodies. */
export function drop(
  book: LossBook,
  where: { queue: "observer" | "store"; what: "fact" | "body" },
  count: number,
): void {
  if (count === 0) return;
  const key = `${where.queue}/${where.what}`;
  book.dropped.set(key, (book.dropped.get(key) ?? 0) + count);
}

/** Takes over losses that another process has counted, keys `queue/what`. A fact that was lost there was seen there. */
export function addLosses(book: LossBook, dropped: Readonly<Record<string, number>>): void {
  for (const [key, count] of Object.entries(dropped)) {
    if (count === 0) continue;
    book.dropped.set(key, (book.dropped.get(key) ?? 0) + count);
    if (key.endsWith("/fact")) book.seen += count;
  }
}
