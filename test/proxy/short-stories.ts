// Stories of short exchanges: what happens at each moment of one, what came before it, and what a generator makes up.

import fc from "fast-check";
import { ANSWERS, REQUESTS, RULES, aftermath, numbered, rules, warm } from "./short-scripts.ts";
import {
  answers,
  client,
  model,
  says,
  sends,
  stop,
  time,
  together,
  until,
  type Step,
  type Story,
} from "./short-stage.ts";
import { LIMITS, OK, OK_KEPT, get, post } from "./support.ts";

export const GET = get("/get");
export const POST = post("/v2/models/m/infer", '{"inputs":[1,2]}');
export const ASKED = { GET, POST, HEAD: GET.replace("GET", "HEAD") };

export const REPLY =
  'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Type: a/b\r\nContent-Length: 8\r\n\r\n{"a":12}';
const HEAD_END = REPLY.indexOf("\r\n\r\n") + 4;

/** How far an exchange has come, and what ends it where nothing happens. */
export function moments(request: string): Record<string, readonly [before: Step[], rest: Step[]]> {
  const asked = sends(0, request);
  const answered = (to: number): [Step[], Step[]] => [
    [...asked, ...says(0, REPLY.slice(0, to))],
    says(0, REPLY.slice(to)),
  ];
  const early = "HTTP/1.1 102 Processing\r\n\r\n";
  return {
    "before a request": [[], [...asked, answers(REPLY)]],
    "in a head": [sends(0, request.slice(0, 20)), [...sends(0, request.slice(20)), answers(REPLY)]],
    "before the last byte": [
      sends(0, request.slice(0, -1)),
      [...sends(0, request.slice(-1)), answers(REPLY)],
    ],
    asked: [asked, [answers(REPLY)]],
    "asked, with another behind": [
      [...asked, ...sends(0, GET)],
      [answers(REPLY), answers(REPLY)],
    ],
    "asked, with half of another behind": [
      [...asked, ...sends(0, GET.slice(0, 9))],
      [answers(REPLY), ...sends(0, GET.slice(9)), answers(REPLY)],
    ],
    "after an interim answer": [[...asked, ...says(0, early)], says(0, REPLY)],
    "in the answer's head": answered(20),
    "after the answer's head": answered(HEAD_END),
    "in the answer's body": answered(REPLY.length - 3),
    answered: [[...asked, answers(REPLY)], []],
    "answered, with half of another behind": [
      [...asked, answers(REPLY), ...sends(0, GET.slice(0, 9))],
      [...sends(0, GET.slice(9)), answers(REPLY)],
    ],
  };
}

export const EVENTS: Readonly<Record<string, readonly Step[]>> = {
  nothing: [],
  "the client ends": [client(0, "end")],
  "the client resets": [client(0, "reset")],
  "the client asks again": sends(0, POST),
  "the client asks twice again": sends(0, POST + GET),
  "the client sends garbage": sends(0, "GARBAGE\r\n\r\n"),
  "the client sends a byte": sends(0, "x"),
  "the client sends an empty line": sends(0, "\r\n"),
  "the client asks again and ends": [together(...sends(0, GET), client(0, "end"))],
  "the model ends": [model(0, "end")],
  "the model resets": [model(0, "reset")],
  "the model sends garbage": says(0, "garbage"),
  "the model answers something else": says(0, OK),
  "the model answers in chunks": says(0, ANSWERS["chunks"] ?? ""),
  "the model answers and ends": [together(...says(0, OK), model(0, "end"))],
  "the model answers and resets": [together(...says(0, OK), model(0, "reset"))],
  "the model is gone": [{ kind: "gone" }, model(0, "end")],
  "another client asks": [...sends(1, POST), answers(OK_KEPT, 1)],
  "another client asks and leaves": [together(...sends(1, POST), client(1, "end"))],
  "the other connection ends": [model(1, "end")],
  "time passes": [time(7)],
  "other rules": [{ kind: "rules", rules: rules({ defaultVersion: "new", capture: { bodyBytesMax: 3 } }) }],
  "other rules, with a version header": [
    {
      kind: "rules",
      rules: rules({ routes: [{ pattern: "/**", version: "r", versionHeader: "content-type" }] }),
    },
  ],
  "the drain begins": [stop(600_000)],
  "the drain is over": [stop(0)],
};

