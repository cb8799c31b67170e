// What happens to heads on their way: hop-by-hop fields, targets, equal names, what the proxy adds.

import type { Case } from "./case.ts";
import { expectStatus, expectThat, expectValues, statusOf } from "./client.ts";
import { valuesOf } from "./message.ts";
import { OK } from "./origin.ts";

const request = (path: string, lines: readonly string[] = [], method = "GET"): string =>
  [`${method} ${path} HTTP/1.1`, "Host: model.example", ...lines, "", ""].join("\r\n");

const must = (id: string, rule: string, play: Case["play"]): Case => ({ id, level: "must", rule, play });
const should = (id: string, rule: string, play: Case["play"]): Case => ({ id, level: "should", rule, play });

/** The lines go in; none of `gone` may come out, all of `kept` must. */
const hop = (id: string, lines: readonly string[], names: { gone: string[]; kept?: string[] }): Case =>
  must(id, "RFC 9110 §7.6.1", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, lines));
    for (const name of names.gone)
      expectThat(valuesOf(asked.message, name).length === 0, `${name} was forwarded`);
    for (const name of names.kept ?? [])
      expectThat(valuesOf(asked.message, name).length > 0, `${name} was not forwarded`);
  });

const hopBack = (id: string, lines: readonly string[], names: { gone: string[]; kept?: string[] }): Case =>
  must(id, "RFC 9110 §7.6.1", async (stage) => {
    stage.answers(["HTTP/1.1 200 OK", ...lines, "Content-Length: 2", "", "ok"].join("\r\n"));
    const client = await stage.open();
    const answer = await client.send(request(stage.path)).answer();
    expectStatus(answer, 200);
    expectThat(answer.body === "ok", `the body became ${JSON.stringify(answer.body)}`);
    for (const name of names.gone) expectThat(valuesOf(answer, name).length === 0, `${name} was passed on`);
    for (const name of names.kept ?? [])
      expectThat(valuesOf(answer, name).length > 0, `${name} was not passed on`);
  });

