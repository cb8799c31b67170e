// Text in the cells of Markdown tables.

/** `|` ends a cell of a table, so it is escaped. */
export const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
export const code = (text: string): string => (text === "" ? "" : `\`${cell(text)}\``);