/** Of time, of settings, of what came before. */
export const NAMED: readonly Story[] = [
  ...[9, 10, 11, 3999, 4001].map((ms): Story => ({
    name: `a connection of which nothing is known is used again after ${ms} ms, or not`,
    steps: [
      ...sends(0, GET),
      answers(OK),
      time(ms),
      ...sends(0, POST),
      answers(OK),
      time(ms),
      ...aftermath(0, 1),
    ],
  })),
  ...[0, 57_999, 58_001].map((ms): Story => ({
    name: `a connection that is kept for 60 s is used again after ${ms} ms, or not`,
    steps: [...warm(0), time(ms), ...sends(0, POST), answers(OK), ...aftermath(0)],
  })),
  {
    name: "dates go on",
    steps: [
      ...warm(0),
      time(999),
      ...sends(0, GET),
      answers(OK_KEPT),
      time(1),
      ...sends(0, GET),
      answers(OK_KEPT),
    ],
  },
  ...[0, 3000, 5999, 6000].map((idleMs): Story => ({
    name: `clients are told how long they are kept: ${idleMs} ms`,
    options: { limits: { ...LIMITS, idleMs } },
    steps: [
      ...warm(0),
      ...sends(0, GET),
      answers(OK_KEPT),
      ...sends(0, GET + POST),
      answers(REPLY),
      answers(REPLY),
    ],
  })),
  {
    name: "the model is told its own name",
    options: { host: "upstream" },
    steps: [...warm(0), ...sends(0, GET, POST), answers(OK_KEPT), ...aftermath(0)],
  },
  {
    name: "heads may be no longer than that",
    options: { limits: { ...LIMITS, headBytesMax: 100, headLinesMax: 3 } },
    steps: [
      ...warm(0),
      ...sends(0, get(`/${"a".repeat(20)}`)),
      answers(OK_KEPT),
      ...sends(0, get("/", "a: b", "c: d", "e: f")),
      answers(OK_KEPT),
      ...aftermath(1),
      ...sends(1, get(`/${"a".repeat(100)}`)),
      ...aftermath(2),
    ],
  },
  {
    name: "there are no more connections than that",
    options: { maxConnections: 2 },
    steps: [
      ...warm(0, 1),
      ...sends(2, GET),
      ...sends(0, GET),
      answers(OK_KEPT),
      client(0, "end"),
      ...sends(3, GET),
      answers(OK),
    ],
  },
  {
    name: "an upgrade follows on the same connection",
    steps: [
      ...warm(0),
      ...sends(0, POST),
      answers(REPLY),
      ...sends(0, REQUESTS["an upgrade"] ?? ""),
      answers(ANSWERS["101"] ?? ""),
      ...sends(0, "up"),
      ...says(1, "down"),
      client(0, "end"),
      model(1, "end"),
      ...aftermath(1),
    ],
  },
  {
    name: "an upgrade is glued to a request",
    steps: [
      ...warm(0),
      ...sends(0, `${POST}${REQUESTS["an upgrade"] ?? ""}glued`),
      answers(REPLY),
      answers(ANSWERS["101"] ?? ""),
    ],
  },
  {
    name: "a GET is sent again, and a POST is not, whatever its second connection does",
    steps: [
      ...warm(0, 1),
      ...sends(0, GET),
      model(1, "end"),
      model(2, "end"),
      ...sends(1, POST),
      model(0, "reset"),
      model(3, "reset"),
      ...aftermath(0, 1),
    ],
  },
  {
    name: "a GET is sent again, and its second connection answers in pieces",
    steps: [
      ...warm(0),
      ...sends(0, GET),
      model(0, "reset"),
      ...says(1, REPLY.slice(0, 30)),
      time(1),
      ...says(1, REPLY.slice(30)),
      ...aftermath(0),
    ],
  },
  {
    name: "connections end while a request waits for one that has ended",
    steps: [
      ...warm(0, 1, 2),
      together(
        model(0, "end"),
        model(1, "reset"),
        model(2, "end"),
        ...sends(0, GET),
        ...sends(1, POST),
        ...sends(2, GET),
      ),
      answers(REPLY),
      ...aftermath(0, 1, 2),
    ],
  },
  ...[0, 1].map((pick): Story => ({
    name: `the time for an answer passes when it has come, and another has not (${pick})`,
    options: { responseTimeoutMs: 50 },
    steps: [
      ...warm(0, 1),
      ...sends(0, POST),
      ...sends(1, POST),
      answers(REPLY, pick),
      together(
        time(51),
        until(({ got }) => /HTTP\/1\.1 504 /.test(got(0) + got(1))),
      ),
      ...aftermath(0, 1),
    ],
  })),
  ...["60", "3", "1"].map((seconds): Story => ({
    name: `a model says anew how long it keeps a connection: ${seconds} s`,
    steps: [
      ...sends(0, GET),
      answers(OK),
      ...sends(0, POST),
      answers(REPLY.replace("60", seconds)),
      time(900),
      ...sends(0, POST),
      answers(REPLY),
      time(4100),
      ...aftermath(0, 1),
    ],
  })),
  {
    name: "twenty come in one read, and are answered at once",
    sealedLast: true,
    steps: [
      ...warm(0),
      { kind: "always", bytes: REPLY },
      ...sends(0, (GET + POST).repeat(10)),
      ...aftermath(0),
    ],
  },
  {
    name: "copies are given back, and are no more than allowed",
    rules: rules({ capture: { totalBytesMax: 40 } }),
    steps: [
      ...warm(0, 1, 2),
      together(...sends(0, POST), ...sends(1, POST), ...sends(2, POST)),
      answers(REPLY, 0),
      answers(REPLY),
      ...[...Array(8).keys()].flatMap((at) => [
        ...sends(at % 3, POST),
        answers(at % 2 === 0 ? REPLY : OK),
        time(1),
      ]),
      together(...sends(0, POST), ...sends(1, POST)),
      client(0, "reset"),
      answers(ANSWERS["chunks"] ?? ""),
      ...aftermath(1, 2),
    ],
  },
  {
    name: "copies that are not sealed yet count",
    rules: rules({ capture: { totalBytesMax: 40 } }),
    sealedLast: true,
    steps: [
      ...warm(0),
      ...Array(5)
        .fill([...sends(0, POST), answers(REPLY)])
        .flat(),
      ...aftermath(0),
    ],
  },
  {
    name: "rules change under way, back and forth",
    steps: [
      ...warm(0),
      ...Object.values(RULES).flatMap((snapshot): Step[] => [
        ...sends(0, POST),
        { kind: "rules", rules: snapshot },
        answers(REPLY),
        together(...sends(0, GET), { kind: "rules", rules: rules({}) }),
        answers(REPLY),
      ]),
    ],
  },
];