const hopCases: readonly Case[] = [
  hop(
    "hop-by-hop-req",
    ["Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-Kept: 1"],
    {
      gone: ["keep-alive", "proxy-connection"],
      kept: ["x-kept"],
    },
  ),
  hop("hop-by-hop-te", ["Connection: TE", "TE: gzip, deflate"], { gone: ["te"] }),
  hop("hop-by-hop-upgrade", ["Upgrade: foo/1"], { gone: ["upgrade"] }),
  hop("conn-named-req", ["Connection: X-Secret", "X-Secret: 1", "X-Kept: 1"], {
    gone: ["x-secret"],
    kept: ["x-kept"],
  }),
  hop(
    "conn-list-tricks",
    ["Connection: close , ,\tx-SECRET,, X-Other", "X-Secret: 1", "x-other: 2", "X-Kept: 1"],
    {
      gone: ["x-secret", "x-other"],
      kept: ["x-kept"],
    },
  ),
  hop(
    "conn-lines",
    ["Connection: X-A", "X-A: 1", "Connection: X-B", "X-B: 1", "connection: X-C", "X-C: 1", "X-Kept: 1"],
    {
      gone: ["x-a", "x-b", "x-c"],
      kept: ["x-kept"],
    },
  ),
  hop("conn-before-after", ["X-A: 1", "Connection: x-a", "X-A: 2"], { gone: ["x-a"] }),
  hop("conn-nominates-host", ["Connection: Host", "X-Kept: 1"], { gone: [], kept: ["host", "x-kept"] }),
  hopBack(
    "hop-by-hop-resp",
    ["Connection: keep-alive", "Keep-Alive: timeout=5", "Proxy-Connection: close", "X-Kept: 1"],
    {
      gone: ["proxy-connection"],
      kept: ["x-kept"],
    },
  ),
  hopBack("conn-named-resp", ["Connection: X-Secret, keep-alive", "X-Secret: 1", "X-Kept: 1"], {
    gone: ["x-secret"],
    kept: ["x-kept"],
  }),
  hopBack("conn-lines-resp", ["Connection: X-A", "Connection: ,, X-B ,", "X-A: 1", "x-b: 2", "X-Kept: 1"], {
    gone: ["x-a", "x-b"],
    kept: ["x-kept"],
  }),
  hopBack("conn-upgrade-resp", ["Connection: Upgrade", "Upgrade: h2c", "X-Kept: 1"], {
    gone: [],
    kept: ["x-kept"],
  }),
  must("conn-cl", "RFC 9110 §7.6.1", async (stage) => {
    const client = await stage.open();
    const body = `GET ${stage.path}/smuggled HTTP/1.1\r\nHost: h\r\n\r\n`;
    client.send(
      `${request(stage.path, ["Connection: content-length, close", `Content-Length: ${body.length}`], "POST")}${body}`,
    );
    const answer = await client.answerOrEnd("POST");
    await stage.settle();
    stage.checkOrigin();
    const [asked] = stage.asked();
    if (asked === undefined) expectThat(statusOf(answer) >= 400, "neither forwarded nor refused");
    else expectThat(asked.message.body === body, "the body lost its framing");
  }),
  must("conn-te", "RFC 9110 §7.6.1", async (stage) => {
    const client = await stage.open();
    client.send(
      `${request(stage.path, ["Connection: transfer-encoding", "Transfer-Encoding: chunked"], "POST")}5\r\nhello\r\n0\r\n\r\n`,
    );
    const answer = await client.answerOrEnd("POST");
    const [asked] = stage.asked();
    if (asked === undefined) expectThat(statusOf(answer) >= 400, "neither forwarded nor refused");
    else expectThat(asked.message.body === "hello", `the body became ${JSON.stringify(asked.message.body)}`);
  }),
  should("conn-nominates-added", "RFC 9110 §7.6.1, §7.6.3", async (stage) => {
    const asked = await stage.forwarded(
      request(stage.path, ["Connection: close, X-Forwarded-For, Via, X-Forwarded-Proto"]),
    );
    for (const name of ["via", "x-forwarded-for"])
      expectThat(valuesOf(asked.message, name).length > 0, `${name} was named away`);
  }),
  must("conn-close-honoured", "RFC 9112 §9.6", async (stage) => {
    const client = await stage.open();
    expectStatus(await client.send(request(stage.path, ["Connection: close"])).answer(), 200);
    for (let i = 0; i < 200 && !client.ended; i++) await stage.settle();
    expectThat(client.ended, "the connection stayed open");
  }),
  must("http10-close", "RFC 9112 §9.3", async (stage) => {
    const client = await stage.open();
    client.send(`GET ${stage.path} HTTP/1.0\r\nHost: h\r\n\r\n`);
    const answer = await client.answer();
    expectStatus(answer, 200);
    expectThat(answer.framing !== "chunked", "chunks for an HTTP/1.0 client");
    for (let i = 0; i < 50 && !client.ended; i++) await stage.settle();
    expectThat(client.ended, "the connection stayed open");
  }),
  must("http10-chunked-origin", "RFC 9112 §7", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    const client = await stage.open();
    const answer = await client.send(`GET ${stage.path} HTTP/1.0\r\nHost: h\r\n\r\n`).answer();
    expectThat(answer.framing !== "chunked", "chunks for an HTTP/1.0 client");
    expectThat(answer.body === "hello", `the body became ${JSON.stringify(answer.body)}`);
  }),
  must("te-trailers-only", "RFC 9110 §10.1.4", async (stage) => {
    const asked = await stage.forwarded(
      request(stage.path, ["TE: trailers, deflate;q=0.5", "Connection: TE"]),
    );
    const te = valuesOf(asked.message, "te");
    expectThat(
      te.every((value) => value.toLowerCase() === "trailers"),
      `TE: ${te.join()}`,
    );
  }),
];

