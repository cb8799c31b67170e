// Targets and fields, kept as they came.

import type { Case } from "./case.ts";
import { expectStatus, expectThat, expectValues, statusOf } from "./client.ts";
import { valuesOf } from "./message.ts";
import { must, request, should } from "./requests.ts";

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

export const targetCases: readonly Case[] = [
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

export const fieldCases: readonly Case[] = [
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
