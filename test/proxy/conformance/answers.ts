// Answers: their framing, their end, and what must never be taken for one.

import type { Case, Stage } from "./case.ts";
import { expectStatus, expectThat, expectValues, statusOf } from "./client.ts";
import { valuesOf } from "./message.ts";
import { OK, type Asked } from "./origin.ts";
import { alone, head, must, should } from "./requests.ts";

const get = (path: string, ...lines: string[]): string => head("GET", path, ...lines);

/** The answer is not HTTP, or ambiguous: the client gets an error of the proxy, or a visible break. */
const bad = (name: string, answer: string, wanted: "502" | "either" = "502"): Case =>
  must(`resp-bad-${name}`, "RFC 9110 §15.6.3, RFC 9112 §6.3", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send(answer);
        setTimeout(() => asked.socket.end(), 150);
      });
    });
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answerOrEnd();
    if (wanted === "either") {
      expectThat(came === null || statusOf(came) >= 500 || came.complete, "neither an answer nor an error");
      return;
    }
    expectThat(
      came === null ? client.ended : statusOf(came) >= 500 || !came.complete,
      `passed on as ${came?.start}`,
    );
  });

const BODY = "Content-Length: 2\r\n\r\nok";

const badCases: readonly Case[] = [
  bad("garbage", "this is not http at all\r\n\r\n"),
  bad("empty-line", "\r\n\r\n\r\n\r\n"),
  bad("binary", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
  bad("version", `HTTP/9.9 200 OK\r\n${BODY}`, "either"),
  bad("version-text", `HTTQ/1.1 200 OK\r\n${BODY}`),
  bad("status-text", `HTTP/1.1 abc OK\r\n${BODY}`),
  bad("status-short", `HTTP/1.1 20 OK\r\n${BODY}`),
  bad("status-long", `HTTP/1.1 2000 OK\r\n${BODY}`),
  bad("status-zero", `HTTP/1.1 000 OK\r\n${BODY}`),
  bad("two-cl", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"),
  bad("cl-list", "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!"),
  bad("cl-plus", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok"),
  bad("cl-minus", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
  bad("cl-hex", "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok"),
  bad("cl-text", "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok"),
  bad("cl-overflow", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok"),
  bad("space-colon", "HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 2\r\n\r\nok", "either"),
  bad("empty-name", "HTTP/1.1 200 OK\r\n: y\r\nContent-Length: 2\r\n\r\nok", "either"),
  bad("no-colon", "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 2\r\n\r\nok", "either"),
  bad("nul", "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok"),
  bad("bare-cr", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", "either"),
  bad("folded", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", "either"),
  bad("te-gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx"),
  bad(
    "te-twice",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  ),
  bad("chunk-size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\nok\r\n0\r\n\r\n"),
  bad("chunk-negative", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n"),
  bad(
    "chunk-overflow",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
  ),
  bad("chunk-end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokX0\r\n\r\n"),
  must("resp-bad-cl-te", "RFC 9112 §6.3", async (stage) => {
    stage.answers(
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answerOrEnd();
    // Refused, or read by its chunks alone.
    expectThat(
      came === null || statusOf(came) >= 500 || came.body === "ok",
      `body ${JSON.stringify(came?.body)}`,
    );
  }),
  must("resp-cl-equal", "RFC 9112 §6.3", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok");
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answerOrEnd();
    expectThat(
      came !== null && (statusOf(came) >= 500 || came.body === "ok"),
      "neither refused nor repaired",
    );
  }),
  must("upstream-refuses", "RFC 9110 §15.6.3", async (stage) => {
    stage.script((asked) => asked.socket.destroy());
    const client = await stage.open();
    const came = await client
      .send(`${get(stage.path, "Content-Length: 2").replace("GET", "POST")}hi`)
      .answerOrEnd("POST");
    expectStatus(came, 502, 500, 503, 504);
  }),
  must("upstream-resets", "RFC 9110 §15.6.3", async (stage) => {
    stage.script((asked) => void asked.whole.then(() => asked.socket.resetAndDestroy()));
    const client = await stage.open();
    const came = await client
      .send(`${get(stage.path, "Content-Length: 2").replace("GET", "POST")}hi`)
      .answerOrEnd("POST");
    expectStatus(came, 502, 500, 503, 504);
  }),
  must("upstream-half-head", "RFC 9112 §8", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send("HTTP/1.1 200 OK\r\nContent-Le");
        setTimeout(() => asked.socket.end(), 50);
      });
    });
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answerOrEnd();
    expectThat(came === null ? client.ended : statusOf(came) >= 500, `passed on as ${came?.start}`);
  }),
];

/** The answer ends before it is whole: the client must be able to tell. */
const cut = (id: string, answer: string, end: (asked: Asked) => void): Case =>
  must(id, "RFC 9112 §8", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send(answer);
        setTimeout(() => end(asked), 60);
      });
    });
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answerOrEnd();
    if (came === null) return expectThat(client.ended, "the connection stayed open without an answer");
    expectThat(statusOf(came) >= 500 || !came.complete, "the part was passed on as a whole");
    expectThat(client.ended, "the connection stayed open");
  });

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const fin = (asked: Asked): void => void asked.socket.end();
const rst = (asked: Asked): void => void asked.socket.resetAndDestroy();

