// The snapshot in a form that answers quickly: which exchanges are copied, and which version is announced.

import { chance } from "../kernel/ids.ts";
import { flat } from "../kernel/ascii.ts";
import { compileGlob, pathOf } from "../kernel/glob.ts";
import { newRecall, type Recall } from "./recall.ts";
import type { TapLimits } from "./tap.ts";

/** Replaced whole; immutable. */
export interface RelaySnapshot {
  /** null: any path may carry predictions; else only these glob patterns (kernel/glob.ts) are captured. The first match wins. */
  readonly routes:
    | readonly {
        readonly pattern: string;
        readonly version: string | null;
        readonly versionHeader: string | null;
      }[]
    | null;
  /** Announced when nothing better is known (static or polled). */
  readonly defaultVersion: string | null;
  /** /versions/{v}/ (Open Inference Protocol, TF Serving) and /predictions/{m}/{v} (TorchServe). */
  readonly versionFromPath: boolean;
  /** Share of the traces begun here that are sampled. */
  readonly traceSampleRatio: number;
  /** Bytes kept per side and exchange, of all copies in flight together, and the share of exchanges that are copied. */
  readonly capture: {
    readonly bodyBytesMax: number;
    readonly totalBytesMax: number;
    readonly sampleRatio: number;
  };
}

export const OPENING_SNAPSHOT: RelaySnapshot = Object.freeze({
  routes: null,
  defaultVersion: null,
  versionFromPath: true,
  traceSampleRatio: 0,
  capture: Object.freeze({ bodyBytesMax: 64 * 1024, totalBytesMax: 16 * 1024 * 1024, sampleRatio: 1 }),
});

export interface Route {
  readonly version: string | null;
  /** Lower case. */
  readonly versionHeader: string | null;
}

export interface Rules {
  readonly snapshot: RelaySnapshot;
  readonly routes: readonly (Route & { readonly matches: (path: string) => boolean })[] | null;
  /** What is kept of a body that is copied, each way. */
  readonly taps: { readonly request: TapLimits; readonly response: TapLimits };
  /** What is known of targets that came lately; see `placeOf`. */
  readonly places: Map<string, Place>;
  readonly recall: Recall;
}

/** What a target alone says. */
export interface Place {
  /** Null: it carries no predictions. */
  readonly route: Route | null;
  /** In its path. */
  readonly version: string | null;
  /** So many requests more are not begun as short exchanges: one of it had to be lengthened for its answer. */
  notShort: number;
}

/** Targets remembered; once there are more, all are forgotten. */
const PLACES_MAX = 256;
/** A longer target is looked at each time. */
const PLACE_CHARS_MAX = 128;

/** Usage and the end of a stream stand in its last events. */
const TAIL_BYTES = 8 * 1024;

/** `recall` counts how what is remembered of targets helps, also of the rules before these. */
export function compileRules(snapshot: RelaySnapshot, recall: Recall = newRecall()): Rules {
  const routes =
    snapshot.routes?.map((route) => ({
      matches: compileGlob(route.pattern),
      version: announceable(route.version),
      versionHeader: route.versionHeader?.toLowerCase() ?? null,
    })) ?? null;
  const { bodyBytesMax, totalBytesMax } = snapshot.capture;
  return {
    snapshot: { ...snapshot, defaultVersion: announceable(snapshot.defaultVersion) },
    routes,
    places: new Map(),
    recall,
    taps: {
      request: { bodyBytesMax, totalBytesMax, tailBytes: 0 },
      response: { bodyBytesMax, totalBytesMax, tailBytes: TAIL_BYTES },
    },
  };
}

/** Any path may carry predictions. */
export const ANY_ROUTE: Route = Object.freeze({ version: null, versionHeader: null });

/** The route a target takes; null: it carries no predictions. */
export function routeOf(rules: Rules, target: string): Route | null {
  const place = placeOf(rules, target);
  return place === null ? findRoute(rules, target) : place.route;
}

/** Null: it is not one that is remembered. */
export function placeOf(rules: Rules, target: string): Place | null {
  const { places, recall } = rules;
  const known = places.get(target);
  if (known !== undefined) return known;
  recall.misses++;
  if (target.length > PLACE_CHARS_MAX) return null;
  const key = flat(target);
  // Not latin-1: it cannot be kept that way.
  if (key !== target) return null;
  const place = { route: findRoute(rules, key), version: versionInPath(key), notShort: 0 };
  if (places.size >= PLACES_MAX) {
    recall.evictions += places.size;
    places.clear();
  }
  places.set(key, place);
  return place;
}

function pathVersionOf(rules: Rules, target: string): string | null {
  const place = placeOf(rules, target);
  return place === null ? versionInPath(target) : place.version;
}

/** As `routeOf`, of a target of which nothing is remembered. */
export function findRoute({ routes }: Rules, target: string): Route | null {
  if (routes === null) return ANY_ROUTE;
  const path = pathOf(target);
  return routes.find((route) => route.matches(path)) ?? null;
}

/** Nothing is copied. */
export const NO_COPY: TapLimits = Object.freeze({ bodyBytesMax: null, totalBytesMax: 0, tailBytes: 0 });
const NO_COPIES: Rules["taps"] = Object.freeze({ request: NO_COPY, response: NO_COPY });

/** What is kept of the bodies of this exchange: of some, or of those that carry no predictions, nothing. */
export function tapsOf(rules: Rules, route: Route | null): Rules["taps"] {
  const { sampleRatio } = rules.snapshot.capture;
  if (route === null || sampleRatio <= 0) return NO_COPIES;
  return sampleRatio >= 1 || chance() < sampleRatio ? rules.taps : NO_COPIES;
}

export interface VersionClues {
  readonly route: Route | null;
  readonly target: string;
  readonly headerVersion: string | null;
}

/** The version known before the head leaves: header, path, route, default. */
export function versionOf(rules: Rules, clues: VersionClues): string | null {
  return (
    announceable(clues.headerVersion) ??
    (rules.snapshot.versionFromPath ? pathVersionOf(rules, clues.target) : null) ??
    clues.route?.version ??
    rules.snapshot.defaultVersion
  );
}

const ANNOUNCEABLE = /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/;

/** A version that can stand in a header line, else null. */
function announceable(version: string | null): string | null {
  return version !== null && ANNOUNCEABLE.test(version) ? version : null;
}

const VERSIONS = "/versions/";
const TORCHSERVE = /^\/predictions\/[^/]+\/([^/]+)\/?$/;

function versionInPath(target: string): string | null {
  const path = pathOf(target);
  const start = path.indexOf(VERSIONS);
  if (start < 0) return decodeSegment(TORCHSERVE.exec(path)?.[1] ?? "");
  const segment = path.slice(start + VERSIONS.length).split("/", 1)[0] ?? "";
  // TF Serving puts the verb behind the version: /versions/3:predict.
  return decodeSegment(segment.split(":", 1)[0] ?? "");
}

function decodeSegment(segment: string): string | null {
  if (segment === "") return null;
  if (!segment.includes("%")) return announceable(segment);
  try {
    return announceable(decodeURIComponent(segment));
  } catch {
    return null;
  }
}
