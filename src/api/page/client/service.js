// @ts-check
// Traffic, errors, probes and the model server's process, over the last hour.

import { byId, element, replace } from "./dom.js";
import { bytes, duration, figure, percent } from "./format.js";
import { ChartFigure } from "./plots.js";

/** @typedef {import("../../../facts/status.ts").PulseBin} Bin */
/** @typedef {{ figure: ChartFigure, of: (bins: readonly Bin[], perSecond: number) => import("./plots.js").Chart }} Plotted */

/** @param {readonly Bin[]} bins @param {(bin: Bin) => number} of */
function sum(bins, of) {
  return bins.reduce((total, bin) => total + of(bin), 0);
}

/** @param {readonly Bin[]} bins @param {(bin: Bin) => number | null} of */
function latest(bins, of) {
  const bin = bins.findLast((one) => of(one) !== null);
  return bin === undefined ? null : of(bin);
}

/** @param {readonly Bin[]} bins */
function uptime(bins) {
  const probed = bins.flatMap(({ up }) => (up === null ? [] : [up]));
  return probed.length === 0 ? null : probed.reduce((total, up) => total + up, 0) / probed.length;
}

/** @param {readonly Bin[]} bins @param {number} binMs */
export function tiles(bins, binMs) {
  // The bin under way says too little.
  const minute = bins.slice(-7, -1);
  const requests = sum(bins, (bin) => bin.requests);
  const failed = sum(bins, (bin) => bin.serverErrors + bin.ownErrors);
  const refused = sum(bins, (bin) => bin.clientErrors);
  const rate =
    minute.length === 0 ? null : sum(minute, (bin) => bin.requests) / ((minute.length * binMs) / 1000);
  /** @type {readonly (readonly [string, string])[]} */
  const told = [
    ["requests per second", figure(rate)],
    ["response time p50", duration(latest(bins, (bin) => bin.responseTimeP50Ms))],
    ["response time p95", duration(latest(bins, (bin) => bin.responseTimeP95Ms))],
    ["first byte p95", duration(latest(bins, (bin) => bin.firstByteP95Ms))],
    ["5xx and failures", percent(requests === 0 ? null : failed / requests)],
    ["4xx", percent(requests === 0 ? null : refused / requests)],
    ["uptime by probes", percent(uptime(bins))],
    ["model server CPU", percent(latest(bins.slice(-7), (bin) => bin.cpu))],
    ["model server memory", bytes(latest(bins.slice(-7), (bin) => bin.memoryBytes))],
  ];
  replace(
    byId("tiles"),
    told.map(([name, value]) => element("div", {}, [element("dt", {}, [name]), element("dd", {}, [value])])),
  );
}

/** @type {Plotted[]} */
const PLOTS = [
  {
    figure: new ChartFigure(),
    of: (bins) => ({
      title: "Response time and first byte",
      times: bins.map(({ at }) => at),
      show: duration,
      lines: [
        { label: "response p50", values: bins.map((bin) => bin.responseTimeP50Ms) },
        { label: "response p95", values: bins.map((bin) => bin.responseTimeP95Ms) },
        { label: "first byte p50", values: bins.map((bin) => bin.firstByteP50Ms), dash: true },
        { label: "first byte p95", values: bins.map((bin) => bin.firstByteP95Ms), dash: true },
      ],
    }),
  },
  {
    figure: new ChartFigure(),
    of: (bins, perSecond) => ({
      title: "Requests and errors",
      note: "per second",
      times: bins.map(({ at }) => at),
      show: figure,
      lines: [
        { label: "requests", values: bins.map((bin) => bin.requests * perSecond) },
        { label: "4xx", values: bins.map((bin) => bin.clientErrors * perSecond) },
        { label: "5xx", values: bins.map((bin) => bin.serverErrors * perSecond) },
        { label: "no answer", values: bins.map((bin) => bin.ownErrors * perSecond) },
      ],
    }),
  },
  {
    figure: new ChartFigure(),
    of: (bins) => ({
      title: "Uptime",
      note: "share of the probes that succeeded",
      times: bins.map(({ at }) => at),
      show: percent,
      max: 1,
      lines: [{ label: "up", values: bins.map((bin) => bin.up) }],
    }),
  },
  {
    figure: new ChartFigure(),
    of: (bins) => ({
      title: "Model server CPU",
      note: "share of what it may use",
      times: bins.map(({ at }) => at),
      show: percent,
      lines: [{ label: "CPU", values: bins.map((bin) => bin.cpu) }],
    }),
  },
  {
    figure: new ChartFigure(),
    of: (bins) => ({
      title: "Model server memory",
      times: bins.map(({ at }) => at),
      show: bytes,
      lines: [{ label: "memory", values: bins.map((bin) => bin.memoryBytes) }],
    }),
  },
];

/** @param {import("../../../facts/status.ts").Pulse} pulse */
export function showService({ bins, binMs }) {
  tiles(bins, binMs);
  const place = byId("service-plots");
  if (place.childElementCount === 0) place.append(...PLOTS.map(({ figure: of }) => of.element));
  // The last bin is not over: its rates would dip.
  const whole = bins.length > 1 ? bins.slice(0, -1) : bins;
  for (const plot of PLOTS) plot.figure.update(plot.of(whole, 1000 / binMs));
}
