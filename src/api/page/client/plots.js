// @ts-check
// Lines over time: uPlot draws them, a sentence and a table say the same to those who do not see them.

import { element } from "./dom.js";
import { clockTime } from "./format.js";

/** @type {typeof import("uplot")} */
const Plot = Reflect.get(globalThis, "uPlot");
const HEIGHT = 190;
const TABLE_ROWS = 12;

/**
 * @typedef {{ label: string, values: readonly (number | null)[], dash?: boolean, band?: { lower: readonly (number | null)[], upper: readonly (number | null)[] } }} Line
 * @typedef {{ title: string, note?: string, times: readonly number[], lines: readonly Line[], show: (value: number | null | undefined) => string, zero?: boolean, max?: number }} Chart
 */

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @param {number} index */
function lineColour(index) {
  return colour(`--plot-${(index % 6) + 1}`);
}

/** @param {Chart} chart @param {number} width */
function optionsOf(chart, width) {
  /** @type {import("uplot").Series[]} */
  const series = [{ value: (_plot, at) => (at === null ? "–" : clockTime(at * 1000)) }];
  /** @type {import("uplot").Band[]} */
  const bands = [];
  chart.lines.forEach((line, index) => {
    const stroke = lineColour(index);
    const dash = line.dash === true ? { dash: [5, 4] } : {};
    series.push({
      label: line.label,
      stroke,
      width: 1.75,
      spanGaps: true,
      value: (_plot, value) => chart.show(value),
      ...dash,
    });
    if (line.band === undefined) return;
    const at = series.length;
    const edge = { class: "edge", stroke: "transparent", points: { show: false }, spanGaps: true };
    series.push({ ...edge, label: `${line.label} upper`, value: (_plot, value) => chart.show(value) });
    series.push({ ...edge, label: `${line.label} lower`, value: (_plot, value) => chart.show(value) });
    bands.push({ series: [at, at + 1], fill: `${stroke}22` });
  });
  const axis = {
    stroke: colour("--soft"),
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false },
  };
  const { zero = true, max } = chart;
  return {
    width,
    height: HEIGHT,
    series,
    bands,
    cursor: { y: false, drag: { x: false, y: false } },
    axes: [
      axis,
      {
        ...axis,
        size: 66,
        values: (/** @type {unknown} */ _plot, /** @type {number[]} */ ticks) =>
          ticks.map((tick) => chart.show(tick)),
      },
    ],
    scales: {
      x: { time: true },
      y: {
        range: (/** @type {unknown} */ _plot, /** @type {number} */ low, /** @type {number} */ high) =>
          rangeOf({ low, high, zero, max }),
      },
    },
  };
}

/** @param {{ low: number | null, high: number | null, zero: boolean, max: number | undefined }} of @returns {[number, number]} */
function rangeOf({ low, high, zero, max }) {
  const bottom = zero ? Math.min(0, low ?? 0) : (low ?? 0);
  const top = max ?? high ?? 1;
  const space = (top - bottom) * 0.08 || Math.abs(top) * 0.1 || 1;
  return [zero && bottom === 0 ? 0 : bottom - space, max ?? top + space];
}

/** @param {Chart} chart @returns {import("uplot").AlignedData} */
function dataOf(chart) {
  const columns = chart.lines.flatMap((line) => [
    line.values,
    ...(line.band === undefined ? [] : [line.band.upper, line.band.lower]),
  ]);
  return [chart.times.map((ms) => ms / 1000), ...columns.map((column) => [...column])];
}

/** @param {Chart} chart */
function summaryOf(chart) {
  const last = chart.lines.map(
    (line) => `${line.label} ${chart.show(line.values.findLast((value) => value !== null))}`,
  );
  return `${chart.title}: latest ${last.join(", ")}`;
}

/** @param {Chart} chart */
function tableOf(chart) {
  const head = ["time", ...chart.lines.map(({ label }) => label)].map((text) =>
    element("th", { scope: "col" }, [text]),
  );
  const from = Math.max(0, chart.times.length - TABLE_ROWS);
  const rows = chart.times
    .slice(from)
    .map((time, i) =>
      element("tr", {}, [
        element("th", { scope: "row" }, [clockTime(time)]),
        ...chart.lines.map((line) => element("td", {}, [chart.show(line.values[from + i])])),
      ]),
    );
  return element("table", {}, [element("thead", {}, [element("tr", {}, head)]), element("tbody", {}, rows)]);
}

/** A figure that is drawn anew with `update`; its place on the page comes before the first. */
export class ChartFigure {
  #place = element("div", { role: "img" });
  #table = element("div");
  #details = element("details", {}, [element("summary", {}, ["as a table"]), this.#table]);
  #caption = element("figcaption");
  element = element("figure", {}, [this.#caption, this.#place, this.#details]);
  /** @type {import("uplot") | null} */
  #plot = null;
  #shape = "";
  /** @type {Chart | null} */
  #chart = null;

  constructor() {
    this.#details.addEventListener("toggle", () => this.#tell());
  }

  #tell() {
    const shown = this.#chart !== null && this.#details.hasAttribute("open");
    this.#table.replaceChildren(...(shown && this.#chart !== null ? [tableOf(this.#chart)] : []));
  }

  /** @param {Chart} chart */
  update(chart) {
    this.#chart = chart;
    const note = chart.note === undefined ? [] : [" ", element("small", {}, [chart.note])];
    this.#caption.replaceChildren(chart.title, ...note);
    this.#place.setAttribute("aria-label", summaryOf(chart));
    this.#tell();
    const width = Math.max(200, Math.floor(this.#place.clientWidth));
    const kinds = chart.lines.map(({ label, band }) => [label, band !== undefined]);
    const shape = JSON.stringify([kinds, width, colour("--ink")]);
    if (this.#plot !== null && shape === this.#shape) {
      this.#plot.setData(dataOf(chart));
      this.#tellLatest(this.#plot);
      return;
    }
    this.#plot?.destroy();
    this.#plot = new Plot(optionsOf(chart, width), dataOf(chart), this.#place);
    this.#shape = shape;
    this.#tellLatest(this.#plot);
  }

  /**
   * Until somebody points at a time, the legend tells the last one.
   * @param {import("uplot")} plot
   */
  #tellLatest(plot) {
    const last = (this.#chart?.times.length ?? 0) - 1;
    if ((plot.cursor.idx ?? null) === null && last >= 0) plot.setLegend({ idx: last });
  }
}
