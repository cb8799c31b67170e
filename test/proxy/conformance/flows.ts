// What goes on over time: early answers, streams, back-pressure, leaving clients, connections kept and lost, upgrades, floods.

import type { Case, Stage } from "./case.ts";
import { Failed, expectStatus, expectThat, pause, statusOf, until } from "./client.ts";
import { OK } from "./origin.ts";

const must = (id: string, rule: string, play: Case["play"]): Case => ({ id, level: "must", rule, play });
const alone = (id: string, rule: string, play: Case["play"]): Case => ({
  id,
  level: "must",
  rule,
  alone: true,
  play,
});

const head = (method: string, path: string, ...lines: string[]): string =>
  [`${method} ${path} HTTP/1.1`, "Host: h", ...lines, "", ""].join("\r\n");

const post = (path: string, body: string, ...lines: string[]): string =>
  `${head("POST", path, `Content-Length: ${body.length}`, ...lines)}${body}`;

const earlyCases: readonly Case[] = [
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

/** Sends events 200 ms apart and gives how late, at most, each came out. */
async function latest(stage: Stage, frame: (text: string) => string, lines: string): Promise<number> {
  const sentAt: number[] = [];
  stage.script((asked) => {
    void asked.whole.then(async () => {
      asked.send(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${lines}\r\n`);
      for (let i = 0; i < 4; i++) {
        await pause(200);
        sentAt.push(performance.now());
        asked.send(frame(`data: ${i}\n\n`));
      }
      await pause(100);
      if (lines.includes("chunked")) asked.send("0\r\n\r\n");
      else asked.socket.end();
    });
  });
  const client = await stage.open();
  client.send(head("GET", stage.path));
  let worst = 0;
  for (let i = 0; i < 4; i++) {
    await until(() => client.text.includes(`data: ${i}\n\n`), `event ${i}`, 3000);
    worst = Math.max(worst, performance.now() - (sentAt[i] ?? 0));
  }
  return worst;
}

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

const streamCases: readonly Case[] = [
  alone("stream-sse", "RFC 9110 §7.6", async (stage) => {
    const worst = await latest(stage, chunk, "Transfer-Encoding: chunked\r\n");
    expectThat(worst < 150, `an event came ${Math.round(worst)} ms late`);
  }),
  alone("stream-sse-close", "RFC 9110 §7.6", async (stage) => {
    const worst = await latest(stage, (text) => text, "");
    expectThat(worst < 150, `an event came ${Math.round(worst)} ms late`);
  }),
  alone("stream-head-at-once", "RFC 9110 §7.6", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(async () => {
        asked.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await pause(1500);
        asked.send("0\r\n\r\n");
      });
    });
    const client = await stage.open();
    client.send(head("GET", stage.path));
    await until(() => client.text.includes("200 OK"), "the head before its first byte", 700);
  }),
  alone("stream-length", "RFC 9110 §7.6", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(async () => {
        asked.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst");
        await pause(1500);
        asked.send("after");
      });
    });
    const client = await stage.open();
    client.send(head("GET", stage.path));
    await until(() => client.text.endsWith("first"), "the first bytes", 700);
  }),
  alone("upload-streamed", "RFC 9110 §7.6", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Transfer-Encoding: chunked")}${chunk("first")}`);
    await until(() => stage.asked()[0]?.message.body === "first", "the first chunk at the model", 1000);
    client.send(`${chunk("second")}0\r\n\r\n`);
    expectStatus(await client.answer("POST"), 200);
    expectThat(stage.asked()[0]?.message.body === "firstsecond", "the body changed");
  }),
  alone("upload-streamed-length", "RFC 9110 §7.6", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Content-Length: 11")}first`);
    await until(() => stage.asked()[0]?.message.body === "first", "the first bytes at the model", 1000);
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
    const answer = await client.send(post(stage.path, body)).answer("POST", 8000);
    expectThat(answer.body === body, "the body changed");
  }),
];

const BIG = 64 * 1024 * 1024;
const HELD_MAX = 16 * 1024 * 1024;

const pressureCases: readonly Case[] = [
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

const abortCases: readonly Case[] = [
  must("client-abort-waiting", "resources", async (stage) => {
    stage.script(() => {});
    const client = await stage.open();
    client.send(post(stage.path, "hello"));
    const asked = await stage.askedOnce();
    client.close();
    await until(() => asked.socket.destroyed || asked.socket.readableEnded, "the model learned of it", 3000);
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
    await until(() => stage.asked()[0]?.socket.destroyed === true, "the model learned of it", 3000);
  }),
  must("client-abort-upload", "RFC 9112 §8", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Content-Length: 1000")}half`);
    const asked = await stage.askedOnce().catch(() => null);
    client.close();
    await pause(300);
    if (asked === null) return;
    expectThat(!asked.message.complete, "half an upload looked whole");
    await until(() => asked.socket.destroyed, "the model learned of it", 3000);
  }),
  must("client-abort-upload-chunked", "RFC 9112 §8", async (stage) => {
    const client = await stage.open();
    client.send(`${head("POST", stage.path, "Transfer-Encoding: chunked")}${chunk("half")}`);
    const asked = await stage.askedOnce().catch(() => null);
    client.close();
    await pause(300);
    if (asked === null) return;
    expectThat(!asked.message.complete, "half an upload looked whole");
    await until(() => asked.socket.destroyed, "the model learned of it", 3000);
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

/** POSTs that meet the moment in which the model closes an idle connection; gives how many failed. */
async function idleRace(stage: Stage, count: number): Promise<number> {
  const timers = new Map<number, NodeJS.Timeout>();
  stage.script((asked) => {
    clearTimeout(timers.get(asked.connection));
    void asked.whole.then(() => {
      asked.send(OK);
      timers.set(
        asked.connection,
        setTimeout(() => asked.socket.end(), 120),
      );
    });
  });
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const client = await stage.open();
    const answer = await client
      .send(post(stage.path, "hello", "Connection: close"))
      .answerOrEnd("POST", 2000);
    if (statusOf(answer) !== 200) failed++;
    client.close();
    await pause(117 + (i % 7));
  }
  return failed;
}

const keptCases: readonly Case[] = [
  must("no-retry-post", "RFC 9110 §9.2.2", async (stage) => {
    stage.script((asked) => void asked.whole.then(() => asked.socket.destroy()));
    const client = await stage.open();
    // A kept connection first, since it is on those that proxies ask again.
    const warm = await stage.open();
    await warm.send(head("GET", "/t/no-retry-warm")).answerOrEnd();
    await client.send(post(stage.path, "hello")).answerOrEnd("POST", 2000);
    await pause(200);
    expectThat(stage.asked().length === 1, `sent ${stage.asked().length} times`);
  }),
  must("no-retry-post-half", "RFC 9110 §9.2.2", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send("HTTP/1.1 200 OK\r\n");
        setTimeout(() => asked.socket.destroy(), 30);
      });
    });
    const client = await stage.open();
    await client.send(post(stage.path, "hello")).answerOrEnd("POST", 2000);
    await pause(200);
    expectThat(stage.asked().length === 1, `sent ${stage.asked().length} times`);
  }),
  alone("get-retry-stale", "RFC 9110 §9.2.2", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send(OK);
        setTimeout(() => asked.socket.destroy(), 20);
      });
    });
    for (let i = 0; i < 8; i++) {
      const client = await stage.open();
      expectStatus(await client.send(head("GET", stage.path)).answerOrEnd(), 200);
      await pause(60);
    }
  }),
  {
    ...alone("idle-close-race", "RFC 9112 §9.3.1", async (stage) => {
      const failed = await idleRace(stage, 120);
      if (failed > 0) throw new Failed(`${failed} of 120 POSTs failed`);
    }),
    long: true,
  },
  alone("idle-close-race-short", "RFC 9112 §9.3.1", async (stage) => {
    const failed = await idleRace(stage, 20);
    if (failed > 0) throw new Failed(`${failed} of 20 POSTs failed`);
  }),
  must("pipelined", "RFC 9112 §9.3.2", async (stage) => {
    stage.script((asked) => {
      const n = asked.target.slice(-1);
      void asked.whole.then(() =>
        setTimeout(() => asked.send(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${n}`), n === "0" ? 150 : 0),
      );
    });
    const client = await stage.open();
    client.send([0, 1, 2, 3, 4].map((n) => head("GET", `${stage.path}/${n}`)).join(""));
    for (let n = 0; n < 5; n++) {
      const answer = await client.answerOrEnd();
      // Closing after an answer is allowed; a wrong order is not.
      if (answer === null && client.ended && n > 0) return;
      expectThat(answer?.body === String(n), `answer ${n} was ${JSON.stringify(answer?.body)}`);
    }
  }),
  must("pipelined-posts", "RFC 9112 §9.3.2", async (stage) => {
    stage.script(
      (asked) =>
        void asked.whole.then(() =>
          asked.send(
            `HTTP/1.1 200 OK\r\nContent-Length: ${asked.message.body.length}\r\n\r\n${asked.message.body}`,
          ),
        ),
    );
    const client = await stage.open();
    client.send(post(stage.path, "one") + post(stage.path, "three") + post(stage.path, "seventy"));
    for (const wanted of ["one", "three", "seventy"])
      expectThat((await client.answer("POST")).body === wanted, `not ${wanted}`);
  }),
  must("keep-alive", "RFC 9112 §9.3", async (stage) => {
    const client = await stage.open();
    for (let i = 0; i < 20; i++)
      expectStatus(await client.send(post(stage.path, "hello")).answer("POST"), 200);
  }),
  must("keep-alive-http10", "RFC 9112 §9.3", async (stage) => {
    const client = await stage.open();
    client.send(`GET ${stage.path} HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n`);
    expectStatus(await client.answer(), 200);
  }),
  must("byte-by-byte", "RFC 9112 §2.2", async (stage) => {
    const client = await stage.open();
    for (const byte of post(stage.path, "hello", "X-A: b")) {
      client.send(byte);
      await pause(1);
    }
    expectStatus(await client.answer("POST"), 200);
    expectThat(stage.asked()[0]?.message.body === "hello", "the body changed");
  }),
  must("answer-byte-by-byte", "RFC 9112 §2.2", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(async () => {
        for (const byte of "HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n") {
          asked.send(byte);
          await pause(1);
        }
      });
    });
    const client = await stage.open();
    const answer = await client.send(head("GET", stage.path)).answer();
    expectThat(answer.body === "hello", "the body changed");
  }),
];

const WS = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const SWITCH =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

const upgradeCases: readonly Case[] = [
  must("ws-glued-down", "RFC 9110 §7.8", async (stage) => {
    stage.script((asked) => asked.send(`${SWITCH}\x81\x05hello`));
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    await until(() => client.text.endsWith("\r\n\r\n\x81\x05hello"), "the glued frame");
    expectThat(client.text.startsWith("HTTP/1.1 101"), "no 101");
  }),
  must("ws-glued-up", "RFC 9110 §7.8", async (stage) => {
    stage.script((asked, origin) => {
      asked.send(SWITCH);
      setTimeout(() => {
        if (origin.bytes[asked.connection]?.endsWith("\x81\x05early") === true) asked.send("got it");
      }, 300);
    });
    const client = await stage.open();
    client.send(`${head("GET", stage.path, ...WS)}\x81\x05early`);
    await until(() => client.text.endsWith("got it"), "the early frame reached the model");
  }),
  must("ws-both-ways", "RFC 9110 §7.8", async (stage) => {
    stage.script((asked) => {
      asked.send(SWITCH);
      asked.socket.on("data", (bytes) => asked.send(`<${bytes.toString("latin1")}>`));
    });
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    await until(() => client.text.includes("\r\n\r\n"), "the 101");
    client.send("ping\x00\xff");
    await until(() => client.text.endsWith("<ping\x00\xff>"), "the echo");
    client.close();
    await until(() => stage.asked()[0]?.socket.destroyed === true, "the close reached the model");
  }),
  must("ws-close-down", "RFC 9110 §7.8", async (stage) => {
    stage.script((asked) => {
      asked.send(`${SWITCH}bye`);
      setTimeout(() => asked.socket.end(), 50);
    });
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    await until(() => client.ended, "the close reached the client");
    expectThat(client.text.endsWith("bye"), "the last bytes were lost");
  }),
  must("ws-headers-kept", "RFC 9110 §7.8", async (stage) => {
    stage.script((asked) => asked.send(SWITCH));
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    const asked = await stage.askedOnce();
    const names = new Map(asked.message.fields.map(([name, value]) => [name.toLowerCase(), value]));
    expectThat(names.get("upgrade") === "websocket", "Upgrade was not passed on");
    expectThat(/upgrade/i.test(names.get("connection") ?? ""), "Connection: Upgrade was not passed on");
    await until(
      () => /sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i.test(client.text),
      "the accept line",
    );
  }),
  must("ws-refused", "RFC 9110 §7.8", async (stage) => {
    stage.answers("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
    const client = await stage.open();
    const answer = await client.send(head("GET", stage.path, ...WS)).answer();
    expectThat(statusOf(answer) === 403 && answer.body === "no", `answered ${answer.start}`);
  }),
  must("h2c-not-forwarded", "RFC 9113 §3.1", async (stage) => {
    const client = await stage.open();
    client.send(
      head(
        "GET",
        stage.path,
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
      ),
    );
    const answer = await client.answerOrEnd();
    const [asked] = stage.asked();
    if (asked === undefined) return expectThat(statusOf(answer) >= 400, "neither forwarded nor refused");
    const upgrade = asked.message.fields.find(([name]) => name.toLowerCase() === "upgrade");
    expectThat(upgrade === undefined, "the h2c upgrade was passed on");
  }),
  must("upgrade-post-body", "RFC 9110 §7.8", async (stage) => {
    const client = await stage.open();
    client.send(post(stage.path, "hello", "Connection: Upgrade", "Upgrade: foo"));
    const answer = await client.answerOrEnd("POST");
    expectThat(statusOf(answer) >= 200, "no answer");
    const [asked] = stage.asked();
    if (asked !== undefined) expectThat(asked.message.body === "hello", "the body changed");
  }),
];

/** A flood is refused or survived, and the next client is served. */
const flood = (id: string, bytes: (stage: Stage) => string): Case =>
  must(id, "RFC 9112 §3, RFC 9110 §5.4", async (stage) => {
    const client = await stage.open();
    client.send(bytes(stage));
    const answer = await client.answerOrEnd("POST", 5000);
    const status = statusOf(answer);
    expectThat(status >= 400 || client.ended, `answered ${status}`);
    const other = await stage.open();
    expectStatus(await other.send(head("GET", "/t/after-a-flood")).answer(), 200);
  });

const floodCases: readonly Case[] = [
  flood("huge-header", (stage) => head("GET", stage.path, `X-Big: ${"a".repeat(300_000)}`)),
  flood("huge-headers", (stage) =>
    head("GET", stage.path, ...Array.from({ length: 30_000 }, (_, i) => `X-${i}: aaaaaaaa`)),
  ),
  flood("huge-method", (stage) => head("A".repeat(70_000), stage.path)),
  flood("huge-target", (stage) => head("GET", `${stage.path}/${"a".repeat(400_000)}`)),
  flood("huge-name", (stage) => head("GET", stage.path, `${"X".repeat(300_000)}: a`)),
  flood("endless-start", () => "A".repeat(400_000)),
  flood(
    "chunk-ext-flood",
    (stage) =>
      `${head("POST", stage.path, "Transfer-Encoding: chunked")}5;${"a".repeat(4 * 1024 * 1024)}\r\nhello\r\n0\r\n\r\n`,
  ),
  flood(
    "trailer-flood",
    (stage) =>
      `${head("POST", stage.path, "Transfer-Encoding: chunked")}5\r\nhello\r\n0\r\n${"X: aaaaaaaaaaaaaaaaaaaa\r\n".repeat(40_000)}\r\n`,
  ),
  must("chunk-ext-many", "RFC 9112 §7.1.1", async (stage) => {
    const client = await stage.open();
    client.send(
      `${head("POST", stage.path, "Transfer-Encoding: chunked")}${"1;aaaaaaaaaaaaaaaa\r\nx\r\n".repeat(200)}0\r\n\r\n`,
    );
    const answer = await client.answerOrEnd("POST", 3000);
    const [asked] = stage.asked();
    if (statusOf(answer) === 200) expectThat(asked?.message.body === "x".repeat(200), "the body changed");
    else expectThat(statusOf(answer) >= 400 || client.ended, "neither forwarded nor refused");
  }),
  must("huge-resp-header", "RFC 9110 §5.4", async (stage) => {
    stage.answers(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(2_000_000)}\r\nContent-Length: 2\r\n\r\nok`);
    const client = await stage.open();
    const answer = await client.send(head("GET", stage.path)).answerOrEnd("GET", 5000);
    expectThat(
      answer === null ? client.ended : statusOf(answer) >= 500 || answer.complete,
      "no visible error",
    );
  }),
];

export const flowCases: readonly Case[] = [
  ...earlyCases,
  ...streamCases,
  ...pressureCases,
  ...abortCases,
  ...keptCases,
  ...upgradeCases,
  ...floodCases,
];
