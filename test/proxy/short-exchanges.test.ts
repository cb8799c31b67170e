// Short exchanges are relayed in a way of their own. Nobody may see which: each story here is played both ways, and all that clients,
// the model and the observer get of it is compared, step by step.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import fc from "fast-check";
import { headerFilter } from "../../src/facts/header-filter.ts";
import { Lengthened } from "../../src/proxy/lengthened.ts";
import { Relay } from "../../src/proxy/relay.ts";
import { certificate } from "../support/certificates.ts";
import { fuzzRun } from "../support/fuzz.ts";
import { ANSWERS, REQUESTS, RULES, aftermath, warm } from "./short-scripts.ts";
import {
  answers,
  client,
  model,
  parting,
  played,
  says,
  sends,
  stop,
  time,
  together,
  until,
  type Step,
  type Story,
} from "./short-stage.ts";
import {
  ASKED,
  DEAF,
  EVENTS,
  GET,
  MANY,
  NAMED,
  POST,
  REPLY,
  anyStory,
  moments,
  opened,
} from "./short-stories.ts";
import { LIMITS, OK, OK_KEPT } from "./support.ts";

/** Stories at once: most of their time they wait for stillness. */
const AT_ONCE = 8;
/** What the system tells at once may be told in another order the next time. What differs by the way that was taken differs each time. */
const TRIES = 3;
/** Of the tables `npm test` plays one story in so many, in turn by the seed; `npm run fuzz` plays all. */
const ONE_IN = 3;
/** A handshake takes longer than a story. */
const OVER_TLS_ONE_IN = 10;

async function differs(story: Story): Promise<string | null> {
  let where: string | null = null;
  for (let i = 0; i < TRIES; i++) {
    const [long, short] = await Promise.all([played(story, false), played(story, true)]);
    where = parting(long, short);
    if (where === null) return null;
  }
  return `${story.name}\n    ${where}`;
}