const TARGETS: readonly (readonly [string, string])[] = [
  ["percent", "/a%2Fb%2e%2E/%00%0d%0a/%e2%82%ac/%41"],
  ["dots", "/../a/./b/../c"],
  ["double-slash", "//a///b"],
  ["query", "?a=b&c=%26&&d=?x=/y//z"],
  ["empty-query", "?"],
  ["odd-characters", '/[a]{b}|c^d`"<e>\\f'],
  ["semicolon", ";v=1;w/a;b"],
  ["colon-at", "/a:80@b/c@d"],
  ["lower-percent", "/%zz%/%a"],
  ["plus", "/a+b?c+d"],
];

const targetCases: readonly Case[] = [
  ...TARGETS.map(([name, rest]) =>
    must(`path-verbatim-${name}`, "RFC 9110 §7.7", async (stage) => {
      const asked = await stage.forwarded(request(`${stage.path}${rest}`));
      expectThat(asked.target === `${stage.path}${rest}`, `the target became ${asked.target}`);
    }),
  ),
  should("path-verbatim-obs-text", "RFC 9112 §3.2", async (stage) => {
    const asked = await stage.forwarded(request(`${stage.path}/\xe9\xff`));
    expectThat(asked.target === `${stage.path}/\xe9\xff`, `the target became ${asked.target}`);
  }),
  should("path-long", "RFC 9112 §3", async (stage) => {
    const path = `${stage.path}/${"a".repeat(8000)}`;
    expectThat((await stage.forwarded(request(path))).target === path, "the target changed");
  }),
  must("double-slash-path", "RFC 9112 §3.2", async (stage) => {
    const path = `//evil.example${stage.path}`;
    const asked = await stage.forwarded(request(path));
    expectThat(asked.target === path, `the target became ${asked.target}`);
  }),
  must("authority-tricks-at", "RFC 9112 §3.2", async (stage) => {
    const client = await stage.open();
    const status = statusOf(await client.send(request(`@evil.example${stage.path}`)).answerOrEnd());
    expectThat(status >= 400 || client.ended, `answered ${status}`);
  }),
  must("authority-tricks-relative", "RFC 9112 §3.2", async (stage) => {
    const client = await stage.open();
    const status = statusOf(await client.send(request(stage.path.slice(1))).answerOrEnd());
    expectThat(status >= 400 || client.ended, `answered ${status}`);
    expectThat(stage.asked().length === 0, "forwarded");
  }),
  must("absolute-form-ssrf", "RFC 9112 §3.2.2", async (stage) => {
    const client = await stage.open();
    client.send(`GET http://127.0.0.1:1${stage.path}?q HTTP/1.1\r\nHost: model.example\r\n\r\n`);
    const answer = await client.answerOrEnd();
    const [asked] = stage.asked();
    if (asked === undefined) expectThat(statusOf(answer) >= 400, "neither forwarded nor refused");
    else expectThat(asked.target.endsWith(`${stage.path}?q`), `the target became ${asked.target}`);
  }),
  must("absolute-form-other-scheme", "RFC 9112 §3.2.2", async (stage) => {
    const client = await stage.open();
    client.send(`GET ftp://127.0.0.1:1${stage.path} HTTP/1.1\r\nHost: model.example\r\n\r\n`);
    const status = statusOf(await client.answerOrEnd());
    expectThat(status >= 400 || stage.asked().length === 1, `answered ${status}`);
  }),
  should("absolute-form-host", "RFC 9112 §3.2.2", async (stage) => {
    const asked = await stage.forwarded(
      `GET http://chosen.example${stage.path} HTTP/1.1\r\nHost: other.example\r\n\r\n`,
    );
    expectThat(
      !valuesOf(asked.message, "host").includes("other.example"),
      "Host is not the target's authority",
    );
  }),
  must("connect-refused", "RFC 9110 §9.3.6", async (stage) => {
    const client = await stage.open();
    client.send("CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n");
    const status = statusOf(await client.answerOrEnd());
    expectThat(status >= 400 || client.ended, `answered ${status}`);
  }),
  must("options-star", "RFC 9112 §3.2.4", async (stage) => {
    const client = await stage.open();
    const status = statusOf(
      await client.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").answerOrEnd("OPTIONS"),
    );
    expectThat(status >= 200, `answered ${status}`);
  }),
  must("method-kept", "RFC 9110 §9.1", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, [], "brEw-It"));
    expectThat(asked.method === "brEw-It", `the method became ${asked.method}`);
  }),
];

