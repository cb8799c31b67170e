// Bodies cut short, and bodies on methods that rarely have one.

import type { Case } from "./case.ts";
import { expectThat, statusOf } from "./client.ts";

const HEAD = "POST TOKEN HTTP/1.1\r\nHost: h\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";

/** Cut off within the body: the part must not look whole to the model. */
const cutBody = (id: string, bytes: string): Case => ({
  id,
  level: "must",
  rule: "RFC 9112 §8",
  play: async (stage) => {
    const client = await stage.open();
    client.send(bytes.replaceAll("TOKEN", stage.path));
    await stage.settle();
    client.socket.end();
    await stage.settle();
    client.close();
    await stage.settle();
    expectThat(!stage.asked().some((one) => one.message.complete), "half a request looked whole");
  },
});

export const cutCases: readonly Case[] = [
  cutBody("smug-cut-length", `${HEAD}Content-Length: 50\r\n\r\nhello`),
  cutBody("smug-cut-chunk", `${HEAD}${CHUNKED}\r\n50\r\nhello`),
  cutBody("smug-cut-chunks", `${HEAD}${CHUNKED}\r\n5\r\nhello\r\n`),
  cutBody("smug-cut-last-chunk", `${HEAD}${CHUNKED}\r\n5\r\nhello\r\n0\r\n`),
  cutBody("smug-cut-trailer", `${HEAD}${CHUNKED}\r\n5\r\nhello\r\n0\r\nX: y\r\n`),
];

const METHODS = ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND", "BREW"] as const;

/** A body on any method: forwarded with its framing or refused, and never taken for the next request. */
const anyMethod = (method: string, framing: "length" | "chunked"): Case => ({
  id: `smug-${method.toLowerCase()}-body-${framing}`,
  level: "must",
  rule: "RFC 9110 §9.3, RFC 9112 §6",
  play: async (stage) => {
    const client = await stage.open();
    const body = `GET ${stage.path}/smuggled HTTP/1.1\r\nHost: h\r\n\r\n`;
    const lines = framing === "length" ? `Content-Length: ${body.length}\r\n` : CHUNKED;
    const wire = framing === "length" ? body : `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
    stage.script((asked) => {
      const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
      void asked.whole.then(() => asked.send(asked.method === "HEAD" ? answer : `${answer}ok`));
    });
    client.send(`${method} ${stage.path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n${wire}`);
    const answer = await client.answerOrEnd(method);
    await stage.settle();
    stage.checkOrigin();
    const [asked] = stage.asked();
    if (asked === undefined) {
      expectThat(statusOf(answer) >= 400 || client.ended, "neither forwarded nor refused");
      return;
    }
    expectThat(
      asked.message.body === body,
      `the body became ${JSON.stringify(asked.message.body.slice(0, 80))}`,
    );
    expectThat(statusOf(answer) === 200, `answered ${statusOf(answer)}`);
    if (client.ended) return;
    client.send(`GET ${stage.path}/next HTTP/1.1\r\nHost: h\r\n\r\n`);
    expectThat(statusOf(await client.answer("GET")) === 200, "the next request was not answered");
    expectThat(stage.asked().at(-1)?.target === `${stage.path}/next`, "the next request was another");
  },
});

export const methodBodyCases: readonly Case[] = METHODS.flatMap((method) => [
  anyMethod(method, "length"),
  anyMethod(method, "chunked"),
]);
