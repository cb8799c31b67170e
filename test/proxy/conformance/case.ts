// What a case of the suite is, and the stage it plays on.

import { Client, Failed, open, pause, until } from "./client.ts";
import type { Asked, Origin, Script } from "./origin.ts";

export interface Case {
  readonly id: string;
  readonly level: "must" | "should";
  /** Where the rule stands. */
  readonly rule: string;
  /** Alone, not beside others: it measures time or moves many bytes. */
  readonly alone?: boolean;
  /** Too long for the bounded part. */
  readonly long?: boolean;
  /** Throws when the rule is broken. */
  readonly play: (stage: Stage) => Promise<void>;
}

export class Stage {
  readonly origin: Origin;
  readonly port: number;
  readonly token: string;
  readonly #clients: Client[] = [];

  constructor(origin: Origin, port: number, token: string) {
    this.origin = origin;
    this.port = port;
    this.token = token;
  }

  get path(): string {
    return `/t/${this.token}`;
  }

  async open(): Promise<Client> {
    const client = await open(this.port);
    this.#clients.push(client);
    return client;
  }

  script(script: Script): void {
    this.origin.script(this.token, script);
  }

  /** Answers every whole request with these bytes. */
  answers(text: string): void {
    this.script((asked) => void asked.whole.then(() => asked.send(text)));
  }

  asked(): Asked[] {
    return this.origin.of(this.token);
  }

  async askedOnce(): Promise<Asked> {
    await until(() => this.asked().length > 0, "the origin was asked");
    const [first] = this.asked();
    if (first === undefined) throw new Failed("the origin was not asked");
    return first;
  }

  /** Asks once and gives the request as the origin saw it, whole. */
  async forwarded(text: string, method = "GET"): Promise<Asked> {
    const client = await this.open();
    client.send(text);
    const answer = await client.answerOrEnd(method);
    if (answer === null) throw new Failed("no answer");
    const asked = this.asked().find((one) => one.message.complete);
    if (asked === undefined) throw new Failed(`not forwarded: ${answer.start}`);
    return asked;
  }

  /** Fails when something that is not HTTP, or a hidden request, has reached the origin from this case. */
  checkOrigin(): void {
    const bad = this.origin.defects.find(({ bytes }) => bytes.includes(this.token));
    if (bad !== undefined) throw new Failed(`the origin got what is not HTTP: ${bad.text}`);
    if (this.asked().some((one) => one.target.includes("/smuggled")))
      throw new Failed("a hidden request reached the origin");
  }

  async settle(): Promise<void> {
    await pause(60);
  }

  end(): void {
    for (const client of this.#clients) client.close();
  }
}

export interface Score {
  readonly case: Case;
  /** Null: it holds. */
  readonly failure: string | null;
  readonly ms: number;
}

const CASE_MS = 60_000;

async function play(one: Case, origin: Origin, port: number): Promise<Score> {
  const stage = new Stage(origin, port, one.id);
  const from = performance.now();
  const late = new AbortController();
  try {
    const timeout = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Failed("the case did not end")), CASE_MS);
      late.signal.addEventListener("abort", () => clearTimeout(timer));
    });
    await Promise.race([one.play(stage), timeout]);
    stage.checkOrigin();
    return { case: one, failure: null, ms: performance.now() - from };
  } catch (thrown) {
    const failure = thrown instanceof Error ? thrown.message : String(thrown);
    return { case: one, failure, ms: performance.now() - from };
  } finally {
    late.abort();
    stage.end();
  }
}

/** Plays all cases: most side by side, those that measure one after the other. Order of `cases` kept. */
export async function playAll(
  cases: readonly Case[],
  target: { readonly origin: Origin; readonly port: number },
  beside = 8,
): Promise<readonly Score[]> {
  const scores = new Map<Case, Score>();
  const waiting = cases.filter((one) => one.alone !== true);
  const worker = async (): Promise<void> => {
    for (let one = waiting.shift(); one !== undefined; one = waiting.shift())
      scores.set(one, await play(one, target.origin, target.port));
  };
  await Promise.all(Array.from({ length: beside }, worker));
  for (const one of cases)
    if (one.alone === true) scores.set(one, await play(one, target.origin, target.port));
  return cases.flatMap((one) => scores.get(one) ?? []);
}