const cutCases: readonly Case[] = [
  cut("trunc-length", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", fin),
  cut("trunc-length-rst", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", rst),
  cut("trunc-chunked", `${CHUNKED}5\r\nhello\r\n`, fin),
  cut("trunc-chunked-inside", `${CHUNKED}50\r\nhello`, fin),
  cut("trunc-chunked-last", `${CHUNKED}5\r\nhello\r\n0\r\n`, fin),
  cut("trunc-chunked-rst", `${CHUNKED}5\r\nhello\r\n`, rst),
  cut("trunc-head-only", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", fin),
  cut("trunc-rst-until-close", "HTTP/1.1 200 OK\r\n\r\npart", rst),
  must("until-close", "RFC 9112 §6.3", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send("HTTP/1.1 200 OK\r\n\r\nall of it");
        setTimeout(() => asked.socket.end(), 60);
      });
    });
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answer();
    expectThat(came.body === "all of it", `body ${JSON.stringify(came.body)}`);
  }),
  must("until-close-http10", "RFC 9112 §6.3", async (stage) => {
    stage.script((asked) => {
      void asked.whole.then(() => {
        asked.send("HTTP/1.0 200 OK\r\nX: y\r\n\r\nall of it");
        setTimeout(() => asked.socket.end(), 60);
      });
    });
    const client = await stage.open();
    const came = await client.send(get(stage.path)).answer();
    expectThat(came.body === "all of it", `body ${JSON.stringify(came.body)}`);
  }),
];

