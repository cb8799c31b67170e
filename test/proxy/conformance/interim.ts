// What the proxy adds, counts down, and passes on before the answer.

import type { Case, Stage } from "./case.ts";
import { type Client, expectStatus, expectThat, expectValues, statusOf } from "./client.ts";
import { valuesOf } from "./message.ts";
import { OK } from "./origin.ts";
import { must, request, should } from "./requests.ts";

export const addedCases: readonly Case[] = [
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

/** A client that waits with its body of 5 bytes, and a model that wants it and says so. */
export async function toldByModel(stage: Stage): Promise<Client> {
  stage.script((asked) => {
    asked.send("HTTP/1.1 100 Continue\r\n\r\n");
    void asked.whole.then(() => asked.send(OK));
  });
  const client = await stage.open();
  client.send(request(stage.path, ["Expect: 100-continue", "Content-Length: 5"], "POST"));
  await client.toldToGoOn();
  return client;
}

export const interimCases: readonly Case[] = [
  must("expect-100", "RFC 9110 §10.1.1", async (stage) => {
    const client = await toldByModel(stage);
    client.send("hello");
    expectStatus(await client.answer("POST"), 200);
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
