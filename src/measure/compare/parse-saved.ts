// Saved comparisons, looked at before they are gone on from: the file may be from another version of the program.

import { savedItems } from "../../kernel/saved.ts";
import type { SavedModel, SavedPair } from "./arms.ts";
import type { SavedLoss } from "./pair-test.ts";

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((each) => Number.isFinite(each));

function isLoss(value: unknown): value is SavedLoss {
  if (!isObject(value) || typeof value["name"] !== "string") return false;
  return isNumbers(value["strata"]) && isNumbers(value["pairs"]) && isNumbers(value["strongest"]);
}

function isPair(value: unknown): value is SavedPair {
  if (!isObject(value) || !Number.isFinite(value["foldedTo"])) return false;
  const { baseline, candidate, losses } = value;
  return (
    typeof baseline === "string" &&
    typeof candidate === "string" &&
    Array.isArray(losses) &&
    losses.every(isLoss)
  );
}

function isModel(value: unknown): value is SavedModel {
  return (
    isObject(value) &&
    typeof value["name"] === "string" &&
    isNumbers(value["delays"]) &&
    Array.isArray(value["pairs"]) &&
    value["pairs"].every(isPair)
  );
}

/** What is left of `text` after everything that does not fit; nothing when it is no JSON. */
export function parseSavedComparisons(text: string | null): SavedModel[] {
  return text === null ? [] : savedItems(text, isModel);
}
