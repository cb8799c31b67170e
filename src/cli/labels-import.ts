// `outrider labels import`: label files -> one or several sidecars, in pieces that may be sent again without harm.

import { createReadStream, statSync } from "node:fs";
import { extname } from "node:path";
import { type Clock, keepAlive, sleep } from "../kernel/clock.ts";
import { Problem, Problems, messageOf } from "../kernel/problem.ts";
import { type ApiClient, type ApiReply, createApiClient } from "./api-client.ts";
import { type LabelFormat, type Piece, cutLabels } from "./label-pieces.ts";
import {
  type Counts,
  type LabelAnswer,
  type LabelTrouble,
  NO_COUNTS,
  RESULTS,
  addCounts,
  mergeAnswers,
  parseLabelAnswer,
  printable,
} from "./label-sums.ts";
import { type Progress, createProgress } from "./progress.ts";

const ATTEMPTS_MAX = 6;
const FIRST_WAIT_MS = 500;
const WAIT_MS_MAX = 30_000;
const ERRORS_MAX = 100;
const ERRORS_PRINTED = 20;
const READ_BYTES = 256 * 1024;
const RETRIED: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
const FORMATS: ReadonlyMap<string, LabelFormat> = new Map([
  [".ndjson", "ndjson"],
  [".jsonl", "ndjson"],
  [".csv", "csv"],
  [".json", "json"],
]);

export interface ImportOptions {
  /** `-` is standard input, read as NDJSON. */
  readonly files: readonly string[];
  readonly apis: readonly string[];
  readonly token: string | null;
  readonly json: boolean;
  /** A terminal for the progress bar, or null. */
  readonly progress: NodeJS.WritableStream | null;
}

export interface ImportNeeds {
  readonly clock: Clock;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly stdin: AsyncIterable<unknown>;
}

interface Source {
  readonly name: string;
  readonly format: LabelFormat;
  /** null: not known. */
  readonly bytes: number | null;
  open(): AsyncIterable<unknown>;
}

interface Target {
  readonly client: ApiClient;
  counts: Counts;
  /** Why it gets no more; null while it takes labels. */
  failure: string | null;
}

interface FileTrouble extends LabelTrouble {
  readonly file: string;
}

function createSource(file: string, stdin: AsyncIterable<unknown>): Source {
  if (file === "-") return { name: "standard input", format: "ndjson", bytes: null, open: () => stdin };
  const format = FORMATS.get(extname(file).toLowerCase());
  if (format === undefined) {
    throw new Problem("usage", `the name must end in ${[...FORMATS.keys()].join(", ")}`, file);
  }
  const stat = statSync(file);
  if (stat.isDirectory()) throw new Problem("usage", "is a folder", file);
  const open = (): AsyncIterable<unknown> => createReadStream(file, { highWaterMark: READ_BYTES });
  return { name: file, format, bytes: stat.isFile() ? stat.size : null, open };
}

/** All files are looked at before anything is sent. */
function createSources(files: readonly string[], stdin: AsyncIterable<unknown>): readonly Source[] {
  const problems: Problem[] = [];
  const sources: Source[] = [];
  for (const file of files) {
    try {
      sources.push(createSource(file, stdin));
    } catch (thrown) {
      problems.push(thrown instanceof Problem ? thrown : new Problem("usage", messageOf(thrown), file));
    }
  }
  if (files.length === 0)
    problems.push(new Problem("usage", "name at least one file, or - for standard input"));
  if (files.filter((file) => file === "-").length > 1)
    problems.push(new Problem("usage", "- may be named once"));
  if (problems.length > 0) throw new Problems(problems);
  return sources;
}

function explain(reply: ApiReply): string {
  if (reply.kind === "unreachable") return printable(reply.message);
  const { body, status } = reply;
  const said =
    typeof body === "object" && body !== null && "detail" in body ? `: ${String(body.detail)}` : "";
  return printable(`answered ${status}${said}`);
}

function waitMs(reply: ApiReply, attempt: number): number {
  const askedS = reply.kind === "answer" ? reply.retryAfterS : null;
  return Math.min(WAIT_MS_MAX, askedS === null ? FIRST_WAIT_MS * 2 ** attempt : askedS * 1000);
}

class Import {
  readonly #needs: ImportNeeds;
  readonly #targets: readonly Target[];
  readonly #progress: Progress;
  readonly #bytesTotal: number | null;
  #bytes = 0;
  #counts: Counts = NO_COUNTS;
  readonly #errors: FileTrouble[] = [];
  readonly #failures: string[] = [];

  constructor(
    needs: ImportNeeds,
    targets: readonly Target[],
    view: { progress: Progress; bytesTotal: number | null },
  ) {
    this.#needs = needs;
    this.#targets = targets;
    this.#progress = view.progress;
    this.#bytesTotal = view.bytesTotal;
  }

  async run(sources: readonly Source[]): Promise<void> {
    for (const source of sources) {
      try {
        await this.#source(source);
      } catch (thrown) {
        this.#failures.push(`${source.name}: ${printable(messageOf(thrown))}`);
      }
    }
  }

