// Path patterns of the configuration: `*` is anything within a segment, `**` anything at all, everything else itself.

const SLASH = 0x2f;
/** Beside the codes of characters. */
const WITHIN_SEGMENT = -1;
const ANYTHING = -2;

/** Compiles `pattern` to a test of a request path (without query). Its time is linear in the path, whatever the path is. */
export function compileGlob(pattern: string): (path: string) => boolean {
  const parts = partsOf(pattern);
  if (mayBacktrack(parts)) return (path) => walk(parts, path);
  const expression = new RegExp(`^${parts.map(sourceOf).join("")}$`, "s");
  return (path) => expression.test(path);
}

function partsOf(pattern: string): number[] {
  const parts: number[] = [];
  for (let i = 0; i < pattern.length; i++) {
    const twice = pattern.startsWith("**", i);
    parts.push(twice ? ANYTHING : pattern.charAt(i) === "*" ? WITHIN_SEGMENT : pattern.charCodeAt(i));
    while (twice && pattern.charAt(i + 1) === "*") i++;
  }
  return parts;
}

function sourceOf(part: number): string {
  if (part === ANYTHING) return ".*";
  if (part === WITHIN_SEGMENT) return "[^/]*";
  return String.fromCharCode(part).replace(/[\\^$.|?+()[\]{}]/, "\\$&");
}

/** An expression would try every split of a path between two stars: the square of its length, or more. */
function mayBacktrack(parts: readonly number[]): boolean {
  let stars = 0;
  let inSegment = 0;
  let manyWays = false;
  parts.forEach((part, at) => {
    if (part === SLASH) inSegment = 0;
    if (part >= 0) return;
    stars++;
    // At the end it takes the rest, and there is one way to.
    manyWays ||= part === ANYTHING && at < parts.length - 1;
    if (++inSegment > 1) manyWays = true;
  });
  return stars > 1 && manyWays;
}

/** All places of the pattern that a path can have come to, character by character. */
function walk(parts: readonly number[], path: string): boolean {
  let now = new Uint8Array(parts.length + 1);
  let next = new Uint8Array(parts.length + 1);
  now[0] = 1;
  skipStars(parts, now);
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    next.fill(0);
    for (let i = 0; i < parts.length; i++) {
      if (now[i] === 0) continue;
      const part = parts[i];
      if (part === code) next[i + 1] = 1;
      else if (part === ANYTHING || (part === WITHIN_SEGMENT && code !== SLASH)) next[i] = 1;
    }
    skipStars(parts, next);
    [now, next] = [next, now];
  }
  return now[parts.length] === 1;
}

/** A star may stand for nothing. */
function skipStars(parts: readonly number[], places: Uint8Array): void {
  for (let i = 0; i < parts.length; i++) if (places[i] === 1 && (parts[i] ?? 0) < 0) places[i + 1] = 1;
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
