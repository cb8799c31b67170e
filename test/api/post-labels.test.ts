import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { DEFAULT_LIMITS } from "../../src/api/api.ts";
import { labelsAnswer, problemAnswer } from "../../src/api/schemas.ts";
import { until } from "../support/sidecar.ts";
import { CSV, JSON_TYPE, NDJSON, call, createStore, running } from "./harness.ts";

const line = (id: string, label: unknown = 1): string => `${JSON.stringify({ id, label })}\n`;

suite("POST /v1/labels", () => {
  test("answers with one count per result, in the interface's words", async (t) => {
    const { port, store } = await running(t);
    store.known.add("a");
    const body = line("a") + line("b") + line("c", null) + line("bad-d") + "{nope\n" + "\n";
    const reply = await call(port, { headers: NDJSON, body });
    assert.equal(reply.status, 200);
    labelsAnswer.parse(reply.json);
    assert.deepEqual(reply.json, {
      received: 5,
      joined: 1,
      waiting: 1,
      duplicate: 0,
      corrected: 0,
      stale: 0,
      retracted: 1,
      rejected: 2,
      errors: [
        { line: 4, code: "ambiguous_id", message: "shared" },
        { line: 5, code: "invalid_json", message: "not valid JSON: write one JSON object per line" },
      ],
    });
    assert.equal(store.counted.length, 5);
  });

  test("takes one JSON object, an array, and tells the index of a refused item", async (t) => {
    const { port, store } = await running(t);
    const one = await call(port, { headers: JSON_TYPE, body: ' {"id":"x","label":true,"ts":5} ' });
    assert.equal(one.json.waiting, 1);
    assert.deepEqual(
      { ...store.events[0], receivedAt: 0 },
      { id: "x", model: null, label: { className: "1" }, ts: 5, receivedAt: 0 },
    );
    const body = '[{"id":"p,]\\"[","label":[1,0]}, {"id":7,"label":1},\n{"id":"q","label":{"a":1}}]';
    const many = await call(port, { headers: { "content-type": "application/json; charset=UTF-8" }, body });
    assert.equal(many.status, 200);
    assert.deepEqual(
      many.json.errors.map((e: { line: number; code: string }) => [e.line, e.code]),
      [
        [2, "invalid_id"],
        [3, "invalid_label"],
      ],
    );
    assert.equal(store.events[1]?.id, 'p,]"[');
  });

  test("an integer label that no number holds keeps its digits, an id has to be text all the same", async (t) => {
    const { port, store } = await running(t);
    const digits = "9007199254740993";
    const object = (id: string): string => `{"id":"${id}","label":${digits}}`;
    const bodies = [
      [NDJSON, `${object("a")}\n{"label": -${digits}, "id": "b"}\n{"id":${digits},"label":1}\n`],
      [JSON_TYPE, `[${object("c")},{"id":"d","label":[${digits},9007199254740994]}]`],
      [CSV, `id,label\ne,${digits}\nf,9007199254740994\n`],
    ] as const;
    const codes: string[] = [];
    for (const [headers, body] of bodies) {
      const reply = await call(port, { headers, body });
      codes.push(...reply.json.errors.map(({ code }: { code: string }) => code));
    }
    assert.deepEqual(codes, ["invalid_id"]);
    assert.deepEqual(
      store.events.map(({ id, label }) => [id, label]),
      [
        ["a", digits],
        ["b", `-${digits}`],
        ["c", digits],
        ["d", [digits, 9_007_199_254_740_994]],
        ["e", digits],
        ["f", 9_007_199_254_740_994],
      ],
    );
  });

  test("reads CSV with reordered columns, quotes, blank lines and a byte order mark", async (t) => {
    const { port, store } = await running(t);
    const body =
      '\uFEFFLabel,note,id,ts\r\n0.5,x,a,2026-01-31T12:00:00Z\r\n\r\ntrue,,"b,""1""",1768345800000\r\n' +
      "007,,c,\r\n,,d,\r\nnull,,e,\r\nNaN,,f,\r\n1e400,,g,\r\n1,,h,yesterday\r\n";
    const reply = await call(port, { headers: CSV, body });
    assert.equal(reply.status, 200);
    assert.deepEqual(
      store.events.map((e) => [e.id, e.label]),
      [
        ["a", 0.5],
        ['b,"1"', { className: "1" }],
        ["c", "007"],
        ["e", null],
      ],
    );
    assert.equal(store.events[0]?.ts, Date.UTC(2026, 0, 31, 12));
    assert.equal(store.events[1]?.ts, 1768345800000);
    assert.deepEqual(
      reply.json.errors.map((e: { line: number; code: string }) => [e.line, e.code]),
      [
        [6, "missing_label"],
        [8, "invalid_label"],
        [9, "invalid_label"],
        [10, "invalid_ts"],
      ],
    );
  });

  test("a CSV without id or label column, or with a broken quote, is refused with what was kept before it", async (t) => {
    const { port } = await running(t);
    const header = await call(port, { headers: CSV, body: "key;label\na;1\n" });
    assert.equal(header.status, 400);
    assert.equal(header.json.code, "missing_column");
    assert.match(header.json.detail, /id and label/);
    const quote = await call(port, { headers: CSV, body: 'id,label\na,1\nb"x,2\nc,3\n' });
    assert.equal(quote.status, 400);
    assert.equal(quote.json.code, "invalid_csv");
    assert.match(quote.json.detail, /line 3/);
    const open = await call(port, { headers: CSV, body: `id,label\n"${"x".repeat(400_000)}` });
    assert.equal(open.json.code, "invalid_csv");
  });

  test("nothing sent is 200, everything refused is 422", async (t) => {
    const { port } = await running(t);
    for (const [headers, body] of [
      [NDJSON, ""],
      [NDJSON, "\n \n"],
      [JSON_TYPE, "[]"],
      [CSV, ""],
      [CSV, "id,label\n"],
    ] as const) {
      const empty = await call(port, { headers, body });
      assert.equal(empty.status, 200, JSON.stringify(body));
      assert.equal(empty.json.received, 0);
    }
    const all = await call(port, { headers: NDJSON, body: '{"id":"a"}\n[]\n' });
    assert.equal(all.status, 422);
    assert.equal(all.headers["content-type"], "application/problem+json");
    problemAnswer.parse(all.json);
    assert.equal(all.json.code, "all_rejected");
    assert.deepEqual(
      all.json.errors.map((e: { code: string }) => e.code),
      ["missing_label", "invalid_event"],
    );
  });

  test("tells the first hundred errors by line, whoever found them", async (t) => {
    const { port } = await running(t);
    let body = "";
    for (let i = 1; i <= 6000; i++) body += i % 2 === 0 ? "{bad\n" : line(`bad-${i}`);
    const reply = await call(port, { headers: NDJSON, body });
    assert.equal(reply.status, 422);
    assert.equal(reply.json.rejected, 6000);
    assert.deepEqual(
      reply.json.errors.map((e: { line: number }) => e.line),
      Array.from({ length: 100 }, (_, i) => i + 1),
    );
  });

  test("a JSON body that is broken anywhere stores nothing", async (t) => {
    const { port, store } = await running(t);
    const good = '{"id":"a","label":1}';
    for (const body of [
      "",
      "[",
      `[${good}`,
      `[${good},]`,
      `[,${good}]`,
      `[${good} ${good}]`,
      `[${good}] ${good}`,
      `[${good}}`,
      `[${good},{"id":"b" "label":1}]`,
      `[${"[".repeat(100_000)}`,
      "[".repeat(100_000) + "]".repeat(100_000),
      `[{"id":"unclosed]`,
      "undefined",
    ]) {
      const reply = await call(port, { headers: JSON_TYPE, body });
      assert.equal(reply.status, 400, body.slice(0, 60));
      assert.equal(reply.json.code, "invalid_json");
    }
    const latin = await call(port, {
      headers: JSON_TYPE,
      body: Buffer.from('{"id":"\xe9","label":1}', "latin1"),
    });
    assert.equal(latin.json.code, "invalid_utf8");
    assert.equal(store.events.length, 0);
  });

  test("bodies over the limit are 413, and other types, codings and charsets 415", async (t) => {
    const limits = { ...DEFAULT_LIMITS, jsonBytesMax: 1000 };
    const { port } = await running(t, { options: { limits } });
    const big = `[${line("a").trim()}${`,${line("a").trim()}`.repeat(100)}]`;
    const announced = await call(port, {
      headers: { ...JSON_TYPE, "content-length": String(big.length) },
      body: big,
    });
    assert.equal(announced.status, 413);
    assert.equal(announced.json.code, "body_too_large");
    const chunked = await call(port, { headers: JSON_TYPE, body: [big] });
    assert.equal(chunked.status, 413);
    const forms = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""];
    for (const type of forms) {
      const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
      const reply = await call(port, { headers, body: line("a") });
      assert.equal(reply.status, 415, type);
    }
    const zipped = await call(port, {
      headers: { ...NDJSON, "content-encoding": "gzip" },
      body: gzipSync(line("a")),
    });
    assert.equal(zipped.json.code, "unsupported_content_encoding");
    assert.equal(zipped.headers["accept-encoding"], "identity");
    const charset = await call(port, { headers: { "content-type": "text/csv; charset=latin1" }, body: "x" });
    assert.equal(charset.status, 415);
  });

  test("a store that refuses is 503 with Retry-After, and half way it tells how many were kept", async (t) => {
    const store = createStore();
    store.answers = ["refuse"];
    const { port } = await running(t, { store });
    const reply = await call(port, { headers: NDJSON, body: line("a") });
    assert.equal(reply.status, 503);
    assert.equal(reply.headers["retry-after"], "5");
    assert.equal(reply.json.code, "store_unavailable");
    assert.equal(reply.json.cause, "disk_full");
    assert.equal(reply.json.kept, 0);
    store.answers = ["keep", "refuse"];
    const half = await call(port, { headers: NDJSON, body: many(50_000) });
    assert.equal(half.status, 503);
    assert.ok(half.json.kept > 0 && half.json.kept < 50_000, `${half.json.kept}`);
    assert.equal(half.json.kept, store.events.length);
    store.answers = ["keep"];
    assert.equal((await call(port, { headers: NDJSON, body: line("a") })).status, 200);
  });

  test("a store that hangs is 503 after its timeout, and a bug is 500 without detail", async (t) => {
    const store = createStore();
    store.answers = ["hang"];
    const { port } = await running(t, {
      store,
      options: { limits: { ...DEFAULT_LIMITS, storeTimeoutMs: 50 } },
    });
    const hung = await call(port, { headers: JSON_TYPE, body: line("a") });
    assert.equal(hung.status, 503);
    assert.equal(hung.json.code, "store_timeout");
    store.answers = ["throw"];
    const thrown = await call(port, { headers: JSON_TYPE, body: line("a") });
    assert.equal(thrown.status, 500);
    assert.equal(thrown.json.code, "internal");
    assert.doesNotMatch(thrown.text, /secret|\.ts/);
  });

  test("200,000 streamed lines go through in bounded batches with flat memory", async (t) => {
    const store = createStore();
    store.remember = false;
    const { port } = await running(t, { store });
    const before = process.memoryUsage().rss;
    const reply = await call(port, { headers: NDJSON, body: many(200_000) });
    assert.equal(reply.json.received, 200_000);
    assert.equal(reply.json.waiting, 200_000);
    assert.ok(store.batchMost <= 2_000);
    assert.ok(store.inFlightMost <= 3);
    const grownMiB = (process.memoryUsage().rss - before) / 1024 / 1024;
    assert.ok(grownMiB < 120, `${grownMiB} MiB`);
  });

  test("lines cut anywhere, also inside a character, are read whole", async (t) => {
    const { port, store } = await running(t);
    const bytes = Buffer.from(
      `\uFEFF${line("grün-€-😀")}${line("b", "ja").replace("\n", "\r\n")}${line("c").trim()}`,
    );
    const reply = await call(port, {
      headers: NDJSON,
      body: Array.from(bytes, (byte) => Buffer.from([byte])),
    });
    assert.equal(reply.json.waiting, 3);
    assert.deepEqual(
      store.events.map((e) => e.id),
      ["grün-€-😀", "b", "c"],
    );
  });

  test("invalid UTF-8 costs its own line only, and so does a line that is too long", async (t) => {
    const limits = { ...DEFAULT_LIMITS, lineBytesMax: 1000 };
    const { port, store } = await running(t, { options: { limits } });
    const latin = Buffer.from('{"id":"\xe9","label":1}\n', "latin1");
    const long = line("l".repeat(1_000_000));
    const body = Buffer.concat([Buffer.from(line("a")), latin, Buffer.from(line("b") + long + line("c"))]);
    const reply = await call(port, { headers: NDJSON, body });
    assert.deepEqual(
      reply.json.errors.map((e: { line: number; code: string }) => [e.line, e.code]),
      [
        [2, "invalid_utf8"],
        [4, "line_too_long"],
      ],
    );
    assert.deepEqual(
      store.events.map((e) => e.id),
      ["a", "b", "c"],
    );
  });

  test("hostile lines are data or refused, and nothing is polluted", async (t) => {
    const { port, store } = await running(t);
    const lines = [
      '{"__proto__":{"id":"p","label":1}}',
      '{"id":"__proto__","label":1,"model":"constructor"}',
      '{"constructor":{"prototype":{"polluted":1}},"id":"c","label":1}',
      `{"id":"${"x".repeat(513)}","label":1}`,
      '{"id":"","label":1}',
      '{"id":"a\\u0000b","label":1}',
      '{"id":"\\ud800","label":1}',
      '{"id":"n","label":NaN}',
      '{"id":"n","label":1e400}',
      `{"id":"n","label":${"9".repeat(5000)}}`,
      `{"id":"n","label":"${"x".repeat(1025)}"}`,
      '{"id":"n","label":[1,[2]]}',
      '{"id":"n","label":[]}',
      `{"id":"n","label":[${"1,".repeat(10_000)}1]}`,
      '{"id":"n","label":1,"ts":-1}',
      '{"id":"n","label":1,"ts":1.5}',
      '{"id":"n","label":1,"ts":9e15}',
      '{"id":"n","label":1,"model":""}',
      '{"id":"n","label":1,"model":5}',
      `${"[".repeat(200_000)}`,
      '{"id":"../../etc; DROP TABLE labels;--","label":-0}',
    ];
    const reply = await call(port, { headers: NDJSON, body: lines.join("\n") });
    assert.equal(reply.status, 200);
    assert.deepEqual(
      store.events.map((e) => e.id),
      ["__proto__", "c", "../../etc; DROP TABLE labels;--"],
    );
    assert.ok(Object.is(store.events[2]?.label, 0));
    assert.equal(reply.json.rejected, lines.length - 3);
    assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  });

  test("a client that leaves in the middle of a line has no half label stored", async (t) => {
    const { port, store } = await running(t);
    const socket = connect(port, "127.0.0.1");
    const half = '{"id":"b","label":12';
    const head = `POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n`;
    socket.write(head + line("a") + half);
    await until(() => store.events.length > 0);
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(
      store.events.map((e) => e.id),
      ["a"],
    );
    assert.equal((await call(port, { headers: NDJSON, body: line("c") })).status, 200);
  });

  test("a body that pauses for too long is 408, and a slow one is stored while it comes", async (t) => {
    const { port, store } = await running(t);
    // A line may wait for the next, not for the end: that would make the body late.
    async function* slow(): AsyncGenerator<string> {
      for (let i = 0; i < 4; i++) {
        yield line(`s${i}`);
        if (i < 3) await until(() => store.events.length >= i);
      }
    }
    assert.equal((await call(port, { headers: NDJSON, body: slow() })).json.waiting, 4);
    async function* stuck(): AsyncGenerator<string> {
      yield line("t");
      await new Promise(() => {});
    }
    const hasty = await running(t, { options: { limits: { ...DEFAULT_LIMITS, bodyIdleMs: 500 } } });
    const reply = await call(hasty.port, { headers: NDJSON, body: stuck() });
    assert.equal(reply.status, 408);
  });

  test("one request too many is 429, and large JSON bodies share one allowance", async (t) => {
    const store = createStore();
    store.answers = ["hang", "keep"];
    const limits = { ...DEFAULT_LIMITS, requestsInFlightMax: 1, jsonBytesHeldMax: 200, storeTimeoutMs: 5000 };
    const { port } = await running(t, { store, options: { limits } });
    const first = call(port, { headers: NDJSON, body: line("a") });
    await until(() => store.batchMost > 0);
    const second = await call(port, { headers: NDJSON, body: line("b") });
    assert.equal(second.status, 429);
    assert.equal(second.headers["retry-after"], "1");
    assert.equal((await first).status, 503);
    const large = await call(port, { headers: JSON_TYPE, body: `[${line("x".repeat(300))}]` });
    assert.equal(large.json.code, "busy");
    assert.equal((await call(port, { headers: JSON_TYPE, body: line("c") })).status, 200);
  });

  test("a refusal reaches a client that still uploads, and Expect: 100-continue spares it the upload", async (t) => {
    const store = createStore();
    store.answers = ["refuse"];
    const { port } = await running(t, { store });
    assert.equal((await call(port, { headers: NDJSON, body: many(400_000) })).status, 503);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.write(
        "POST /v1/labels HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 99999\r\nExpect: 100-continue\r\n\r\n",
      );
      socket.once("data", (data) => {
        resolve(data.toString());
        socket.destroy();
      });
    });
    assert.match(answer, /^HTTP\/1.1 415 /);
    store.answers = ["keep"];
    const invited = await call(port, { headers: { ...NDJSON, expect: "100-continue" }, body: line("a") });
    assert.equal(invited.status, 200);
  });

  test("stopping ends a running stream with 503 and what was kept", async (t) => {
    const { api, port, store } = await running(t);
    let endless = true;
    async function* stream(): AsyncGenerator<string> {
      while (endless) {
        yield line("a");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    const streaming = call(port, { headers: NDJSON, body: stream() });
    await until(() => store.events.length >= 3);
    const stopped = api.stop(60_000);
    const reply = await streaming;
    endless = false;
    assert.equal(reply.status, 503);
    assert.equal(reply.json.code, "stopping");
    assert.equal(reply.json.kept, store.events.length);
    await stopped;
    assert.equal(api.address, null);
  });
});

function* many(lines: number): Generator<string> {
  for (let from = 0; from < lines; from += 1000) {
    let text = "";
    for (let i = from; i < Math.min(lines, from + 1000); i++)
      text += line(`01890a5d-ac96-774b-bcce-${i}`, i % 2);
    yield text;
  }
}
