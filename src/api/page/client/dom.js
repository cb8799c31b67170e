// @ts-check
// Elements with text; nothing that came from outside is ever read as HTML.

/** @typedef {Node | string | number | null} Child */

/**
 * @param {string} tag
 * @param {Readonly<Record<string, string>>} attributes
 * @param {readonly Child[]} children
 */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const child of children)
    if (child !== null) made.append(child instanceof Node ? child : String(child));
  return made;
}

/** @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Replaces the children only when their text differs: focus, selections and screen readers are left alone.
 * @param {Element} parent
 * @param {readonly Node[]} children
 */
export function replace(parent, children) {
  const fresh = element("div", {}, children);
  if (fresh.innerHTML === parent.innerHTML) return;
  parent.replaceChildren(...fresh.childNodes);
}

/**
 * @param {string} caption
 * @param {readonly string[]} heads
 * @param {readonly (readonly Node[])[]} rows cells: th or td
 */
export function table(caption, heads, rows) {
  const head = element(
    "tr",
    {},
    heads.map((text) => element("th", { scope: "col" }, [text])),
  );
  const label = element("caption", { class: "note" }, [caption]);
  const body = rows.map((cells) => element("tr", {}, cells));
  const made = element("table", {}, [
    ...(caption === "" ? [] : [label]),
    element("thead", {}, [head]),
    element("tbody", {}, body),
  ]);
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption || heads.join(", ") },
    [made],
  );
}
