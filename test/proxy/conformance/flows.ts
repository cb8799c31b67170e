// What goes on over time: early answers, streams, back-pressure, leaving clients.

import type { Case, Stage } from "./case.ts";
import { expectStatus, expectThat, pause, statusOf, until } from "./client.ts";
import { OK, type Asked } from "./origin.ts";
import { alone, chunk, head, must, post } from "./requests.ts";

export const earlyCases: readonly Case[] = [
  must("early-response-kept", "RFC 9112 §9.5", async (stage) => {
    stage.script((asked) =>
      asked.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"),
    );
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Content-Length: 1000000")}${"x".repeat(100_000)}`);
    const answer = await client.answer("POST");
    expectThat(statusOf(answer) === 413 && answer.body === "big", `answered ${answer.start}`);
  }),
  must("early-response-kept-rst", "RFC 9112 §9.5", async (stage) => {
    stage.script((asked) => {
      asked.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno");
      setTimeout(() => asked.socket.destroy(), 100);
    });
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Content-Length: 100000")}${"x".repeat(1000)}`);
    const answer = await client.answer("POST");
    expectThat(statusOf(answer) === 401 && answer.body === "no", `answered ${answer.start}`);
  }),
  must("early-response-desync", "RFC 9112 §9.3, §9.5", async (stage) => {
    stage.script((asked) =>
      asked.send(asked.target.endsWith("/a") ? "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno" : OK),
    );
    const client = await stage.open();
    const body = `GET ${stage.path}/smuggled HTTP/1.1\r\nHost: h\r\n\r\n`;
    client.send(head("POST", `${stage.path}/a`, `Content-Length: ${body.length + 10}`));
    expectStatus(await client.answer("POST"), 401);
    client.send(`${body}0123456789`);
    await stage.settle();
    const other = await stage.open();
    expectStatus(await other.send(head("GET", `${stage.path}/b`)).answer(), 200);
    await stage.settle();
    stage.checkOrigin();
    expectThat(client.text === "", `the rest was answered: ${JSON.stringify(client.text.slice(0, 60))}`);
  }),
  must("early-response-next", "RFC 9112 §9.3", async (stage) => {
    stage.script((asked) =>
      asked.send(asked.target.endsWith("/a") ? "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno" : OK),
    );
    const client = await stage.open();
    client.send(head("POST", `${stage.path}/a`, "Content-Length: 10"));
    expectStatus(await client.answer("POST"), 401);
    client.send(`0123456789${head("GET", `${stage.path}/b`)}`);
    const next = await client.answerOrEnd();
    if (next === null) expectThat(client.ended, "neither answered nor closed");
    else expectStatus(next, 200);
  }),
];

/**
 * Each event is sent when the one before has come out, so that none may be held until there are more. Gives how late the
 * quickest was: a proxy that waits does so each time, a machine that is busy does not.
 */
async function quickest(stage: Stage, frame: (text: string) => string, lines: string): Promise<number> {
  const stream = Promise.withResolvers<Asked>();
  stage.script((asked) => void asked.whole.then(() => stream.resolve(asked)));
  const client = await stage.open();
  client.send(head("GET", stage.path));
  const asked = await stream.promise;
  asked.send(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${lines}\r\n`);
  let best = Infinity;
  for (let i = 0; i < 6; i++) {
    await pause(50);
    const sentAt = performance.now();
    asked.send(frame(`data: ${i}\n\n`));
    await until(() => client.text.includes(`data: ${i}\n\n`), `event ${i}`);
    best = Math.min(best, performance.now() - sentAt);
  }
  if (lines.includes("chunked")) asked.send("0\r\n\r\n");
  else asked.socket.end();
  return best;
}

export const streamCases: readonly Case[] = [
  alone("stream-sse", "RFC 9110 §7.6", async (stage) => {
    const best = await quickest(stage, chunk, "Transfer-Encoding: chunked\r\n");
    expectThat(best < 150, `each event came at least ${Math.round(best)} ms late`);
  }),
  alone("stream-sse-close", "RFC 9110 §7.6", async (stage) => {
    const best = await quickest(stage, (text) => text, "");
    expectThat(best < 150, `each event came at least ${Math.round(best)} ms late`);
  }),
  alone("stream-head-at-once", "RFC 9110 §7.6", async (stage) => {
    const seen = Promise.withResolvers<void>();
    stage.script((asked) => {
      void asked.whole.then(async () => {
        asked.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await seen.promise;
        asked.send("0\r\n\r\n");
      });
    });
    const client = await stage.open();
    client.send(head("GET", stage.path));
    await until(() => client.text.includes("200 OK"), "the head before its first byte");
    seen.resolve();
  }),
  alone("stream-length", "RFC 9110 §7.6", async (stage) => {
    const seen = Promise.withResolvers<void>();
    stage.script((asked) => {
      void asked.whole.then(async () => {
        asked.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        await seen.promise;
        asked.send("after");
      });
    });
    const client = await stage.open();
    client.send(head("GET", stage.path));
    await until(() => client.text.endsWith("first"), "the first bytes");
    seen.resolve();
  }),
  alone("upload-streamed", "RFC 9110 §7.6", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Transfer-Encoding: chunked")}${chunk("first")}`);
    await until(() => stage.asked()[0]?.message.body === "first", "the first chunk at the model");
    client.send(`${chunk("second")}0\r\n\r\n`);
    expectStatus(await client.answer("POST"), 200);
    expectThat(stage.asked()[0]?.message.body === "firstsecond", "the body changed");
  }),
  alone("upload-streamed-length", "RFC 9110 §7.6", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Content-Length: 11")}first`);
    await until(() => stage.asked()[0]?.message.body === "first", "the first bytes at the model");
    client.send("second");
    expectStatus(await client.answer("POST"), 200);
  }),
  must("post-body-exact", "RFC 9110 §6.4", async (stage) => {
    const body = Array.from({ length: 200_000 }, (_, i) => String.fromCharCode((i * 7919) % 256)).join("");
    stage.script(
      (asked) =>
        void asked.whole.then(() =>
          asked.send(
            `HTTP/1.1 200 OK\r\nContent-Length: ${asked.message.body.length}\r\n\r\n${asked.message.body}`,
          ),
        ),
    );
    const client = await stage.open();
    const answer = await client.send(post(stage.path, body)).answer("POST");
    expectThat(answer.body === body, "the body changed");
  }),
];

