// Two ways to one number: panes and totals as they were kept, and as they follow from the stored rows; they must agree bit for bit.

import type { Group } from "../facts/group.ts";
import type { Bin } from "./bin.ts";
import type { Difference } from "./types.ts";
import type { VersionTrack } from "./version-track.ts";

export const DIFFERENCES_MAX = 100;
/** Fields told of one pane or total. */
const FIELDS_MAX = 4;
/** What comes from score histograms: one that was coarse for a while may stay coarser than one made afresh. */
const FROM_SCORES: ReadonlySet<string> = new Set([
  "roc_auc",
  "roc_auc_bound",
  "average_precision",
  "ece10",
  "auc_delong_se",
  "medae",
  "max_error",
  "mae_se",
  "mse_se",
]);
/** Intervals, baselines and the areas of single classes rest on the same histograms. */
const RESTING_ON_SCORES = /(^|\.)(scores|intervals|baseline|roc_auc_ovr|roc_auc_ovr_ci)\./;

interface Sheet {
  readonly [field: string]: unknown;
}

/** `a.b.c` -> value, of everything a bin says. */
function flatten(value: unknown, path: string, into: Map<string, unknown>): void {
  if (typeof value !== "object" || value === null) into.set(path, value);
  else
    for (const [name, each] of Object.entries(value))
      flatten(each, path === "" ? name : `${path}.${name}`, into);
}

function fieldsOf(sheet: Sheet): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  flatten(sheet, "", fields);
  return fields;
}

/** A bound says that scores were put into buckets. */
function isCoarse(fields: ReadonlyMap<string, unknown>): boolean {
  return [...fields].some(([field, value]) => field.endsWith("_bound") && value !== 0 && value !== undefined);
}

function fromScores(field: string): boolean {
  const name = field.split(".").at(-1) ?? "";
  return FROM_SCORES.has(name) || /^roc_auc|_bound$/.test(name) || RESTING_ON_SCORES.test(field);
}

type Found = Pick<Difference, "field" | "kept" | "rebuilt">;

/** Fields in which two sheets differ; `Object.is` tells -0 from 0 and every last bit. `exact`: neither rests on buckets. */
export function compareSheets(kept: Sheet, rebuilt: Sheet, exact = true): Found[] {
  const one = fieldsOf(kept);
  const other = fieldsOf(rebuilt);
  const coarse = !exact || isCoarse(one) || isCoarse(other);
  const found: Found[] = [];
  for (const field of new Set([...one.keys(), ...other.keys()])) {
    if (coarse && fromScores(field)) continue;
    const [a, b] = [one.get(field), other.get(field)];
    if (!Object.is(a, b)) found.push({ field, kept: a, rebuilt: b });
  }
  return found;
}

interface NamedSheet {
  readonly slice: string;
  readonly name: string;
  readonly sheet: Sheet;
  readonly exact: boolean;
}

const NOTHING: Sheet = Object.freeze({ predictions: 0, labeled: 0, inTime: 0 });

function sheetOf(bin: Bin): Sheet {
  const { predictions, labeled, inTime } = bin;
  if (predictions === 0 && labeled === 0) return { predictions, labeled, inTime };
  const { regression, classification } = bin.components();
  const confusion = (classification?.confusion ?? []).flatMap(({ actual, predicted, count }) =>
    count === 0 ? [] : [[JSON.stringify([actual, predicted]), count]],
  );
  return {
    predictions,
    labeled,
    inTime,
    regression,
    classification: { ...classification, confusion: Object.fromEntries(confusion) },
    // A pane keeps no scores: its rows are read when they are asked for.
    ...(bin.mergeable ? { says: bin.evaluate() } : {}),
  };
}

/** Every pane and total as of `at`, and the matured windows when both tracks end them at the same instant. */
function binsOf(track: VersionTrack, at: number, lagMs: number | null): NamedSheet[] {
  const bins: NamedSheet[] = [];
  const everything = { window: undefined, slice: undefined };
  track.answer(at, everything, (slice, { name }, { bin }) =>
    bins.push({ slice, name: `${name} window`, sheet: sheetOf(bin), exact: bin.exact }),
  );
  for (const { slice, name, bin } of track.bins())
    bins.push({ slice, name, sheet: sheetOf(bin), exact: bin.exact });
  if (lagMs === null) return bins;
  const unlimited = { at, budget: { rows: Number.MAX_SAFE_INTEGER } };
  track.answerMatured(unlimited, everything, (slice, { name }, { bin }) =>
    bins.push({ slice, name: `${name} matured`, sheet: sheetOf(bin), exact: bin.exact }),
  );
  return bins;
}

/** Compares two tracks of the same rows as of `at`. What only the second one has is not compared: panes are given up, slices refused. */
export function compareTracks(
  kept: VersionTrack,
  rebuilt: VersionTrack,
  at: number,
): { compared: number; found: (Found & { slice: string; part: string })[] } {
  const keyOf = (slice: string, name: string): string => JSON.stringify([slice, name]);
  const { lagMs } = kept.delays(at);
  const common = lagMs === rebuilt.delays(at).lagMs ? lagMs : null;
  const fresh = new Map(binsOf(rebuilt, at, common).map((each) => [keyOf(each.slice, each.name), each]));
  const found: (Found & { slice: string; part: string })[] = [];
  let compared = 0;
  for (const { slice, name, sheet, exact } of binsOf(kept, at, common)) {
    compared++;
    const again = fresh.get(keyOf(slice, name));
    const differing = compareSheets(sheet, again?.sheet ?? NOTHING, exact && again?.exact !== false);
    for (const each of differing.slice(0, FIELDS_MAX)) found.push({ ...each, slice, part: name });
  }
  return { compared, found };
}

/** Without what is told of it from outside, and what differs where only one has buckets. */
function contentsOf(group: Group | undefined): Sheet {
  if (group === undefined) return { n_predictions: 0 };
  const { maturity: _, basis: __, approximate: ___, ...contents } = group;
  return contents;
}

/** Groups as they were kept and as they were made again. */
export function compareGroups(kept: readonly Group[], rebuilt: readonly Group[]): Difference[] {
  const keyOf = ({ model, version, slice, window }: Group): string =>
    JSON.stringify([model, version, slice, window]);
  const fresh = new Map(rebuilt.map((group) => [keyOf(group), group]));
  return kept.flatMap((group) => {
    const again = fresh.get(keyOf(group));
    const exact = group.approximate !== true && again?.approximate !== true;
    const { model, version, slice, window: part } = group;
    return compareSheets(contentsOf(group), contentsOf(again), exact).map((each) => ({
      model,
      version,
      slice,
      part,
      ...each,
    }));
  });
}