const fieldCases: readonly Case[] = [
  must("dup-headers", "RFC 9110 §5.3", async (stage) => {
    const asked = await stage.forwarded(
      request(stage.path, ["X-A: 1", "X-B: 2", "x-a: 3", "X-A:", "X-A: 1"]),
    );
    const got = valuesOf(asked.message, "x-a").join(", ");
    expectThat(got === "1, 3, , 1", `x-a: ${got}`);
  }),
  should("dup-headers-lines", "RFC 9110 §5.3", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["X-A: 1", "x-a: 3", "X-A:", "X-A: 1"]));
    expectValues(asked.message, "x-a", ["1", "3", "", "1"]);
  }),
  must("set-cookie-multi", "RFC 6265 §3", async (stage) => {
    stage.answers(
      "HTTP/1.1 200 OK\r\nSet-Cookie: a=1, x\r\nX: y\r\nset-cookie: b=2\r\nSet-Cookie: c=3\r\nContent-Length: 2\r\n\r\nok",
    );
    const client = await stage.open();
    expectValues(await client.send(request(stage.path)).answer(), "set-cookie", ["a=1, x", "b=2", "c=3"]);
  }),
  must("cookie-kept", "RFC 6265 §5.4", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ['Cookie: a=1; b="2"; c=']));
    expectValues(asked.message, "cookie", ['a=1; b="2"; c=']);
  }),
  must("header-obs-text", "RFC 9110 §5.5", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["X-A: \x80\xe9\xff caf\xc3\xa9"]));
    expectValues(asked.message, "x-a", ["\x80\xe9\xff caf\xc3\xa9"]);
  }),
  must("header-obs-text-resp", "RFC 9110 §5.5", async (stage) => {
    stage.answers("HTTP/1.1 200 \xe9\r\nX-A: \x80\xff\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    expectValues(await client.send(request(stage.path)).answer(), "x-a", ["\x80\xff"]);
  }),
  must("header-proto-names", "RFC 9110 §5.1", async (stage) => {
    const asked = await stage.forwarded(
      request(stage.path, [
        "__proto__: a",
        "constructor: b",
        "toString: c",
        "hasOwnProperty: d",
        "__PROTO__: e",
      ]),
    );
    expectValues(asked.message, "__proto__", ["a", "e"]);
    expectValues(asked.message, "constructor", ["b"]);
    expectValues(asked.message, "hasownproperty", ["d"]);
  }),
  must("header-proto-names-resp", "RFC 9110 §5.1", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\n__proto__: a\r\nconstructor: b\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    const answer = await client.send(request(stage.path)).answer();
    expectValues(answer, "__proto__", ["a"]);
    expectValues(answer, "constructor", ["b"]);
  }),
  must("header-empty-value", "RFC 9110 §5.5", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["X-Empty:", "X-Blank: \t "]));
    expectValues(asked.message, "x-empty", [""]);
    expectValues(asked.message, "x-blank", [""]);
  }),
  must("header-odd-names", "RFC 9110 §5.6.2", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["!#$%&'*+-.^_`|~09aZ: v"]));
    expectValues(asked.message, "!#$%&'*+-.^_`|~09az", ["v"]);
  }),
  must("many-headers-framing", "RFC 9110 §5.4", async (stage) => {
    const client = await stage.open();
    const many = Array.from({ length: 3000 }, (_, i) => `X-${i}: ${i % 10}`);
    client.send(`${request(stage.path, [...many, "Content-Length: 5"], "POST")}hello`);
    const answer = await client.answerOrEnd("POST");
    await stage.settle();
    const [asked] = stage.asked();
    if (asked === undefined) {
      expectThat(statusOf(answer) >= 400 || client.ended, "neither forwarded nor refused");
      return;
    }
    expectThat(asked.message.body === "hello", "the framing was cut off");
    expectThat(asked.message.fields.length >= 3000, `${asked.message.fields.length} lines forwarded`);
  }),
  must("many-headers-resp", "RFC 9110 §5.4", async (stage) => {
    const many = Array.from({ length: 2500 }, (_, i) => `X-${i}: ${i % 10}\r\n`).join("");
    stage.answers(`HTTP/1.1 200 OK\r\n${many}Content-Length: 2\r\n\r\nok`);
    const client = await stage.open();
    const answer = await client.send(request(stage.path)).answer();
    if (statusOf(answer) !== 200) return expectStatus(answer, 502);
    expectThat(answer.fields.length >= 2500, `${answer.fields.length} lines passed on`);
  }),
  must("unknown-headers-kept", "RFC 9110 §5.1", async (stage) => {
    const asked = await stage.forwarded(
      request(stage.path, [
        "Authorization: Bearer a.b.c",
        "Accept-Encoding: gzip, br",
        "Accept: */*",
        "User-Agent: u/1",
        'If-None-Match: "a"',
        "Range: bytes=0-1",
      ]),
    );
    expectValues(asked.message, "authorization", ["Bearer a.b.c"]);
    expectValues(asked.message, "accept-encoding", ["gzip, br"]);
    expectValues(asked.message, "user-agent", ["u/1"]);
    expectValues(asked.message, "range", ["bytes=0-1"]);
    expectValues(asked.message, "if-none-match", ['"a"']);
  }),
  must("nothing-invented", "RFC 9110 §7.7", async (stage) => {
    const asked = await stage.forwarded(request(stage.path));
    for (const name of ["accept-encoding", "cache-control", "content-type", "cookie", "authorization"])
      expectThat(valuesOf(asked.message, name).length === 0, `${name} was added`);
  }),
  should("user-agent-not-invented", "RFC 9110 §10.1.5", async (stage) => {
    const asked = await stage.forwarded(request(stage.path));
    expectThat(valuesOf(asked.message, "user-agent").length === 0, "User-Agent was added");
  }),
  must("resp-headers-kept", "RFC 9110 §7.7", async (stage) => {
    stage.answers(
      'HTTP/1.1 200 Fine\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nETag: W/"a"\r\nServer: s/1\r\nLast-Modified: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: x/y; a="b"\r\nVary: *\r\nX-E:\r\nContent-Length: 2\r\n\r\nok',
    );
    const client = await stage.open();
    const answer = await client.send(request(stage.path)).answer();
    expectValues(answer, "date", ["Tue, 15 Nov 1994 08:12:31 GMT"]);
    expectValues(answer, "etag", ['W/"a"']);
    expectValues(answer, "content-type", ['x/y; a="b"']);
    expectValues(answer, "vary", ["*"]);
    expectValues(answer, "x-e", [""]);
  }),
  should("resp-server-kept", "RFC 9110 §10.2.4", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\nServer: s/1\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    expectValues(await client.send(request(stage.path)).answer(), "server", ["s/1"]);
  }),
  should("resp-reason-kept", "RFC 9112 §4", async (stage) => {
    stage.answers("HTTP/1.1 299 Quite Odd\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    const answer = await client.send(request(stage.path)).answer();
    expectThat(answer.start.endsWith("299 Quite Odd"), answer.start);
  }),
  must("encoding-untouched", "RFC 9110 §8.4", async (stage) => {
    const body = "\x1f\x8b\x08\x00\xff\xfe\r\n\r\n\x00";
    stage.answers(
      `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const client = await stage.open();
    const answer = await client.send(request(stage.path, ["Accept-Encoding: identity"])).answer();
    expectValues(answer, "content-encoding", ["gzip"]);
    expectThat(answer.body === body, "the body changed");
  }),
];

const addedCases: readonly Case[] = [
  should("via-added", "RFC 9110 §7.6.3", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["Via: 1.0 before"]));
    const via = valuesOf(asked.message, "via").join(", ");
    expectThat(/^1\.0 before, 1\.1 \S+/.test(via), `Via: ${via}`);
  }),
  should("via-added-resp", "RFC 9110 §7.6.3", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\nVia: 1.0 model\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    const via = valuesOf(await client.send(request(stage.path)).answer(), "via").join(", ");
    expectThat(/^1\.0 model, 1\.1 \S+/.test(via), `Via: ${via}`);
  }),
  must("via-not-overwritten", "RFC 9110 §7.6.3", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["Via: 1.0 before", "Via: 1.1 again (x)"]));
    const via = valuesOf(asked.message, "via").join(", ");
    expectThat(via.startsWith("1.0 before, 1.1 again (x)"), `Via: ${via}`);
  }),
  should("xff-appended", "de facto", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["X-Forwarded-For: 1.2.3.4"]));
    const values = valuesOf(asked.message, "x-forwarded-for").join(", ");
    expectThat(/^1\.2\.3\.4, (::ffff:)?127\.0\.0\.1$/.test(values), `X-Forwarded-For: ${values}`);
  }),
  must("max-forwards-0", "RFC 9110 §7.6.2", async (stage) => {
    const client = await stage.open();
    const answer = await client
      .send(request(stage.path, ["Max-Forwards: 0"], "OPTIONS"))
      .answerOrEnd("OPTIONS");
    expectThat(statusOf(answer) >= 200, "no answer");
    expectThat(stage.asked().length === 0, "forwarded although Max-Forwards was 0");
  }),
  must("max-forwards-trace-0", "RFC 9110 §7.6.2", async (stage) => {
    const client = await stage.open();
    const answer = await client.send(request(stage.path, ["Max-Forwards: 0"], "TRACE")).answerOrEnd("TRACE");
    expectThat(statusOf(answer) >= 200, "no answer");
    expectThat(stage.asked().length === 0, "forwarded although Max-Forwards was 0");
  }),
  must("max-forwards-less", "RFC 9110 §7.6.2", async (stage) => {
    const asked = await stage.forwarded(request(stage.path, ["Max-Forwards: 5"], "OPTIONS"), "OPTIONS");
    expectValues(asked.message, "max-forwards", ["4"]);
  }),
  must("max-forwards-get-ignored", "RFC 9110 §7.6.2", async (stage) => {
    await stage.forwarded(request(stage.path, ["Max-Forwards: 0"]));
  }),
  must("pseudo-host-kept", "RFC 9110 §7.2", async (stage) => {
    const asked = await stage.forwarded(request(stage.path));
    expectThat(valuesOf(asked.message, "host").length === 1, "not exactly one Host");
  }),
  should("host-kept", "RFC 9110 §7.2", async (stage) => {
    expectValues((await stage.forwarded(request(stage.path))).message, "host", ["model.example"]);
  }),
];

const interimCases: readonly Case[] = [
  must("expect-100", "RFC 9110 §10.1.1", async (stage) => {
    stage.script((asked) => {
      asked.send("HTTP/1.1 100 Continue\r\n\r\n");
      void asked.whole.then(() => asked.send(OK));
    });
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Content-Length: 5"], "POST"));
    const from = performance.now();
    for (let i = 0; i < 100 && client.interim.length === 0; i++) {
      client.peek();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expectThat(client.interim.length > 0, "no 100 within a second");
    client.send("hello");
    expectStatus(await client.answer("POST"), 200);
    expectThat(performance.now() - from < 1500, "it stalled");
    expectThat(stage.asked()[0]?.message.body === "hello", "the body changed");
  }),
  must("expect-100-body-at-once", "RFC 9110 §10.1.1", async (stage) => {
    const client = await stage.open();
    client.send(`${request(stage.path, ["Expect: 100-continue", "Content-Length: 5"], "POST")}hello`);
    expectStatus(await client.answer("POST"), 200);
    expectThat(stage.asked()[0]?.message.body === "hello", "the body changed");
  }),
  must("expect-100-model-silent", "RFC 9110 §10.1.1", async (stage) => {
    // The model says nothing before the body is whole; the client waits a while, then sends it anyway.
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Content-Length: 5"], "POST"));
    await new Promise((resolve) => setTimeout(resolve, 300));
    client.send("hello");
    expectStatus(await client.answer("POST"), 200);
  }),
  must("expect-100-refused", "RFC 9110 §10.1.1", async (stage) => {
    stage.script((asked) =>
      asked.send("HTTP/1.1 417 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"),
    );
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Content-Length: 5000000"], "POST"));
    expectStatus(await client.answer("POST"), 417);
  }),
  must("expect-100-refused-413", "RFC 9110 §10.1.1", async (stage) => {
    stage.script((asked) => asked.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"));
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Transfer-Encoding: chunked"], "POST"));
    expectStatus(await client.answer("POST"), 413);
  }),
  must("expect-unknown", "RFC 9110 §10.1.1", async (stage) => {
    const client = await stage.open();
    client.send(`${request(stage.path, ["Expect: the-unexpected", "Content-Length: 5"], "POST")}hello`);
    expectStatus(await client.answer("POST"), 200, 417);
  }),
  must("expect-http10", "RFC 9110 §10.1.1", async (stage) => {
    const client = await stage.open();
    client.send(
      `POST ${stage.path} HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    );
    expectStatus(await client.answer("POST"), 200, 417);
    expectThat(client.interim.length === 0, "an interim answer for an HTTP/1.0 client");
  }),
  should("early-hints", "RFC 9110 §15.2", async (stage) => {
    stage.answers(`HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n${OK}`);
    const client = await stage.open();
    expectStatus(await client.send(request(stage.path)).answer(), 200);
    expectThat(
      client.interim.some((one) => one.start.includes(" 103 ")),
      "the 103 was not passed on",
    );
    expectValues(client.interim[0] ?? { fields: [] }, "link", ["</a>; rel=preload", "</b>"]);
  }),
  should("processing", "RFC 9110 §15.2", async (stage) => {
    stage.answers(`HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`);
    const client = await stage.open();
    expectStatus(await client.send(request(stage.path)).answer(), 200);
    expectThat(client.interim.length === 2, `${client.interim.length} interim answers passed on`);
  }),
  must("interim-harmless", "RFC 9110 §15.2", async (stage) => {
    stage.answers(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\nX: y\r\n\r\n${OK}`,
    );
    const client = await stage.open();
    expectStatus(await client.send(request(stage.path)).answer(), 200);
    expectStatus(await client.send(request(stage.path)).answer(), 200);
  }),
  must("stray-100", "RFC 9110 §15.2.1", async (stage) => {
    stage.answers(`HTTP/1.1 100 Continue\r\n\r\n${OK}`);
    const client = await stage.open();
    expectStatus(
      await client.send(`${request(stage.path, ["Content-Length: 5"], "POST")}hello`).answer(),
      200,
    );
  }),
  must("interim-http10", "RFC 9110 §15.2", async (stage) => {
    stage.answers(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`);
    const client = await stage.open();
    expectStatus(await client.send(`GET ${stage.path} HTTP/1.0\r\nHost: h\r\n\r\n`).answer(), 200);
    expectThat(client.interim.length === 0, "an interim answer for an HTTP/1.0 client");
  }),
  must("unasked-101", "RFC 9110 §15.2.2", async (stage) => {
    stage.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nraw bytes");
    const client = await stage.open();
    const answer = await client.send(request(stage.path)).answerOrEnd();
    expectThat(statusOf(answer) !== 101, "an unasked 101 was passed on");
    expectThat(
      statusOf(answer) === 502 || statusOf(answer) === 500 || client.ended,
      `answered ${statusOf(answer)}`,
    );
  }),
];

export const headCases: readonly Case[] = [
  ...hopCases,
  ...targetCases,
  ...fieldCases,
  ...addedCases,
  ...interimCases,
];
