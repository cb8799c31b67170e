// Whom a request is for: the Host line, and the forms of a target that name a host or none.

import type { Case, Stage } from "./case.ts";
import { expectStatus, expectThat, expectValues, statusOf, until } from "./client.ts";
import { valuesOf } from "./message.ts";
import { toldByModel } from "./interim.ts";
import { OK } from "./origin.ts";
import { must, request, should } from "./requests.ts";

const BAD_HOSTS: readonly (readonly [string, string])[] = [
  ["port-letters", "a:b"],
  ["two-ports", "a:80:80"],
  ["half-bracket", "[::1"],
  ["brackets-name", "[model]"],
  ["bare-ipv6", "::1"],
  ["percent", "a%zz"],
  ["quotes", '"a"'],
  ["angles", "<a>"],
  ["fragment", "a#b"],
  ["query", "a?b"],
  ["backslash", "a\\b"],
  ["url", "http://a"],
];

const GOOD_HOSTS: readonly (readonly [string, string])[] = [
  ["port", "model.example:8080"],
  ["upper-case", "Model.Example"],
  ["ipv4", "127.0.0.1:80"],
  ["ipv6", "[2001:db8::1]:80"],
  ["underscore", "my_model.example"],
  ["percent", "a%20b"],
];

async function refused(stage: Stage, text: string): Promise<void> {
  const client = await stage.open();
  expectStatus(await client.send(text).answerOrEnd(), 400);
  expectThat(stage.asked().length === 0, "forwarded");
}

/** The request line that the origin saw of the request with this case's mark. */
async function lineOf(stage: Stage, text: string): Promise<string> {
  const client = await stage.open();
  const mark = `X-Mark: ${stage.token}\r\n`;
  const answer = await client.send(text.replace("\r\n\r\n", `\r\n${mark}\r\n`)).answerOrEnd("OPTIONS");
  expectThat(statusOf(answer) === 200, `answered ${statusOf(answer)}`);
  const seen = (): string | undefined => stage.origin.bytes.find((bytes) => bytes.includes(mark));
  await until(() => seen() !== undefined, "the origin was asked");
  const bytes = seen() ?? "";
  const start = bytes.lastIndexOf("OPTIONS ", bytes.indexOf(mark));
  return bytes.slice(start, bytes.indexOf("\r\n", start));
}

export const hostCases: readonly Case[] = [
  ...BAD_HOSTS.map(([name, host]) =>
    must(`host-bad-${name}`, "RFC 9112 §3.2", (stage) =>
      refused(stage, `GET ${stage.path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`),
    ),
  ),
  ...GOOD_HOSTS.map(([name, host]) =>
    must(`host-good-${name}`, "RFC 9110 §7.2", async (stage) => {
      const asked = await stage.forwarded(`GET ${stage.path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      expectThat(valuesOf(asked.message, "host").length === 1, "not exactly one Host");
    }),
  ),
  must("absolute-form-no-path", "RFC 9112 §3.2.1", async (stage) => {
    const line = await lineOf(
      stage,
      "OPTIONS http://model.example?q=1 HTTP/1.1\r\nHost: model.example\r\n\r\n",
    );
    expectThat(line === "OPTIONS /?q=1 HTTP/1.1", `the origin got ${line}`);
  }),
  must("absolute-form-bad-host", "RFC 9112 §3.2", (stage) =>
    refused(stage, `GET http://[::1${stage.path} HTTP/1.1\r\nHost: model.example\r\n\r\n`),
  ),
  must("absolute-form-without-host-line", "RFC 9112 §3.2", (stage) =>
    refused(stage, `GET http://model.example${stage.path} HTTP/1.1\r\nAccept: */*\r\n\r\n`),
  ),
  should("absolute-form-user", "RFC 9110 §4.2.4", (stage) =>
    refused(stage, `GET http://user@model.example${stage.path} HTTP/1.1\r\nHost: model.example\r\n\r\n`),
  ),
  must("absolute-form-upgrade-host", "RFC 9112 §3.2.2", async (stage) => {
    const asked = await stage.forwarded(
      `GET http://chosen.example${stage.path} HTTP/1.1\r\nHost: other.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    );
    expectThat(
      !valuesOf(asked.message, "host").includes("other.example"),
      "Host is not the target's authority",
    );
  }),
  must("options-star-forwarded", "RFC 9112 §3.2.4", async (stage) => {
    const line = await lineOf(stage, request("*", [], "OPTIONS"));
    expectThat(line === "OPTIONS * HTTP/1.1", `the origin got ${line}`);
  }),
  must("options-absolute-star", "RFC 9112 §3.2.4", async (stage) => {
    const line = await lineOf(stage, "OPTIONS http://model.example HTTP/1.1\r\nHost: model.example\r\n\r\n");
    expectThat(line === "OPTIONS * HTTP/1.1", `the origin got ${line}`);
  }),
  must("get-star", "RFC 9112 §3.2.4", async (stage) => {
    const client = await stage.open();
    expectThat(statusOf(await client.send(request("*")).answerOrEnd()) >= 400, "not refused");
  }),
];

export const expectationCases: readonly Case[] = [
  must("expect-100-passed-on", "RFC 9110 §10.1.1", async (stage) => {
    const client = await toldByModel(stage);
    expectValues((await stage.askedOnce()).message, "expect", ["100-continue"]);
    client.send("hello");
    expectStatus(await client.answer("POST"), 200);
    expectThat(client.interim.length === 1, `${client.interim.length} interim answers`);
  }),
  must("expect-100-not-before-refusal", "RFC 9110 §10.1.1", async (stage) => {
    stage.script((asked) => asked.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"));
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Content-Length: 500000"], "POST"));
    expectStatus(await client.answer("POST"), 401);
    expectThat(client.interim.length === 0, "told to go on, and refused");
  }),
  should("expect-100-refused-closes", "RFC 9110 §10.1.1", async (stage) => {
    stage.script((asked) => asked.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"));
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Content-Length: 500000"], "POST"));
    const answer = await client.answer("POST");
    // Nobody knows whether the body follows, or the next request.
    expectValues(answer, "connection", ["close"]);
    await until(() => client.ended, "the connection was closed");
  }),
  should("expect-100-silent-then-told", "RFC 9110 §10.1.1", async (stage) => {
    const client = await stage.open();
    client.send(request(stage.path, ["Expect: 100-continue", "Transfer-Encoding: chunked"], "POST"));
    await client.toldToGoOn();
    client.send("5\r\nhello\r\n0\r\n\r\n");
    expectStatus(await client.answer("POST"), 200);
    expectThat(stage.asked()[0]?.message.body === "hello", "the body changed");
  }),
  must("interim-hop-by-hop", "RFC 9110 §7.6.1", async (stage) => {
    stage.answers(`HTTP/1.1 103 Early Hints\r\nConnection: X-Hop\r\nX-Hop: 1\r\nLink: </a>\r\n\r\n${OK}`);
    const client = await stage.open();
    expectStatus(await client.send(request(stage.path)).answer(), 200);
    expectThat(
      client.interim.every((one) => valuesOf(one, "x-hop").length === 0),
      "a line that Connection names was passed on",
    );
  }),
  must("via-http10-resp", "RFC 9110 §7.6.3", async (stage) => {
    stage.answers("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    const via = valuesOf(await client.send(request(stage.path)).answer(), "via").join(", ");
    expectThat(/^1\.0 \S+/.test(via), `Via: ${via}`);
  }),
];
