// @ts-check
// Asks for /v1/status every five seconds and shows it.

import { byId, element, replace, table } from "./dom.js";
import { ago, clockTime } from "./format.js";
import { showQuality, showVerdicts } from "./quality.js";
import { showService } from "./service.js";

/** @typedef {import("../../../facts/status.ts").Status} Status */

const EVERY_MS = 5000;
const TOKEN = "outrider-token";

/** @type {Status | null} */
let shown = null;
let paused = false;

/** @param {string} level @param {string} text */
function overall(level, text) {
  const place = byId("overall");
  place.className = level;
  const words = place.querySelector(".text");
  if (words !== null && words.textContent !== text) words.textContent = text;
  document.title = level === "ok" ? "Outrider" : `(${level}) Outrider`;
}

/** @param {Status} status */
function showFindings(status) {
  const items = status.findings.slice(0, 20).map((finding) => {
    const over = finding.until !== null;
    const when = over ? `until ${clockTime(finding.until)}` : `since ${clockTime(finding.since)}`;
    const text = `${over ? "over" : finding.severity}: ${finding.message}`;
    return element("li", { class: over ? "over" : finding.severity }, [
      text,
      " ",
      element("small", { class: "note" }, [when]),
    ]);
  });
  const nothing = element("li", { class: "ok" }, ["Nothing needs attention."]);
  const holding = status.findings.filter(({ until }) => until === null);
  replace(byId("findings"), holding.length === 0 ? [nothing, ...items] : items);
  const [worst] = ["critical", "warning"].filter((severity) =>
    holding.some((finding) => finding.severity === severity),
  );
  overall(worst ?? "ok", worst === undefined ? "All is well" : `${holding.length} need attention`);
}

/** @param {Status} status */
function showParts(status) {
  const rows = Object.entries(status.parts).map(([name, part]) => [
    element("th", { scope: "row" }, [name]),
    element("td", { class: part.state === "degraded" ? "worse" : "" }, [part.state]),
    element("td", {}, [ago(part.since, status.at)]),
    element("td", { class: "why" }, [part.why ?? ""]),
  ]);
  replace(byId("parts"), [table("", ["part", "state", "since", "why"], rows)]);
}

/** @param {readonly string[]} windows @param {string} chosen */
function offerWindows(windows, chosen) {
  const select = byId("window");
  if (select.childElementCount === windows.length) return;
  const options = windows.map((name) =>
    element("option", name === chosen ? { value: name, selected: "" } : { value: name }, [name]),
  );
  select.replaceChildren(...options);
}

/** @param {Status} status */
function show(status) {
  shown = status;
  offerWindows(status.windows, status.window);
  showFindings(status);
  showService(status.pulse);
  showQuality(status);
  showVerdicts(status);
  showParts(status);
  byId("stamp").textContent =
    `Outrider ${status.outrider}, as of ${clockTime(status.at)}, running since ${new Date(status.startedAt).toLocaleString()}`;
}

function chosenWindow() {
  const select = byId("window");
  return select instanceof HTMLSelectElement ? select.value : "";
}

async function look() {
  const window = chosenWindow();
  const token = sessionStorage.getItem(TOKEN);
  const answer = await fetch(`/v1/status${window === "" ? "" : `?window=${encodeURIComponent(window)}`}`, {
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(10_000),
  });
  byId("login").hidden = answer.status !== 401 && answer.status !== 403;
  if (!answer.ok)
    throw new Error(answer.status === 401 ? "a token is needed" : `the API answered ${answer.status}`);
  show(await answer.json());
}

async function lookSafely() {
  try {
    await look();
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    overall(
      "critical",
      shown === null ? `Nothing to show: ${why}` : `No news since ${clockTime(shown.at)}: ${why}`,
    );
  }
}

async function keepLooking() {
  if (!paused && !document.hidden) await lookSafely();
  setTimeout(() => void keepLooking(), EVERY_MS);
}

const pause = byId("pause");
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
});
byId("window").addEventListener("change", () => void lookSafely());
byId("models").addEventListener("redraw", () => shown !== null && showQuality(shown));
byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = byId("token");
  if (input instanceof HTMLInputElement) sessionStorage.setItem(TOKEN, input.value);
  void lookSafely();
});
const redraw = () => shown !== null && show(shown);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("resize", redraw);
document.addEventListener("visibilitychange", () => !document.hidden && !paused && void lookSafely());
void keepLooking();