async function assertSame(stories: readonly Story[]): Promise<void> {
  const different: string[] = [];
  const waiting = stories.slice();
  const work = async (): Promise<void> => {
    for (let story = waiting.shift(); story !== undefined; story = waiting.shift()) {
      const where = await differs(story);
      if (where !== null) different.push(where);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  assert.equal(different.length, 0, `${different.length} differ:\n${different.slice(0, 5).join("\n\n")}`);
}

async function assertTableSame(t: TestContext, stories: readonly Story[], oneIn = ONE_IN): Promise<void> {
  const { seed, numRuns } = fuzzRun(t, 1);
  await assertSame(numRuns > 1 ? stories : stories.filter((_, i) => i % oneIn === seed % oneIn));
}

test("whatever is asked, at first and again, is relayed and told alike", async (t) => {
  const stories = Object.entries(REQUESTS).flatMap(([name, request]): Story[] => [
    { name, steps: [...warm(0), ...sends(0, request), answers(OK_KEPT), ...aftermath(0)] },
    {
      name: `${name}, again and again`,
      sealedLast: true,
      steps: [
        ...warm(0, 1),
        ...Array(9)
          .fill([...sends(0, request), answers(OK_KEPT), time(1)])
          .flat(),
        ...aftermath(1),
      ],
    },
    {
      name: `${name}, in two pieces`,
      steps: [
        ...warm(0, 1),
        ...sends(0, request.slice(0, request.length / 2), request.slice(request.length / 2)),
        answers(OK_KEPT),
        ...aftermath(0, 1),
      ],
    },
  ]);
  await assertTableSame(t, stories);
});

test("whatever is answered, whole, in pieces or at last with the connection's end, is relayed and told alike", async (t) => {
  const stories = Object.entries(ANSWERS).flatMap(([name, answer]): Story[] => [
    ...Object.entries(ASKED).map(([method, request]): Story => ({
      name: `${name} to a ${method}`,
      steps: [...warm(0), ...sends(0, request), time(2), ...says(0, answer), time(3), ...aftermath(0)],
    })),
    {
      name: `${name} and the end`,
      steps: [
        ...warm(0, 1),
        ...sends(0, GET),
        together(answers(answer), model(1, "end"), model(0, "end")),
        ...aftermath(0),
      ],
    },
    {
      name: `${name}, again and again`,
      sealedLast: true,
      steps: [
        ...warm(0),
        ...Array(9)
          .fill([...sends(0, POST), answers(answer), time(1)])
          .flat(),
        ...aftermath(0),
      ],
    },
    ...[12, answer.indexOf("\r\n\r\n") + 4, answer.length - 1]
      .filter((at) => at > 0 && at < answer.length)
      .map((at): Story => ({
        name: `${name}, cut at ${at}`,
        steps: [
          ...warm(0),
          ...sends(0, POST),
          ...says(0, answer.slice(0, at)),
          time(2),
          ...says(0, answer.slice(at)),
          ...aftermath(0),
        ],
      })),
  ]);
  await assertTableSame(t, stories);
});

test("by whatever rules versions are told, and bodies kept, exchanges are told alike", async (t) => {
  const asked = [
    "a GET",
    "a POST",
    "a POST with its type",
    "a version in its path",
    "a version of TorchServe",
  ];
  const more = [
    "a POST of one byte",
    "a POST of nothing",
    "a long target",
    "a trace",
    "a POST of 16384 bytes",
  ];
  const replies = [
    "an answer",
    "an answer with a type",
    "a version of the model",
    "a version header",
    "16384 bytes",
  ];
  const stories = Object.entries(RULES).flatMap(([name, snapshot]) =>
    [...asked, ...more].flatMap((request): Story[] => {
      const steps = replies.flatMap((reply) => [
        ...sends(0, REQUESTS[request] ?? ""),
        answers(ANSWERS[reply] ?? ""),
        time(1),
      ]);
      return [
        { name: `${name}: ${request}`, rules: snapshot, steps: [...warm(0), ...steps, ...aftermath(0)] },
        {
          name: `${name}: ${request}, sealed later, with a filter`,
          rules: snapshot,
          sealedLast: true,
          observed: headerFilter(["content-length"]),
          steps: [...warm(0), ...steps, ...aftermath(0)],
        },
      ];
    }),
  );
  await assertTableSame(t, stories);
});

test("whatever happens, and when, is met and told alike", async (t) => {
  const stories = Object.entries({ GET, POST }).flatMap(([method, request]) =>
    Object.entries(moments(request)).flatMap(([when, [before, rest]]) =>
      Object.entries(EVENTS).flatMap(([what, event]): Story[] =>
        [1, 2].map((connections) => ({
          name: `${what} ${when} (${method}, ${connections})`,
          steps: [
            ...warm(...Array(connections).keys()),
            ...before,
            time(1),
            ...event,
            time(1),
            ...rest,
            time(1),
            ...aftermath(0, 1),
          ],
        })),
      ),
    ),
  );
  await assertTableSame(t, stories);
});

test("over TLS, too, whatever happens is met and told alike", async (t) => {
  const tls = await certificate("localhost");
  const stories = Object.entries(moments(POST)).flatMap(([when, [before, rest]]) =>
    Object.entries(EVENTS).map(([what, event]): Story => ({
      name: `over TLS, ${what} ${when}`,
      tls,
      steps: [...warm(0, 1), ...before, time(1), ...event, ...rest, time(1), ...aftermath(0, 1)],
    })),
  );
  await assertTableSame(t, stories, OVER_TLS_ONE_IN);
});

test("what happens in the same turn as a request or its answer is met and told alike", async (t) => {
  const stories = Object.entries({ GET, POST }).flatMap(([method, request]) =>
    Object.entries(EVENTS)
      .filter(([what]) => !what.startsWith("the drain"))
      .flatMap(([what, event]): Story[] => [
        {
          name: `${what} as a ${method} comes`,
          steps: [
            ...warm(0, 1),
            together(...sends(0, request), ...event),
            answers(REPLY),
            ...aftermath(0, 1),
          ],
        },
        {
          name: `${what} before a ${method} comes`,
          steps: [
            ...warm(0, 1),
            together(...event, ...sends(0, request)),
            answers(REPLY),
            ...aftermath(0, 1),
          ],
        },
        {
          name: `${what} as a ${method} is answered`,
          steps: [
            ...warm(0, 1),
            ...sends(0, request),
            together(answers(REPLY), ...event),
            ...aftermath(0, 1),
          ],
        },
        {
          name: `${what} before a ${method} is answered`,
          steps: [
            ...warm(0, 1),
            ...sends(0, request),
            together(...event, answers(REPLY)),
            ...aftermath(0, 1),
          ],
        },
      ]),
  );
  await assertTableSame(t, stories);
});

test("what comes at once is served in its order, however few connections there are", async (t) => {
  const kinds = [
    "a GET",
    "a POST",
    "a POST in chunks",
    "a POST of 70000 bytes",
    "half a body",
    "an upgrade",
    "a HEAD",
  ];
  const stories = kinds.flatMap((first) =>
    kinds.flatMap((second) =>
      [0, 1, 2].map((connections): Story => ({
        name: `${first}, ${second} and a POST, with ${connections} connections`,
        steps: [
          ...warm(...Array(connections).keys()),
          together(
            ...sends(0, REQUESTS[first] ?? ""),
            ...sends(1, REQUESTS[second] ?? ""),
            ...sends(2, POST),
          ),
          time(1),
          answers(REPLY, 2),
          time(1),
          together(...sends(2, GET), answers(REPLY, 1), ...sends(3, POST)),
          time(1),
          answers(OK, 1),
          answers(OK_KEPT),
          ...aftermath(0, 1, 2, 3),
        ],
      })),
    ),
  );
  await assertTableSame(t, stories);
});

test("in whatever setting, and after whatever came before, exchanges are relayed and told alike", async () => {
  await assertSame(NAMED);
});

test("the usual exchange takes the short way, so that something is compared here", async (t) => {
  const begun = t.mock.method(Relay.prototype, "begin");
  const lengthened = t.mock.method(Lengthened.prototype, "goOn");
  // The first finds no connection.
  const steps = [
    ...warm(0),
    ...Array(5)
      .fill([...sends(0, POST), answers(REPLY)])
      .flat(),
  ];
  const counts: number[][] = [];
  for (const short of [false, true]) {
    for (const { mock } of [begun, lengthened]) mock.resetCalls();
    await played({ name: "the usual", steps }, short);
    counts.push([begun.mock.callCount(), lengthened.mock.callCount()]);
  }
  assert.deepEqual(counts, [
    [6, 0],
    [0, 1],
  ]);
});

const limited = (which: string, count: number): Step =>
  until(({ stats }) => (stats.limited[which] ?? 0) >= count);
/** A head that is never whole ends, as the `heads`-th, with the look at which all are looked at. */
const looked = (ms: number, heads: number): Step[] => [
  ...sends(80 + heads, "GET / HT"),
  together(time(ms), limited("head_timeout", heads)),
];

test("what takes too long, and what is no more than slow, is met and told alike", async () => {
  /** A client that has said nothing at all has `headMs` of the machine's time. */
  const often = { ...LIMITS, headMs: 4000, sendMs: 80 };
  const limits = { ...often, bodyMs: 150, idleMs: 6000, totalMs: 200, uploadMs: 100 };
  const stories = Object.entries({ GET, POST }).flatMap(([method, request]) =>
    Object.entries(moments(request)).flatMap(([when, [before, rest]]): Story[] => {
      const inHead = when === "in a head" || (when === "before the last byte" && method === "GET");
      const heads = inHead || when.startsWith("answered, with half") ? 2 : 1;
      return [
        {
          name: `a limit passes ${when} (${method})`,
          options: { limits },
          steps: [...warm(0), ...before, ...looked(4001, heads), ...rest, ...aftermath(0, 1)],
        },
        {
          name: `a limit passes for another ${when} (${method})`,
          options: { limits: { ...limits, totalMs: 0, bodyMs: 0 } },
          steps: [...warm(0), ...before, ...looked(4001, heads), ...rest, ...aftermath(0, 1)],
        },
        {
          name: `the idle time passes ${when} (${method})`,
          options: { limits: { ...often, idleMs: 6000 } },
          steps: [...warm(0, 1), ...before, ...looked(6001, heads), ...rest, ...aftermath(0, 1)],
        },
        {
          name: `the time for an answer passes ${when} (${method})`,
          options: { responseTimeoutMs: 50 },
          steps: [
            ...warm(0),
            ...before,
            /^(?:asked|after an interim|in the answer's head)/.test(when)
              ? together(
                  time(51),
                  until(({ got, closed }) => got(0).includes(" 504 ") || closed(0)),
                )
              : time(51),
            ...rest,
            ...aftermath(0, 1),
          ],
        },
      ];
    }),
  );
  await assertSame(stories);
});

test("a client that does not take its answers is met and told alike", async () => {
  const allCame = until(({ got, stats }) => got(0).length > MANY * 16_000 && stats.activeRequests === 0);
  const over = until(({ stats }) => stats.activeRequests === 0);
  const stories: Story[] = [
    { name: "it goes on", steps: [...DEAF, client(0, "resume"), allCame, opened("all"), ...aftermath(0)] },
    {
      name: "it asks for more, others ask, and it goes on",
      steps: [...DEAF, ...sends(0, POST), ...sends(1, POST), client(0, "resume"), allCame, opened("last")],
    },
    { name: "it ends", steps: [...DEAF, client(0, "end"), client(0, "resume"), over, opened("last")] },
    { name: "it resets", steps: [...DEAF, client(0, "reset"), over, opened("last")] },
    {
      name: "it sends garbage",
      steps: [...DEAF, ...sends(0, "x"), client(0, "resume"), allCame, opened("all")],
    },
    {
      name: "the model is gone",
      steps: [...DEAF, model(0, "end"), model(1, "end"), client(0, "reset"), over, opened("last")],
    },
    { name: "the drain is over", steps: [...DEAF, stop(0), over, opened("last")] },
    {
      name: "it may take so long",
      options: { limits: { ...LIMITS, sendMs: 4000, headMs: 4000, bodyMs: 80 } },
      steps: [...DEAF, ...[1, 2, 3, 4].flatMap((nth) => looked(4001, nth)), over, opened("last")],
    },
    {
      name: "the exchange may take so long",
      options: { limits: { ...LIMITS, totalMs: 100 } },
      steps: [
        ...DEAF,
        time(101),
        until(({ stats }) => stats.limited["request_timeout"] === 1),
        opened("last"),
      ],
    },
  ];
  await assertSame(stories);
});

test("whatever clients and models do, in whatever order, is relayed and told alike", async (t) => {
  const { seed, numRuns } = fuzzRun(t, 60);
  const alike = fc.asyncProperty(anyStory, async (story) => assert.equal(await differs(story), null));
  await fc.assert(alike, { seed, numRuns });
});