  async #source(source: Source): Promise<void> {
    for await (const piece of cutLabels(source.open(), source.format)) {
      // Nobody is left to send to: the failures say so.
      if (this.#targets.every(({ failure }) => failure !== null)) return;
      await this.#piece(source.name, piece);
    }
  }

  /** In the order of the file, one piece at a time: of two labels with one time the later line must arrive later. */
  async #piece(file: string, piece: Piece): Promise<void> {
    const open = this.#targets.filter(({ failure }) => failure === null);
    const told = await Promise.all(open.map((target) => this.#send(target, file, piece)));
    const { counts, errors } = mergeAnswers(told.filter((answer) => answer !== null));
    this.#counts = addCounts(this.#counts, counts);
    for (const error of errors) {
      if (this.#errors.length >= ERRORS_MAX) break;
      this.#errors.push({ file, ...error, line: error.line + piece.lineOffset });
    }
    this.#bytes += piece.fileBytes;
    this.#progress.show({ bytes: this.#bytes, bytesTotal: this.#bytesTotal, labels: this.#counts.received });
  }

  async #send(target: Target, file: string, piece: Piece): Promise<LabelAnswer | null> {
    const reply = await this.#reply(target, piece);
    const answer = reply.kind === "answer" ? parseLabelAnswer(reply.body) : null;
    if (answer !== null) target.counts = addCounts(target.counts, answer.counts);
    const done = reply.kind === "answer" && (reply.status === 200 || reply.status === 422);
    if (done && answer !== null) return answer;
    target.failure = `${file}, after line ${Math.max(0, piece.lineOffset)}: ${explain(reply)}`;
    this.#failures.push(`${target.client.api}: ${target.failure}`);
    return answer;
  }

  async #reply(target: Target, piece: Piece): Promise<ApiReply> {
    const content = { type: piece.contentType, bytes: piece.body };
    for (let attempt = 0; ; attempt++) {
      const reply = await target.client.call({ method: "POST", path: "/v1/labels", content });
      const passes = reply.kind === "unreachable" || RETRIED.has(reply.status);
      if (!passes || attempt + 1 >= ATTEMPTS_MAX) return reply;
      const ms = waitMs(reply, attempt);
      this.#progress.note(`${target.client.api}: ${explain(reply)}; again in ${Math.ceil(ms / 1000)} s`);
      await sleep(this.#needs.clock, ms);
    }
  }

  get failed(): boolean {
    const { received, rejected } = this.#counts;
    return this.#failures.length > 0 || (received > 0 && rejected === received);
  }

  print(json: boolean): void {
    const { stdout, stderr } = this.#needs;
    if (json) {
      const apis = this.#targets.map(({ client, counts, failure }) => ({
        api: client.api,
        ...counts,
        failure,
      }));
      const result = { ...this.#counts, errors: this.#errors, failures: this.#failures, apis };
      stdout.write(`${JSON.stringify(result, null, 2)}\n`);
      return;
    }
    const rows = ["received" as const, ...RESULTS].map(
      (name) => [name, this.#counts[name].toLocaleString("en")] as const,
    );
    const width = Math.max(...rows.map(([, figure]) => figure.length));
    stdout.write(rows.map(([name, figure]) => `${name.padEnd(10)} ${figure.padStart(width)}\n`).join(""));
    for (const { file, line, code, message } of this.#errors.slice(0, ERRORS_PRINTED)) {
      stderr.write(`${file}:${line}: ${code}: ${message}\n`);
    }
    const hidden = this.#counts.rejected - ERRORS_PRINTED;
    if (hidden > 0) stderr.write(`... and ${hidden.toLocaleString("en")} more refused\n`);
    for (const failure of this.#failures) stderr.write(`${failure}\n`);
  }
}

/**
 * Sends every file to every API and prints the sum. Resolves to the exit code: 0, or 1 when a sidecar could not be given all
 * labels or all labels were refused. Throws Problems (usage) before anything is sent.
 */
export async function importLabels(options: ImportOptions, needs: ImportNeeds): Promise<0 | 1> {
  const sources = createSources(options.files, needs.stdin);
  if (options.apis.length === 0) throw new Problem("usage", "--api names no address");
  const clients = options.apis.map((api) => createApiClient(api, options.token));
  const targets = clients.map((client): Target => ({ client, counts: NO_COUNTS, failure: null }));
  const progress = createProgress(options.progress, needs.clock);
  const sizes = sources.map(({ bytes }) => bytes);
  const bytesTotal = sizes.reduce((sum, bytes) => (sum === null || bytes === null ? null : sum + bytes), 0);
  const work = new Import(needs, targets, { progress, bytesTotal });
  const alive = keepAlive();
  try {
    progress.show({ bytes: 0, bytesTotal, labels: 0 });
    await work.run(sources);
  } finally {
    alive.cancel();
    progress.end();
    await Promise.all(clients.map((client) => client.close()));
  }
  work.print(options.json);
  return work.failed ? 1 : 0;
}
