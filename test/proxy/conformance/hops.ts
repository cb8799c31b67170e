// Fields that belong to one connection: they go no further, either way.

import type { Case } from "./case.ts";
import { expectStatus, expectThat, statusOf } from "./client.ts";
import { valuesOf } from "./message.ts";
import { must, request, should } from "./requests.ts";

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

export const hopCases: readonly Case[] = [
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
