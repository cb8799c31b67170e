// Path patterns of the configuration: `*` is anything within a segment, `**` anything at all, everything else itself.

/** Compiles `pattern` to a test of a request path (without query). Linear: no nested repetition is ever produced. */
export function compileGlob(pattern: string): (path: string) => boolean {
  let source = "";
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern.charAt(i);
    if (char === "*" && pattern.charAt(i + 1) === "*") {
      source += ".*";
      while (pattern.charAt(i + 1) === "*") i++;
    } else if (char === "*") source += "[^/]*";
    else source += char.replace(/[\\^$.|?+()[\]{}]/, "\\$&");
  }
  const expression = new RegExp(`^${source}$`, "s");
  return (path) => expression.test(path);
}

/** The path of a request target: what stands before `?`, or the path of an absolute-form target. */
export function pathOf(target: string): string {
  let path = target;
  if (!path.startsWith("/")) {
    const afterScheme = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i.exec(path);
    if (afterScheme !== null) path = path.slice(afterScheme[0].length) || "/";
  }
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}
