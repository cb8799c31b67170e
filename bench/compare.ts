// Simulated weeks of two versions, looked at after every label: how often a test cries wolf, and how soon it sees a real difference.

import { ALPHA, anytimeP, logRatio } from "../src/measure/compare/boundary.ts";
import { Moments } from "../src/measure/compare/moments.ts";
import { type LossKind, pairedEvidence, ROWS_MIN, Strata } from "../src/measure/compare/strata.ts";

const HOURS = 168;
const Z = 1.959963984540054;
const DAY = 24;

/** Reproducible numbers in [0, 1): the same table every time (Mulberry32). */
export function createDice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Scenario {
  readonly name: string;
  readonly labelsPerHour: number;
  /** Share of the candidate in the traffic of an hour. */
  readonly share: (hour: number) => number;
  /** The loss of one row of an arm (0 baseline, 1 candidate). */
  readonly loss: (arm: 0 | 1, hour: number, dice: () => number) => number;
  readonly kind: LossKind;
}

export const RULES = ["stratified", "plain", "z at the end", "z cumulative", "z rolling 24h"] as const;
export type Rule = (typeof RULES)[number];

/** Labels seen when the rule first spoke; Infinity: never. */
export type Spoken = Record<Rule, number>;

/** Mean and variance of each arm over the last 24 hours, by hourly sums. */
class Rolling {
  readonly #cells = [0, 1].map(() => Array.from({ length: DAY }, () => ({ n: 0, sum: 0, squares: 0 })));
  readonly #totals = [0, 1].map(() => ({ n: 0, sum: 0, squares: 0 }));

  begin(hour: number): void {
    for (const arm of [0, 1]) {
      const cell = this.#cells[arm]?.[hour % DAY];
      const total = this.#totals[arm];
      if (cell === undefined || total === undefined) continue;
      total.n -= cell.n;
      total.sum -= cell.sum;
      total.squares -= cell.squares;
      cell.n = cell.sum = cell.squares = 0;
    }
  }

