// What was saved as JSON text is read back as if anyone might have written it.

/** The items of the list that `text` is, without those that do not fit; nothing when it is no list, or no JSON. */
export function savedItems<Item>(text: string, fits: (item: unknown) => item is Item): Item[] {
  try {
    const items: unknown = JSON.parse(text);
    return Array.isArray(items) ? items.filter(fits) : [];
  } catch {
    return [];
  }
}