const BIG = 64 * 1024 * 1024;
const HELD_MAX = 16 * 1024 * 1024;

export const pressureCases: readonly Case[] = [
  alone("backpressure-down", "resources", async (stage) => {
    let sent = 0;
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send(`HTTP/1.1 200 OK\r\nContent-Length: ${BIG}\r\n\r\n`);
        const block = Buffer.alloc(64 * 1024, 120);
        const more = (): void => {
          while (sent < BIG) {
            sent += block.length;
            if (!asked.socket.write(block)) return void asked.socket.once("drain", more);
          }
        };
        more();
      });
    });
    const client = await stage.open();
    client.send(head("GET", stage.path));
    client.socket.pause();
    for (let before = -1; before !== sent; await pause(500)) before = sent;
    const held = sent;
    expectThat(
      held < HELD_MAX,
      `${(held / 1024 / 1024).toFixed(1)} MiB taken for a client that does not read`,
    );
    client.close();
  }),
  alone("backpressure-up", "resources", async (stage) => {
    stage.script((asked) => asked.socket.pause());
    const client = await stage.open();
    client.send(head("POST", stage.path, `Content-Length: ${BIG}`));
    await stage.askedOnce();
    let sent = 0;
    const block = Buffer.alloc(64 * 1024, 120);
    const more = (): void => {
      while (sent < BIG && !client.socket.destroyed) {
        sent += block.length;
        if (!client.socket.write(block)) return void client.socket.once("drain", more);
      }
    };
    more();
    for (let before = -1; before !== sent; await pause(500)) before = sent;
    expectThat(
      sent < HELD_MAX,
      `${(sent / 1024 / 1024).toFixed(1)} MiB taken for a model that does not read`,
    );
    client.close();
    for (const asked of stage.asked()) asked.socket.destroy();
  }),
];

export const abortCases: readonly Case[] = [
  must("client-abort-waiting", "resources", async (stage) => {
    stage.script(() => {});
    const client = await stage.open();
    client.send(post(stage.path, "hello"));
    const asked = await stage.askedOnce();
    client.close();
    await until(() => asked.socket.destroyed || asked.socket.readableEnded, "the model learned of it");
  }),
  must("client-abort-stream", "resources", async (stage) => {
    stage.script((asked) => {
      asked.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      const timer = setInterval(() => asked.send(chunk("tick")), 50);
      asked.socket.on("close", () => clearInterval(timer));
    });
    const client = await stage.open();
    client.send(head("GET", stage.path));
    await until(() => client.text.includes("tick"), "the stream began");
    client.close();
    await until(() => stage.asked()[0]?.socket.destroyed === true, "the model learned of it");
  }),
  must("client-abort-upload", "RFC 9112 §8", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Content-Length: 1000")}half`);
    const asked = await stage.askedOnce().catch(() => null);
    client.close();
    await pause(300);
    if (asked === null) return;
    expectThat(!asked.message.complete, "half an upload looked whole");
    await until(() => asked.socket.destroyed, "the model learned of it");
  }),
  must("client-abort-upload-chunked", "RFC 9112 §8", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Transfer-Encoding: chunked")}${chunk("half")}`);
    const asked = await stage.askedOnce().catch(() => null);
    client.close();
    await pause(300);
    if (asked === null) return;
    expectThat(!asked.message.complete, "half an upload looked whole");
    await until(() => asked.socket.destroyed, "the model learned of it");
  }),
  must("client-half-close", "RFC 9112 §9.6", async (stage) => {
    stage.script((asked) => void asked.whole.then(() => setTimeout(() => asked.send(OK), 100)));
    const client = await stage.open();
    client.send(post(stage.path, "hello"));
    client.socket.end();
    const answer = await client.answerOrEnd("POST");
    // A proxy may take it for leaving; it may not answer with something else.
    expectThat(answer === null || statusOf(answer) === 200, `answered ${statusOf(answer)}`);
  }),
];
