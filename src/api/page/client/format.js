// @ts-check
// Figures as people read them. Pure.

/** @param {number | null | undefined} ms */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

/** @param {number | null | undefined} share */
export function percent(share) {
  if (share === null || share === undefined) return "–";
  const digits = share > 0.999 && share < 1 ? 3 : 1;
  return `${(share * 100).toFixed(digits)} %`;
}

/** @param {number | null | undefined} bytes */
export function bytes(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const mebi = bytes / 1024 / 1024;
  return mebi < 1024 ? `${Math.round(mebi)} MiB` : `${(mebi / 1024).toFixed(2)} GiB`;
}

/** @param {number | null | undefined} value */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

/** @param {number} count */
export function whole(count) {
  return count.toLocaleString("en-GB");
}

/** @param {string | number | null} time */
export function clockTime(time) {
  return time === null ? "–" : new Date(time).toLocaleTimeString();
}

/** @param {string | null} time @param {number} now */
export function ago(time, now) {
  if (time === null) return "–";
  const seconds = Math.max(0, Math.round((now - new Date(time).getTime()) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}
