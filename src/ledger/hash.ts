// The hash under which names are found in memory. Seeded per process: nobody outside can aim for collisions.

/** 32 bits over the UTF-16 units of `text`, seeded. */
export function hashText(text: string, seed: number): number {
  return hashEnd(hashPart(text, 0, seed), text.length);
}

/** What is known after text[from, ...), from what was known before it (the seed, at the beginning): names often begin alike. */
export function hashPart(text: string, from: number, before: number): number {
  let h = before | 0;
  for (let i = from; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x9e3779b1);
    h ^= h >>> 15;
  }
  return h;
}

/** The hash of a text of `length` from what is known after all of it. */
export function hashEnd(state: number, length: number): number {
  let h = state ^ length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