  add(arm: 0 | 1, hour: number, loss: number): void {
    for (const sums of [this.#cells[arm]?.[hour % DAY], this.#totals[arm]]) {
      if (sums === undefined) continue;
      sums.n++;
      sums.sum += loss;
      sums.squares += loss * loss;
    }
  }

  z(): number {
    let difference = 0;
    let variance = 0;
    for (const [arm, { n, sum, squares }] of this.#totals.entries()) {
      if (n < ROWS_MIN) return 0;
      difference += (arm === 1 ? 1 : -1) * (sum / n);
      variance += (squares / n - (sum / n) ** 2) / n;
    }
    return variance > 0 ? difference / Math.sqrt(variance) : 0;
  }
}

function zOf(baseline: Moments, candidate: Moments): number {
  if (baseline.n < ROWS_MIN || candidate.n < ROWS_MIN) return 0;
  const variance = baseline.m2 / baseline.n ** 2 + candidate.m2 / candidate.n ** 2;
  return variance > 0 ? (candidate.mean - baseline.mean) / Math.sqrt(variance) : 0;
}

/** One week, looked at after every label by every rule. */
export function simulateWeek(scenario: Scenario, dice: () => number): Spoken {
  const { labelsPerHour, share, loss, kind } = scenario;
  const spoken: Spoken = {
    stratified: Infinity,
    plain: Infinity,
    "z at the end": Infinity,
    "z cumulative": Infinity,
    "z rolling 24h": Infinity,
  };
  const folded = new Strata();
  const scratch = new Strata();
  const all = [new Moments(), new Moments()] as const;
  const rolling = new Rolling();
  let seen = 0;
  const speak = (rule: Rule, does: boolean): void => {
    if (does && spoken[rule] === Infinity) spoken[rule] = seen;
  };
  const passes = (strata: Strata): boolean => {
    const evidence = strata.evidence(kind);
    return evidence !== null && anytimeP(logRatio(evidence)) <= ALPHA;
  };
  for (let hour = 0; hour < HOURS; hour++) {
    const open = [new Moments(), new Moments()] as const;
    const toCandidate = share(hour);
    rolling.begin(hour);
    for (let i = 0; i < labelsPerHour; i++) {
      const arm = dice() < toCandidate ? 1 : 0;
      const value = loss(arm, hour, dice);
      seen++;
      open[arm].add(value);
      all[arm].add(value);
      rolling.add(arm, hour, value);
      scratch.copyFrom(folded);
      scratch.fold(open[0], open[1]);
      speak("stratified", spoken.stratified === Infinity && passes(scratch));
      speak("z cumulative", Math.abs(zOf(all[0], all[1])) > Z);
      speak("z rolling 24h", Math.abs(rolling.z()) > Z);
      if (spoken.plain === Infinity) {
        const plain = new Strata();
        plain.fold(all[0], all[1]);
        speak("plain", passes(plain));
      }
    }
    folded.fold(open[0], open[1]);
  }
  speak("z at the end", Math.abs(zOf(all[0], all[1])) > Z);
  return spoken;
}

const wrong =
  (rates: (hour: number) => readonly [number, number]) =>
  (arm: 0 | 1, hour: number, dice: () => number): number =>
    dice() < rates(hour)[arm] ? 1 : 0;
const half = (): number => 0.5;
const canary = (): number => 0.05;
/** 1 % on the first day to 50 % on the last. */
const ramp = (hour: number): number => 0.01 + (0.49 * hour) / (HOURS - 1);
/** Harder at night: 4 % to 16 % wrong over the day, and a week that gets harder. */
const season = (hour: number): number =>
  0.1 + 0.06 * Math.sin((2 * Math.PI * hour) / DAY) + (0.04 * hour) / HOURS;
/** Hour of the day alone: 1 % wrong at noon, 19 % at midnight. */
const hourOfDay = (hour: number): number => 0.1 + 0.09 * Math.cos((2 * Math.PI * hour) / DAY);
/** The square of a normal error. */
function squaredError(scale: number, dice: () => number): number {
  const radius = -2 * Math.log(1 - dice());
  return scale * radius * Math.cos(2 * Math.PI * dice()) ** 2;
}
/** The square of an error by Student's t with 3 degrees: it has a mean (3) and no variance. */
function heavySquare(dice: () => number): number {
  const spread = squaredError(1, dice) + squaredError(1, dice) + squaredError(1, dice);
  return (3 * squaredError(1, dice)) / spread;
}

export const SAME: readonly Scenario[] = [
  { name: "A/A 50:50", labelsPerHour: 60, share: half, loss: wrong(() => [0.1, 0.1]), kind: "share" },
  { name: "A/A 5 % canary", labelsPerHour: 120, share: canary, loss: wrong(() => [0.1, 0.1]), kind: "share" },
  {
    name: "A/A season + ramp 1->50 %",
    labelsPerHour: 60,
    share: ramp,
    loss: wrong((hour) => [season(hour), season(hour)]),
    kind: "share",
  },
  {
    name: "A/A squared error, canary",
    labelsPerHour: 120,
    share: canary,
    loss: (_arm, _hour, dice) => squaredError(1, dice),
    kind: "amount",
  },
  {
    name: "A/A squared error, season",
    labelsPerHour: 60,
    share: ramp,
    loss: (_arm, hour, dice) => squaredError(season(hour), dice),
    kind: "amount",
  },
  {
    name: "A/A hour of day, 50:50",
    labelsPerHour: 60,
    share: half,
    loss: wrong((hour) => [hourOfDay(hour), hourOfDay(hour)]),
    kind: "share",
  },
  {
    name: "A/A 0.5 % wrong, canary",
    labelsPerHour: 120,
    share: canary,
    loss: wrong(() => [0.005, 0.005]),
    kind: "share",
  },
  {
    name: "A/A squared t3, canary",
    labelsPerHour: 120,
    share: canary,
    loss: (_arm, _hour, dice) => heavySquare(dice),
    kind: "amount",
  },
  {
    name: "A/A squared t3, hour of day",
    labelsPerHour: 60,
    share: half,
    loss: (_arm, hour, dice) => 10 * hourOfDay(hour) * heavySquare(dice),
    kind: "amount",
  },
];

export const DIFFERENT: readonly Scenario[] = [
  {
    name: "10 -> 12 %, 50:50",
    labelsPerHour: 60,
    share: half,
    loss: wrong(() => [0.1, 0.12]),
    kind: "share",
  },
  { name: "10 -> 20 %, 50:50", labelsPerHour: 60, share: half, loss: wrong(() => [0.1, 0.2]), kind: "share" },
  {
    name: "10 -> 20 %, 5 % canary",
    labelsPerHour: 120,
    share: canary,
    loss: wrong(() => [0.1, 0.2]),
    kind: "share",
  },
  {
    name: "MSE +20 %, 50:50",
    labelsPerHour: 60,
    share: half,
    loss: (arm, _hour, dice) => squaredError(1 + 0.2 * arm, dice),
    kind: "amount",
  },
  {
    name: "MSE +20 %, t3, 50:50",
    labelsPerHour: 60,
    share: half,
    loss: (arm, _hour, dice) => (1 + 0.2 * arm) * heavySquare(dice),
    kind: "amount",
  },
];

export interface Row {
  readonly name: string;
  /** Share of the runs in which the rule spoke. */
  readonly share: Readonly<Record<Rule, number>>;
  /** Median labels until it spoke, over all runs; Infinity when it did not in half of them. */
  readonly median: Readonly<Record<Rule, number>>;
}

function perRule(value: (rule: Rule) => number): Record<Rule, number> {
  const [stratified, plain, end, cumulative, rolling] = RULES.map(value);
  return {
    stratified: stratified ?? Number.NaN,
    plain: plain ?? Number.NaN,
    "z at the end": end ?? Number.NaN,
    "z cumulative": cumulative ?? Number.NaN,
    "z rolling 24h": rolling ?? Number.NaN,
  };
}

export function runScenario(scenario: Scenario, runs: number, seed = 1): Row {
  const dice = createDice(seed);
  const weeks = Array.from({ length: runs }, () => simulateWeek(scenario, dice));
  return {
    name: scenario.name,
    share: perRule((rule) => weeks.filter((week) => week[rule] !== Infinity).length / runs),
    median: perRule(
      (rule) => weeks.map((week) => week[rule]).toSorted((a, b) => a - b)[runs >> 1] ?? Infinity,
    ),
  };
}

export interface PairedRow {
  readonly name: string;
  readonly paired: { readonly share: number; readonly median: number };
  readonly unpaired: { readonly share: number; readonly median: number };
}

/** Both versions answer the same requests; `common`: share of requests that both get wrong. */
export function runPaired(
  options: { readonly name: string; readonly rates: readonly [number, number]; readonly common: number },
  runs: number,
): PairedRow {
  const dice = createDice(7);
  const spoken = Array.from({ length: runs }, () => pairedWeek(options, dice));
  const summary = (at: 0 | 1): { share: number; median: number } => {
    const times = spoken.map((both) => both[at]).toSorted((a, b) => a - b);
    return {
      share: times.filter((time) => time !== Infinity).length / runs,
      median: times[runs >> 1] ?? Infinity,
    };
  };
  return { name: options.name, paired: summary(0), unpaired: summary(1) };
}

function pairedWeek(
  { rates, common }: { readonly rates: readonly [number, number]; readonly common: number },
  dice: () => number,
): [paired: number, unpaired: number] {
  const spoken: [number, number] = [Infinity, Infinity];
  const differences = new Moments();
  const arms = [new Moments(), new Moments()] as const;
  for (let request = 1; request <= HOURS * 60 && spoken.includes(Infinity); request++) {
    const draw = dice();
    const first = draw < rates[0] ? 1 : 0;
    const second = draw < common || (draw >= rates[0] && draw < rates[0] + rates[1] - common) ? 1 : 0;
    differences.add(second - first);
    arms[0].add(first);
    arms[1].add(second);
    const evidence = pairedEvidence(differences, "share");
    if (spoken[0] === Infinity && evidence !== null && anytimeP(logRatio(evidence)) <= ALPHA)
      spoken[0] = request;
    if (spoken[1] !== Infinity) continue;
    const strata = new Strata();
    strata.fold(arms[0], arms[1]);
    const apart = strata.evidence("share");
    if (apart !== null && anytimeP(logRatio(apart)) <= ALPHA) spoken[1] = request;
  }
  return spoken;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const after = (labels: number): string => (labels === Infinity ? "-" : `${labels} labels`);

/** The table of `npm run bench -- compare`. */
export function benchCompare(runs: number): string[] {
  const head = `${"".padEnd(28)}${RULES.map((rule) => rule.padStart(15)).join("")}`;
  const line = (name: string, cell: (rule: Rule) => string): string =>
    `${name.padEnd(28)}${RULES.map((rule) => cell(rule).padStart(15)).join("")}`;
  const lines = [
    `False alarms in a week of A/A, ${runs} runs, a look after every label (60 labels an hour, 120 with a canary)`,
    head,
  ];
  for (const scenario of SAME) {
    const row = runScenario(scenario, runs);
    lines.push(line(row.name, (rule) => percent(row.share[rule])));
  }
  const fewer = Math.ceil(runs / 5);
  lines.push(`A real difference: found within the week, and median labels until then, ${fewer} runs`, head);
  for (const scenario of DIFFERENT) {
    const row = runScenario(scenario, fewer);
    lines.push(line(row.name, (rule) => percent(row.share[rule])));
    lines.push(line("", (rule) => after(row.median[rule])));
  }
  lines.push(`Both versions answer the same requests, ${fewer} runs: paired against unpaired`);
  for (const options of [
    { name: "A/A, 8 % wrong in both", rates: [0.1, 0.1] as const, common: 0.08 },
    { name: "10 -> 12 %, 8 % in both", rates: [0.1, 0.12] as const, common: 0.08 },
  ]) {
    const { name, paired, unpaired } = runPaired(options, fewer);
    lines.push(
      `${name.padEnd(28)}paired ${percent(paired.share)} after ${after(paired.median)}, unpaired ${percent(unpaired.share)} after ${after(unpaired.median)}`,
    );
  }
  return lines;
}
