import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { type TestContext, suite, test } from "node:test";
import fc from "fast-check";
import { type LabelFormat, cutLabels } from "../../src/cli/label-pieces.ts";
import { type LabelAnswer, NO_COUNTS, mergeAnswers, printable } from "../../src/cli/label-sums.ts";
import { type ImportOptions, importLabels } from "../../src/cli/labels-import.ts";
import { type Clock, systemClock } from "../../src/kernel/clock.ts";
import { Problems } from "../../src/kernel/problem.ts";
import { createStore, running } from "../api/harness.ts";

class Sink extends Writable {
  text = "";
  override _write(chunk: unknown, _encoding: string, done: () => void): void {
    this.text += String(chunk);
    done();
  }
}

/** Waits are noted, not waited for. */
function hurried(waits: number[]): Clock {
  return {
    ...systemClock,
    after: (ms, call) => {
      waits.push(ms);
      return systemClock.after(0, call);
    },
  };
}

/** What `--json` prints. */
interface Summary {
  readonly received: number;
  readonly joined: number;
  readonly waiting: number;
  readonly rejected: number;
  readonly errors: readonly { readonly file: string; readonly line: number; readonly code: string }[];
  readonly apis: readonly { readonly received: number; readonly joined: number }[];
  readonly failures: readonly string[];
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly bar: string;
  readonly waits: number[];
  /** Empty where text was asked for. */
  readonly json: Summary;
}

async function run(
  over: Partial<ImportOptions> & Pick<ImportOptions, "files" | "apis">,
  stdin = "",
): Promise<Ran> {
  const [stdout, stderr, bar] = [new Sink(), new Sink(), new Sink()];
  const waits: number[] = [];
  const options = { token: null, json: true, progress: bar, ...over };
  const needs = { clock: hurried(waits), stdout, stderr, stdin: Readable.from([Buffer.from(stdin)]) };
  const code = await importLabels(options, needs);
  const json = JSON.parse(options.json ? stdout.text : "{}") as Summary;
  return { code, out: stdout.text, err: stderr.text, bar: bar.text, waits, json };
}

function folder(t: TestContext): (name: string, text: string) => string {
  const path = mkdtempSync(join(tmpdir(), "outrider-import-"));
  t.after(() => rmSync(path, { recursive: true }));
  return (name, text) => {
    writeFileSync(join(path, name), text);
    return join(path, name);
  };
}

const at = (port: number): string => `http://127.0.0.1:${port}`;
const ndjson = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `${JSON.stringify({ id: `p${from + i}`, label: 1 })}\n`).join(
    "",
  );