/** An answer without a body, whatever its lines say; the connection stays usable. */
const bodiless = (id: string, method: string, answer: string): Case =>
  must(id, "RFC 9110 §6.4.1, §9.3.2, §15.3.5, §15.4.5", async (stage) => {
    stage.script(
      (asked) => void asked.whole.then(() => asked.send(asked.target.endsWith("/next") ? OK : answer)),
    );
    const client = await stage.open();
    client.send(`${method} ${stage.path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    expectStatus(await client.answer(method), Number(answer.slice(9, 12)));
    expectThat(client.text === "", `bytes behind it: ${JSON.stringify(client.text)}`);
    const next = await client.send(get(`${stage.path}/next`)).answer();
    expectThat(statusOf(next) === 200 && next.body === "ok", "the connection was spoiled");
  });

const bodilessCases: readonly Case[] = [
  bodiless("head-cl", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
  bodiless("head-chunked", "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
  bodiless("head-none", "HEAD", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n"),
  bodiless("s204", "GET", "HTTP/1.1 204 No Content\r\n\r\n"),
  bodiless("s204-cl", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
  bodiless("s304", "GET", 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'),
  bodiless("s304-cl", "GET", 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 500\r\n\r\n'),
  bodiless("s205", "GET", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
  bodiless("cl-zero", "POST", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
  should("head-cl-kept", "RFC 9110 §8.6", async (stage) => {
    stage.answers("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n");
    const client = await stage.open();
    client.send(`HEAD ${stage.path} HTTP/1.1\r\nHost: h\r\n\r\n`);
    expectValues(await client.answer("HEAD"), "content-length", ["500"]);
  }),
  should("s204-no-framing", "RFC 9110 §8.6, RFC 9112 §6.1", async (stage) => {
    stage.answers("HTTP/1.1 204 No Content\r\n\r\n");
    const client = await stage.open();
    const answer = await client.send(get(stage.path)).answer();
    expectValues(answer, "content-length", []);
    expectValues(answer, "transfer-encoding", []);
  }),
];

/** Bytes that belong to no request: they never answer the next one, of this client or of another. */
async function notAnswered(stage: Stage, extra: string, pauseMs: number): Promise<void> {
  stage.script((asked) => {
    void asked.whole.then(() => {
      if (asked.target.endsWith("/next")) asked.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal");
      else if (pauseMs === 0) asked.send(`${OK}${extra}`);
      else {
        asked.send(OK);
        setTimeout(() => asked.send(extra), pauseMs);
      }
    });
  });
  const client = await stage.open();
  expectStatus(await client.send(get(stage.path)).answer(), 200);
  await new Promise((resolve) => setTimeout(resolve, pauseMs * 2 + 30));
  for (const who of [client, await stage.open()]) {
    if (who.ended) continue;
    const next = await who.send(get(`${stage.path}/next`)).answer();
    expectThat(next.body === "real" || statusOf(next) >= 500, `answered ${JSON.stringify(next.body)}`);
  }
}

const EVIL = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

const extraCases: readonly Case[] = [
  alone("resp-extra-data", "RFC 9112 §9.2", (stage) => notAnswered(stage, EVIL, 0)),
  alone("resp-extra-garbage", "RFC 9112 §9.2", (stage) => notAnswered(stage, "garbage", 0)),
  alone("resp-unsolicited-idle", "RFC 9112 §9.2", (stage) => notAnswered(stage, EVIL, 40)),
  alone("resp-unsolicited-garbage", "RFC 9112 §9.2", (stage) => notAnswered(stage, "\r\n\r\n\x00", 40)),
  alone("head-with-body", "RFC 9110 §9.3.2", async (stage) => {
    stage.script(
      (asked) =>
        void asked.whole.then(() =>
          asked.send(
            asked.method === "HEAD"
              ? `HTTP/1.1 200 OK\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`
              : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal",
          ),
        ),
    );
    const client = await stage.open();
    expectStatus(await client.send(`HEAD ${stage.path} HTTP/1.1\r\nHost: h\r\n\r\n`).answer("HEAD"), 200);
    for (const who of [client, await stage.open()]) {
      if (who.ended) continue;
      const next = await who.send(get(`${stage.path}/next`)).answer();
      expectThat(next.body === "real" || statusOf(next) >= 500, `answered ${JSON.stringify(next.body)}`);
    }
  }),
  alone("s204-with-body", "RFC 9110 §15.3.5", async (stage) => {
    stage.script(
      (asked) =>
        void asked.whole.then(() =>
          asked.send(
            asked.target.endsWith("/next")
              ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nreal"
              : `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`,
          ),
        ),
    );
    const client = await stage.open();
    expectStatus(await client.send(get(stage.path)).answer(), 204);
    await stage.settle();
    const next = await (await stage.open()).send(get(`${stage.path}/next`)).answer();
    expectThat(next.body === "real" || statusOf(next) >= 500, `answered ${JSON.stringify(next.body)}`);
  }),
];

const trailerCases: readonly Case[] = [
  should("resp-trailers", "RFC 9110 §6.5", async (stage) => {
    stage.answers(
      "HTTP/1.1 200 OK\r\nTrailer: X-Sum, Grpc-Status\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nGrpc-Status: 0\r\n\r\n",
    );
    const client = await stage.open();
    const answer = await client.send(get(stage.path, "TE: trailers", "Connection: TE")).answer();
    expectValues({ fields: answer.trailers }, "x-sum", ["1"]);
    expectValues({ fields: answer.trailers }, "grpc-status", ["0"]);
  }),
  should("req-trailers", "RFC 9110 §6.5", async (stage) => {
    const asked = await stage.forwarded(
      `POST ${stage.path} HTTP/1.1\r\nHost: h\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n`,
      "POST",
    );
    expectValues({ fields: asked.message.trailers }, "x-sum", ["1"]);
  }),
  must("req-trailers-no-merge", "RFC 9110 §6.5.1", async (stage) => {
    const client = await stage.open();
    client.send(
      `POST ${stage.path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nAuthorization: admin\r\nHost: evil\r\nContent-Length: 9\r\nX-Ok: 1\r\n\r\n`,
    );
    const answer = await client.answerOrEnd("POST");
    const [asked] = stage.asked();
    if (asked === undefined) return expectThat(statusOf(answer) >= 400, "neither forwarded nor refused");
    expectValues(asked.message, "authorization", []);
    expectValues(asked.message, "host", ["h"]);
    for (const name of ["host", "content-length", "transfer-encoding"])
      expectThat(
        valuesOf({ fields: asked.message.trailers }, name).length === 0,
        `trailer ${name} forwarded`,
      );
  }),
  must("resp-trailers-no-merge", "RFC 9110 §6.5.1", async (stage) => {
    stage.answers(`${CHUNKED}5\r\nhello\r\n0\r\nSet-Cookie: a=b\r\nContent-Length: 9\r\n\r\n`);
    const client = await stage.open();
    const answer = await client.send(get(stage.path)).answer();
    expectValues(answer, "set-cookie", []);
    expectThat(
      valuesOf({ fields: answer.trailers }, "content-length").length === 0,
      "trailer Content-Length",
    );
  }),
  must("resp-chunked-many", "RFC 9112 §7.1", async (stage) => {
    const chunks = Array.from({ length: 500 }, (_, i) => `1;x=${i}\r\n${i % 10}\r\n`).join("");
    stage.answers(`${CHUNKED}${chunks}000\r\n\r\n`);
    const client = await stage.open();
    const answer = await client.send(get(stage.path)).answer();
    expectThat(answer.body === "0123456789".repeat(50), "the body changed");
  }),
];

export const answerCases: readonly Case[] = [
  ...badCases,
  ...cutCases,
  ...bodilessCases,
  ...extraCases,
  ...trailerCases,
];
