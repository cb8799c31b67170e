// @ts-check
// How good each version is: figures with their intervals and coverage, and how they went.

import { byId, element, replace, table } from "./dom.js";
import { ago, figure, percent, whole } from "./format.js";
import { ChartFigure } from "./plots.js";

/** @typedef {import("../../../facts/status.ts").Status} Status */
/** @typedef {import("../../../facts/status.ts").StatusModel} Model */
/** @typedef {import("../../../facts/status.ts").QualityTrack} Track */
/** @typedef {NonNullable<import("../../../facts/status.ts").StatusVersion["group"]>} Group */

const METRICS = [
  "rmse",
  "mae",
  "r2",
  "accuracy",
  "precision",
  "recall",
  "f1",
  "f1_macro",
  "roc_auc",
  "roc_auc_ovr_macro",
];
/** What is drawn first. */
const HEADLINES = ["rmse", "f1", "f1_macro", "accuracy"];
/** Versions drawn in one plot: the newest. */
const LINES_MAX = 6;

/** @type {Map<string, { box: HTMLElement, rows: HTMLElement, choice: HTMLSelectElement, figure: ChartFigure }>} */
const boxes = new Map();

/** @param {Group | null} group @param {string} metric */
function metricCell(group, metric) {
  const value = group?.metrics[metric];
  if (group === null || value === undefined || value === null) {
    const why = group?.undefined[metric];
    return element("td", why === undefined ? {} : { title: why }, ["–"]);
  }
  const interval = group.intervals?.[metric];
  const range =
    interval === undefined || interval === null
      ? ""
      : ` ${figure(interval.lower)} … ${figure(interval.upper)}`;
  return element("td", {}, [figure(value), element("small", {}, [range])]);
}

/** @param {Model} model @param {number} now */
function versionsTable(model, now) {
  const present = METRICS.filter((metric) =>
    model.versions.some(({ group }) => group !== null && metric in group.metrics),
  );
  const rows = model.versions.map((version) => {
    const { group } = version;
    const share = model.served.find((served) => served.version === version.version)?.share;
    const stage = version.stage ?? "";
    return [
      element("th", { scope: "row" }, [version.version]),
      element("td", {}, [
        version.registered ? stage : `${stage === "" || stage === "none" ? "" : `${stage}, `}unregistered`,
      ]),
      element("td", {}, [share === undefined ? ago(isoOrNull(version.lastSeen), now) : percent(share)]),
      element("td", {}, [whole(group?.n_predictions ?? 0)]),
      element("td", {}, [whole(group?.n_labeled ?? 0)]),
      element("td", {}, [percent(group?.coverage)]),
      element("td", {}, [percent(group?.maturity)]),
      ...present.map((metric) => metricCell(group, metric)),
    ];
  });
  return table(
    "",
    ["version", "stage", "served", "predictions", "labels", "coverage", "maturity", ...present],
    rows,
  );
}

/** @param {number | null} ms */
function isoOrNull(ms) {
  return ms === null ? null : new Date(ms).toISOString();
}

/** @param {readonly Track[]} tracks @param {string} metric @returns {import("./plots.js").Chart} */
function chartOf(tracks, metric) {
  const shown = tracks.slice(-LINES_MAX);
  const times = [...new Set(shown.flatMap(({ points }) => points.map(({ at }) => at)))].toSorted(
    (a, b) => a - b,
  );
  const lines = shown.map((track) => {
    const known = new Map(track.points.map((point) => [point.at, point.metrics[metric]]));
    const column = (/** @type {0 | 1 | 2} */ part) => times.map((time) => known.get(time)?.[part] ?? null);
    return { label: track.version, values: column(0), band: { lower: column(1), upper: column(2) } };
  });
  return {
    title: metric,
    note: "since the start, with 95 % intervals",
    times,
    lines,
    show: figure,
    zero: false,
  };
}

/** @param {string} name */
function boxOf(name) {
  const known = boxes.get(name);
  if (known !== undefined) return known;
  const rows = element("div");
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", `Metric drawn for ${name}`);
  const drawn = new ChartFigure();
  const label = element("p", { class: "note" }, ["Drawn: ", choice]);
  const box = element("section", { "aria-label": name }, [
    element("h3", {}, [name]),
    rows,
    label,
    drawn.element,
  ]);
  const made = { box, rows, choice, figure: drawn };
  boxes.set(name, made);
  byId("models").append(box);
  choice.addEventListener("change", () => choice.dispatchEvent(new Event("redraw", { bubbles: true })));
  return made;
}

/** @param {HTMLSelectElement} choice @param {readonly Track[]} tracks */
function offerMetrics(choice, tracks) {
  const known = new Set(tracks.flatMap(({ points }) => Object.keys(points.at(-1)?.metrics ?? {})));
  const offered = METRICS.filter((metric) => known.has(metric));
  const before = choice.value;
  if ([...choice.options].map(({ value }) => value).join() === offered.join()) return;
  choice.replaceChildren(...offered.map((metric) => element("option", { value: metric }, [metric])));
  choice.value = offered.includes(before)
    ? before
    : (HEADLINES.find((metric) => offered.includes(metric)) ?? offered[0] ?? "");
}

/** @param {Status} status */
export function showQuality(status) {
  const place = byId("models");
  if (status.models.length === 0) {
    boxes.clear();
    replace(place, [
      element("p", { class: "note" }, ["No prediction was seen yet: send a request to the traffic port."]),
    ]);
    return;
  }
  if (boxes.size === 0) place.replaceChildren();
  for (const model of status.models) {
    const { rows, choice, figure: drawn } = boxOf(model.name);
    const declared =
      model.declared === null
        ? null
        : element("p", { class: "note" }, [
            `Declared in production: ${model.declared.version} (${model.declared.source})`,
          ]);
    replace(rows, [...(declared === null ? [] : [declared]), versionsTable(model, status.at)]);
    const tracks = status.history.filter((track) => track.model === model.name);
    offerMetrics(choice, tracks);
    const empty = choice.options.length === 0;
    drawn.element.hidden = empty;
    if (choice.parentElement !== null) choice.parentElement.hidden = empty;
    if (!empty) drawn.update(chartOf(tracks, choice.value));
  }
}

/** @param {Status} status */
export function showVerdicts(status) {
  const rows = status.verdicts.map((verdict) => [
    element("th", { scope: "row" }, [verdict.model]),
    element("td", {}, [`${verdict.baseline} → ${verdict.candidate}`]),
    element("td", {}, [verdict.metric]),
    element("td", {}, [figure(verdict.difference)]),
    element("td", {}, [
      verdict.lower === null ? "too few labels" : `${figure(verdict.lower)} … ${figure(verdict.upper)}`,
    ]),
    element("td", { class: verdict.verdict }, [verdict.verdict]),
  ]);
  const nothing = element("p", { class: "note" }, ["There are no two versions of a model to compare yet."]);
  replace(
    byId("verdicts"),
    rows.length === 0
      ? [nothing]
      : [table("", ["model", "versions", "loss", "difference", "95 % interval", "verdict"], rows)],
  );
}
