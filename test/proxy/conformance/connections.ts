// Connections kept, lost, switched and flooded.

import type { Case, Stage } from "./case.ts";
import { Failed, expectStatus, expectThat, pause, statusOf, until } from "./client.ts";
import { OK } from "./origin.ts";
import { alone, head, must, post, should } from "./requests.ts";

/** POSTs that meet the moment in which the model closes an idle connection; gives how many failed. */
async function idleRace(stage: Stage, count: number, keptMs = 120): Promise<number> {
  const timers = new Map<number, NodeJS.Timeout>();
  stage.script((asked) => {
    clearTimeout(timers.get(asked.connection));
    void asked.whole.then(() => {
      asked.send(OK);
      timers.set(
        asked.connection,
        setTimeout(() => asked.socket.end(), keptMs),
      );
    });
  });
  let failed = 0;
  for (let i = 0; i < count; i++) {
    const client = await stage.open();
    const answer = await client.send(post(stage.path, "hello", "Connection: close")).answerOrEnd("POST");
    if (statusOf(answer) !== 200) failed++;
    client.close();
    await pause(Math.max(0, keptMs - 3 + (i % 7)));
  }
  return failed;
}

export const keptCases: readonly Case[] = [
  must("no-retry-post", "RFC 9110 §9.2.2", async (stage) => {
    stage.script((asked) => void asked.whole.then(() => asked.socket.destroy()));
    const client = await stage.open();
    // A kept connection first, since it is on those that proxies ask again.
    const warm = await stage.open();
    await warm.send(head("GET", "/t/no-retry-warm")).answerOrEnd();
    await client.send(post(stage.path, "hello")).answerOrEnd("POST");
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
    await client.send(post(stage.path, "hello")).answerOrEnd("POST");
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
  {
    ...alone("idle-close-race-young", "RFC 9112 §9.3.1", async (stage) => {
      for (const keptMs of [20, 30, 60]) {
        const failed = await idleRace(stage, 40, keptMs);
        if (failed > 0)
          throw new Failed(`${failed} of 40 POSTs failed where the model closes after ${keptMs} ms`);
      }
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

export const upgradeCases: readonly Case[] = [
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
      const told = setInterval(() => {
        if (origin.bytes[asked.connection]?.endsWith("\x81\x05early") !== true) return;
        clearInterval(told);
        asked.send("got it");
      }, 10);
      asked.socket.on("close", () => clearInterval(told));
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
  must("ws-refused-reset", "RFC 9112 §8", async (stage) => {
    stage.script((asked) => {
      asked.send("HTTP/1.1 403 No\r\nConnection: close\r\n\r\nhalf");
      setTimeout(() => asked.socket.resetAndDestroy(), 50);
    });
    const client = await stage.open();
    const answer = await client.send(head("GET", stage.path, ...WS)).answerOrEnd();
    const visible = answer === null || statusOf(answer) >= 500 || !answer.complete;
    expectThat(visible, "a reset refusal looks whole");
  }),
  should("ws-refused-trailers", "RFC 9110 §6.5", async (stage) => {
    stage.answers("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX-T: 1\r\n\r\n");
    const client = await stage.open();
    const answer = await client.send(head("GET", stage.path, ...WS)).answer();
    expectThat(answer.body === "no", `the body was ${JSON.stringify(answer.body)}`);
    expectThat(
      answer.trailers.some(([name, value]) => /^x-t$/i.test(name) && value === "1"),
      "the trailer was lost",
    );
  }),
  must("ws-refused-odd-coding", "RFC 9112 §6.1", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: xyz\r\n\r\nno");
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    const origin = await stage.askedOnce();
    setTimeout(() => origin.socket.end(), 50);
    const answer = await client.answerOrEnd();
    const shown = answer === null || statusOf(answer) >= 500 || /transfer-encoding: xyz/i.test(client.text);
    expectThat(shown, "an unknown coding was taken for none");
  }),
  must("ws-no-length", "RFC 9110 §8.6", async (stage) => {
    stage.script((asked) => {
      asked.send(SWITCH.replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n"));
      asked.socket.on("data", (bytes) => asked.send(`<${bytes.toString("latin1")}>`));
    });
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    await until(() => client.text.includes("\r\n\r\n") || client.ended, "an answer");
    if (!client.text.startsWith("HTTP/1.1 101"))
      return expectThat(client.text.startsWith("HTTP/1.1 50"), "no 502");
    expectThat(!/content-length/i.test(client.text), "a 101 with a length");
    client.send("0123456789");
    await until(() => client.text.endsWith("<0123456789>"), "the echo");
  }),
  should("ws-large-head", "RFC 9110 §5.4", async (stage) => {
    const odd = Array.from({ length: 2100 }, (_, i) => `X-${i}: aaaaaaaa\r\n`).join("");
    stage.script((asked) => asked.send(SWITCH.replace("\r\n\r\n", `\r\n${odd}\r\n`)));
    const client = await stage.open();
    client.send(head("GET", stage.path, ...WS));
    await until(() => client.text.includes("\r\n\r\n") || client.ended, "an answer");
    expectThat(client.text.includes("X-2099: aaaaaaaa\r\n"), "lines were cut off, or the head was refused");
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
    const answer = await client.answerOrEnd("POST");
    const status = statusOf(answer);
    expectThat(status >= 400 || client.ended, `answered ${status}`);
    const other = await stage.open();
    expectStatus(await other.send(head("GET", "/t/after-a-flood")).answer(), 200);
  });

export const floodCases: readonly Case[] = [
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
    const answer = await client.answerOrEnd("POST");
    const [asked] = stage.asked();
    if (statusOf(answer) === 200) expectThat(asked?.message.body === "x".repeat(200), "the body changed");
    else expectThat(statusOf(answer) >= 400 || client.ended, "neither forwarded nor refused");
  }),
  must("huge-resp-header", "RFC 9110 §5.4", async (stage) => {
    stage.answers(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(2_000_000)}\r\nContent-Length: 2\r\n\r\nok`);
    const client = await stage.open();
    const answer = await client.send(head("GET", stage.path)).answerOrEnd();
    expectThat(
      answer === null ? client.ended : statusOf(answer) >= 500 || answer.complete,
      "no visible error",
    );
  }),
];