suite("outrider labels import", () => {
  test("sends NDJSON, CSV, JSON and standard input, and sums up", async (t) => {
    const file = folder(t);
    const { port, store } = await running(t);
    store.known.add("p1").add("c1");
    const files = [
      file("a.ndjson", ndjson(0, 3)),
      file("b.csv", "id,label\nc1,0.5\nc2,\n"),
      file("c.json", '[{"id":"j","label":"x"}]'),
      "-",
    ];
    const { code, json } = await run({ files, apis: [at(port)] }, ndjson(50, 52));
    assert.equal(code, 0);
    assert.equal(json.received, 8);
    assert.equal(json.joined, 2);
    assert.equal(json.waiting, 5);
    assert.equal(json.rejected, 1);
    assert.deepEqual(
      json.errors.map((e) => [e.file, e.line, e.code]),
      [[files[1], 3, "missing_label"]],
    );
    assert.equal(json.apis[0]?.received, 8);
  });

  test("large files go in pieces, and errors keep the file's own line", async (t) => {
    const file = folder(t);
    const { port, store } = await running(t);
    const lines = 120_000;
    const bad = (i: number): boolean => i === 70_000 || i === 119_999;
    const rows = Array.from({ length: lines }, (_, i) => i);
    const files = [
      file("a.ndjson", rows.map((i) => (bad(i) ? "{\n" : `{"id":"n${i}","label":1}\n`)).join("")),
      file(
        "b.csv",
        `id,"la\nbel",label\n${rows.map((i) => (bad(i) ? `,"\n",1\n` : `c${i},x,1\n`)).join("")}`,
      ),
      file(
        "c.json",
        `[\n${rows.map((i) => (bad(i) ? "5" : `{"id":"j${i}",\n"label":[1,"],"]}`)).join(",\n")}\n]`,
      ),
    ];
    const { code, json, bar } = await run({ files, apis: [at(port)] });
    assert.equal(code, 0, JSON.stringify(json.failures));
    assert.equal(json.received, 3 * lines);
    assert.equal(json.rejected, 6);
    assert.equal(new Set(store.events.map((e) => e.id)).size, 3 * lines - 6);
    assert.deepEqual(
      json.errors.map((e) => e.line),
      // CSV: two lines of header, and the first bad record ends a line later than it begins.
      [70_001, 120_000, 70_004, 120_004, 70_001, 120_000],
    );
    assert.match(bar, /\[#+\.*\] \d+ % {2}[\d.]+ MiB of [\d.]+ MiB {2}[\d,]+ labels {2}[\d,]+\/s/);
  });

  test("each sidecar keeps what is its own: joined anywhere is joined", async (t) => {
    const file = folder(t);
    const [one, two] = [await running(t), await running(t)];
    for (let i = 0; i < 30; i++) one.store.known.add(`p${i}`);
    for (let i = 30; i < 90; i++) two.store.known.add(`p${i}`);
    const files = [file("a.ndjson", `${ndjson(0, 100)}{"id":5,"label":1}\n`)];
    const { code, json } = await run({ files, apis: [at(one.port), at(two.port)] });
    assert.equal(code, 0);
    assert.deepEqual([json.received, json.joined, json.waiting, json.rejected], [101, 90, 10, 1]);
    assert.deepEqual(
      json.errors.map((e) => e.line),
      [101],
    );
    assert.deepEqual(
      json.apis.map((a) => a.joined),
      [30, 60],
    );
  });

  test("a full disk is waited for as long as the sidecar asks, a bounded number of times", async (t) => {
    const file = folder(t);
    const store = createStore();
    store.answers = ["refuse", "refuse", "keep"];
    const { port } = await running(t, { store });
    const files = [file("a.ndjson", ndjson(0, 5))];
    const { code, json, waits, bar } = await run({ files, apis: [at(port)] });
    assert.equal(code, 0);
    assert.equal(json.waiting, 5);
    assert.deepEqual(waits, [5_000, 5_000]);
    assert.match(bar, /the disk is full; again in 5 s/);
    store.answers = ["refuse"];
    const failed = await run({ files, apis: [at(port)] });
    assert.equal(failed.code, 1);
    assert.equal(failed.waits.length, 5);
    assert.match(failed.json.failures[0] ?? "", /answered 503: the disk is full/);
  });

  test("a sidecar that is not there fails the import, and the other one still gets everything", async (t) => {
    const file = folder(t);
    const { port, store } = await running(t);
    const gone = await running(t);
    await gone.api.stop(10);
    const files = [file("a.ndjson", ndjson(0, 5)), file("b.ndjson", ndjson(5, 10))];
    const { code, json } = await run({ files, apis: [at(gone.port), at(port)] });
    assert.equal(code, 1);
    assert.equal(store.events.length, 10);
    assert.equal(json.waiting, 10);
    assert.equal(json.failures.length, 1);
    assert.match(json.failures[0] ?? "", /ECONNREFUSED/);
  });

  test("all refused is 1, and a missing or wrong token is told at once", async (t) => {
    const file = folder(t);
    const sha256 = createHash("sha256").update("right").digest("hex");
    const tokens = [{ name: "ci", sha256, scopes: ["labels:write" as const] }];
    const { port } = await running(t, { options: { tokens } });
    const files = [file("a.ndjson", '{"id":"a"}\n{"id":"b","label":1e999}\n')];
    const refused = await run({ files, apis: [at(port)], token: "right", json: false, progress: null });
    assert.equal(refused.code, 1);
    assert.match(refused.out, /^received +2\njoined +0\n/);
    assert.match(refused.out, /rejected +2\n$/);
    assert.match(refused.err, /a\.ndjson:1: missing_label: label is missing/);
    assert.equal(refused.bar, "");
    for (const token of [null, "wrong"]) {
      const { code, err, waits } = await run({ files, apis: [at(port)], token, json: false });
      assert.equal(code, 1);
      assert.match(err, /answered 401/);
      assert.deepEqual(waits, []);
    }
  });

  test("what cannot work is told all at once, before anything is sent", async (t) => {
    const { port, store } = await running(t);
    const file = folder(t);
    const files = [
      file("fine.ndjson", ndjson(0, 2)),
      "/nowhere/a.csv",
      file("labels.xlsx", ""),
      tmpdir() + "/x.json/",
      "-",
      "-",
    ];
    await assert.rejects(run({ files, apis: [at(port)] }), (thrown: unknown) => {
      assert.ok(thrown instanceof Problems);
      assert.equal(thrown.problems.length, 4);
      return true;
    });
    await assert.rejects(run({ files: [], apis: [at(port)] }), Problems);
    await assert.rejects(run({ files: ["-"], apis: [] }), /no address/);
    for (const api of ["127.0.0.1:7072", "ftp://x", "http://user:secret@x"]) {
      await assert.rejects(
        run({ files: ["-"], apis: [api] }),
        (thrown: Error) => !thrown.message.includes("secret"),
      );
    }
    assert.equal(store.events.length, 0);
  });

  test("nothing a server says can steer the terminal", () => {
    assert.equal(printable("a\u001B[2Jb\r\n\u009Bc"), "a?[2Jb???c");
    assert.ok(printable("x".repeat(10_000)).length <= 500);
  });
});

suite("cutting", () => {
  const cut = async (text: string, format: LabelFormat, chunkBytes: number): Promise<string[]> => {
    const bytes = Buffer.from(text);
    const chunks: Buffer[] = [];
    for (let from = 0; from < bytes.length; from += chunkBytes)
      chunks.push(bytes.subarray(from, from + chunkBytes));
    const bodies: string[] = [];
    for await (const { body } of cutLabels(Readable.from(chunks), format)) bodies.push(body.toString());
    return bodies;
  };

  test("pieces of a JSON array are arrays that hold its items in order", async () => {
    const items = Array.from({ length: 120_000 }, (_, i) => ({ id: `a,]"\\${i}`, label: [i] }));
    const bodies = await cut(JSON.stringify(items), "json", 10_007);
    assert.ok(bodies.length > 2);
    assert.deepEqual(
      bodies.flatMap((body) => JSON.parse(body)),
      items,
    );
    assert.deepEqual(await cut('{"a":[1,2]}', "json", 3), ['{"a":[1,2]}']);
    assert.deepEqual(await cut("", "json", 3), []);
  });

  test("a line without end is refused instead of held", async () => {
    const endless = Readable.from(
      (function* (): Generator<Buffer> {
        for (;;) yield Buffer.alloc(1024 * 1024, "x");
      })(),
    );
    await assert.rejects(async () => {
      for await (const _ of cutLabels(endless, "ndjson"));
    }, /line 1: longer than/);
  });
});

suite("summing up", () => {
  test("sums over sidecars stay within what was received", () => {
    const part = fc.nat({ max: 50 });
    const answer = fc
      .record({
        joined: part,
        corrected: part,
        retracted: part,
        stale: part,
        duplicate: part,
        waiting: part,
        rejected: part,
      })
      .map((counts): LabelAnswer => {
        const received = Object.values(counts).reduce((sum, n) => sum + n, 0);
        return { counts: { ...NO_COUNTS, ...counts, received }, errors: [] };
      });
    fc.assert(
      fc.property(fc.array(answer, { minLength: 1, maxLength: 4 }), (answers) => {
        const { received, ...rest } = mergeAnswers(answers).counts;
        assert.equal(
          Object.values(rest).reduce((sum, n) => sum + n, 0),
          received,
        );
        for (const n of Object.values(rest)) assert.ok(n >= 0);
        assert.ok(rest.joined <= answers.reduce((sum, a) => sum + a.counts.joined, 0));
      }),
    );
  });
});