/** More answers than the system takes for a client that reads nothing: so many are asked for one by one, the rest at once. */
const ONE_BY_ONE = 330;
export const MANY = 700;
const LONG_REPLY = `HTTP/1.1 200 OK\r\nKeep-Alive: timeout=60\r\nContent-Length: 16000\r\n\r\n${numbered(16_000)}`;
export const DEAF: readonly Step[] = [
  ...warm(0, 1),
  { kind: "always", bytes: LONG_REPLY },
  { kind: "shut" },
  client(0, "pause"),
  ...sends(0, ...Array<string>(ONE_BY_ONE).fill(GET), GET.repeat(MANY - ONE_BY_ONE)),
];
export const opened = (tells: "all" | "last"): Step => ({ kind: "open", tells });

const everyday = ["a GET", "a POST", "a POST with its type", "a trace", "an id", "a version in its path"];
const usual = [
  "an answer",
  "an answer that keeps its connection",
  "an answer with a type",
  "an answer of nothing",
  "404",
];
const mostly = (often: readonly string[], all: Readonly<Record<string, string>>): fc.Arbitrary<string> =>
  fc
    .oneof(
      { weight: 5, arbitrary: fc.constantFrom(...often) },
      { weight: 1, arbitrary: fc.constantFrom(...Object.keys(all)) },
    )
    .map((name) => all[name] ?? "");
/** Whole, nearly always. */
const maybeCut = (bytes: fc.Arbitrary<string>): fc.Arbitrary<{ bytes: string; later: string }> =>
  fc
    .tuple(bytes, fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 2, nil: 1 }))
    .map(([text, cut]) => {
      const at = Math.max(1, Math.floor(cut * text.length));
      return { bytes: text.slice(0, at), later: text.slice(at) };
    });
const CLIENTS = 4;
const who = fc.nat(CLIENTS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(who, maybeCut(mostly(everyday, REQUESTS)))
      .map(([at, part]): Step => ({ kind: "client", at, ...part })),
  },
  {
    weight: 8,
    arbitrary: fc
      .tuple(who, maybeCut(mostly(usual, ANSWERS)))
      .map(([pick, part]): Step => ({ kind: "answers", pick, ...part })),
  },
  { weight: 3, arbitrary: fc.nat(CLIENTS).map((pick): Step => ({ kind: "rest", pick })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(who, fc.constantFrom("end" as const, "reset" as const))
      .map(([at, does]) => client(at, does)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(who, fc.constantFrom("end" as const, "reset" as const))
      .map(([at, does]) => model(at, does)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(who, maybeCut(mostly(usual, ANSWERS)))
      .map(([at, part]): Step => ({ kind: "model", at, ...part })),
  },
  { weight: 2, arbitrary: fc.nat(12).map(time) },
);
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: step },
    { weight: 1, arbitrary: fc.array(step, { minLength: 2, maxLength: 3 }).map((list) => together(...list)) },
  ),
  { maxLength: 24 },
);

/** Stories that a generator makes up. */
export const anyStory: fc.Arbitrary<Story> = fc
  .tuple(steps, fc.nat(2), fc.option(fc.constantFrom(...Object.values(RULES)), { freq: 2, nil: rules({}) }))
  .map(([script, warmed, snapshot]) => ({
    name: "a story that was made up",
    rules: snapshot,
    sealedLast: warmed === 1,
    steps: [...warm(...Array(warmed).keys()), ...script, ...aftermath(0, 1)],
  }));
