// What clients and models say in the stories of short exchanges: the everyday, and whatever is out of the ordinary.

import { OPENING_SNAPSHOT, type RelaySnapshot } from "../../src/proxy/rules.ts";
import { OK, OK_KEPT, get, post } from "./support.ts";
import { GIVEN_SPAN, GIVEN_TRACE, answers, sends, together, type Step } from "./short-stage.ts";

/** Tells where each byte stands, in letters that no id is made of. */
export function numbered(length: number): string {
  let text = "";
  for (let i = 0; text.length < length; i++)
    text += `${i.toString().replaceAll(/\d/g, (digit) => "ghijklmnop".charAt(Number(digit)))}.`;
  return text.slice(0, length);
}

const TRACE = `traceparent: 00-${GIVEN_TRACE}-${GIVEN_SPAN}-01`;
const INFER = "/v2/models/m/infer";
const JSON_TYPE = "Content-Type: application/json";
const body = '{"inputs":[1,2]}';

export const REQUESTS: Readonly<Record<string, string>> = {
  "a GET": get("/get"),
  "a POST": post(INFER, body),
  "a POST with its type": post(INFER, body, JSON_TYPE, "X-Request-Id: r1"),
  "a HEAD": get("/head").replace("GET", "HEAD"),
  "an OPTIONS": get("/options").replace("GET", "OPTIONS"),
  "a DELETE": get("/delete").replace("GET", "DELETE"),
  "a PUT": post("/put", body).replace("POST", "PUT"),
  "a PATCH": post("/patch", body).replace("POST", "PATCH"),
  "a method of its own": post("/x", body).replace("POST", "x!"),
  "a GET with a body": post("/get", body).replace("POST", "GET"),
  "a POST of nothing": post("/none", ""),
  "a POST without a length": get("/none").replace("GET", "POST"),
  "a POST of one byte": post("/one", "\xff"),
  "a POST of 16383 bytes": post("/p", numbered(16_383)),
  "a POST of 16384 bytes": post("/p", numbered(16_384)),
  "a POST of 16385 bytes": post("/p", numbered(16_385)),
  "a POST of 65536 bytes with its head": post("/p", numbered(65_459)),
  "a POST of 70000 bytes": post("/p", numbered(70_000)),
  "a POST in chunks":
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
  "a POST in chunks with trailers":
    "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n",
  "a POST that waits for 100": post("/e", body, "Expect: 100-continue"),
  "a POST that expects something else": post("/e", body, "Expect: the-best"),
  "HTTP/1.0": "GET /old HTTP/1.0\r\n\r\n",
  "HTTP/1.0 kept": "GET /old HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
  "HTTP/2.0": "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
  "Connection: close": get("/close", "Connection: close"),
  "Connection: Close with a body": post("/close", body, "connection: Close"),
  "Connection: keep-alive": get("/keep", "Connection: keep-alive"),
  "a line named by Connection": get("/hop", "Connection: X-Hop, keep-alive", "X-Hop: 1"),
  "Keep-Alive": get("/keep", "Keep-Alive: timeout=5"),
  "Proxy-Connection": get("/keep", "Proxy-Connection: keep-alive"),
  "TE: trailers": get("/te", "TE: trailers", "Connection: TE"),
  "a Trailer line": post("/t", body, "Trailer: X-Sum"),
  "an upgrade": get("/ws", "Connection: Upgrade", "Upgrade: websocket"),
  "an upgrade that Connection does not name": get("/ws", "Upgrade: websocket"),
  "Max-Forwards: 0": get("*", "Max-Forwards: 0").replace("GET", "OPTIONS"),
  "Max-Forwards: 3": get("/o", "Max-Forwards: 3").replace("GET", "OPTIONS"),
  "a TRACE": get("/t", "Max-Forwards: 1").replace("GET", "TRACE"),
  "a CONNECT": "CONNECT model.example:80 HTTP/1.1\r\nHost: model.example:80\r\n\r\n",
  "an absolute target": get("http://other.example/abs?q=1"),
  "a target without a slash": get("abs"),
  "an odd target": get("/%7e/a?b=c&d=%0d#e"),
  "a target that is not latin": get("/caf\xe9"),
  "a long target": get(`/${"long/".repeat(60)}`),
  "no host": "GET / HTTP/1.1\r\n\r\n",
  "two hosts": get("/", "Host: b"),
  "an empty host": "GET / HTTP/1.1\r\nHost:\r\n\r\n",
  "another host": "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
  "a trace": post(INFER, body, TRACE),
  "a trace with its state": post(INFER, body, TRACE, "tracestate: vendor=1"),
  "a trace that is not sampled": get("/", TRACE.replace(/01$/, "00")),
  "a trace of a later version": get("/", TRACE.replace("00-", "01-")),
  "a trace of no version": get("/", TRACE.replace("00-", "ff-"), "tracestate: vendor=1"),
  "a trace in upper case": get("/", TRACE.replace("0af", "0AF")),
  "a trace of zeros": get("/", `traceparent: 00-${"0".repeat(32)}-${GIVEN_SPAN}-01`),
  "two traces": get("/", TRACE, TRACE),
  "a state without a trace": get("/", "tracestate: vendor=1"),
  "an id": post(INFER, body, "x-prediction-id: order-7"),
  "an id in upper case": get("/", "X-PREDICTION-ID: ORDER 7"),
  "an id that is none": get("/", "x-prediction-id: caf\xe9"),
  "an empty id": get("/", "x-prediction-id:"),
  "an id that is too long": get("/", `x-prediction-id: ${"i".repeat(300)}`),
  "two ids": get("/", "x-prediction-id: one", "x-prediction-id: two"),
  Via: get("/", "Via: 1.0 fred"),
  "X-Forwarded-For": get("/", "X-Forwarded-For: 192.0.2.1"),
  "all of X-Forwarded": get("/", "X-Forwarded-For: a", "X-Forwarded-Proto: https", "X-Forwarded-Host: h"),
  "a version in its path": post("/v2/models/m/versions/3/infer", body),
  "a coded version in its path": post("/v1/models/m/versions/1%2e5:predict", body),
  "a version of TorchServe": post("/predictions/m/2.0", body),
  "a version said by the client": get("/", "x-model-version: 9"),
  "a gRPC call": post("/p.S/M", "\0\0\0\0\0", "Content-Type: application/grpc", "TE: trailers"),
  secrets: get("/", "Cookie: a=b", "Authorization: Bearer x", "Cookie: c=d"),
  "many lines": get("/", ...Array.from({ length: 60 }, (_, i) => `X-${i}: ${i}`)),
  "a long line": get("/", `X: ${"long".repeat(2000)}`),
  "blanks around values": get("/", "X-A:   a  ", "X-B:\tb\t", "X-C:"),
  "an empty line before it": `\r\n${get("/after")}`,
  "a bare line end": "GET / HTTP/1.1\nHost: a\r\n\r\n",
  "a fold": get("/", "X-A: a", " b"),
  "a blank before a colon": get("/", "X-A : a"),
  "a NUL": get("/", "X-A: a\0b"),
  "two lengths": post("/", body, "Content-Length: 3"),
  "the same length twice": post("/", body, `Content-Length: ${body.length}`),
  "a length and chunks": post("/", "0\r\n\r\n", "Transfer-Encoding: chunked"),
  "a length that is none": post("/", body).replace(`: ${body.length}`, ": 1e1"),
  "a length with zeros": post("/", body).replace(`: ${body.length}`, `: 000${body.length}`),
  "bytes that are no request": "\x16\x03\x01\0\0",
  "the preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "a request of two": get("/first") + get("/second"),
  "a request of three": post("/first", body) + get("/second") + post("/third", body),
  "a request, and half of another": post("/first", body) + get("/second").slice(0, 20),
  "a request, and garbage": `${post("/first", body)}GARBAGE\r\n\r\n`,
  "half a head": get("/half").slice(0, 30),
  "half a body": post("/half", body).slice(0, -5),
};

const answer = (status: string, ...lines: string[]): string =>
  [`HTTP/1.1 ${status}`, "Keep-Alive: timeout=60", ...lines, "", ""].join("\r\n");
const ok = (text: string, ...lines: string[]): string =>
  answer("200 OK", ...lines, `Content-Length: ${text.length}`) + text;

export const ANSWERS: Readonly<Record<string, string>> = {
  "an answer": OK,
  "an answer that keeps its connection": OK_KEPT,
  "an answer with a type": ok('{"outputs":[1]}', JSON_TYPE, "Server: m", "X-Request-Id: r1"),
  "an answer of nothing": ok(""),
  "an answer of binary": ok("\0\x01\x80\xff"),
  "204": answer("204 No Content"),
  "204 with a length": answer("204 No Content", "Content-Length: 0"),
  "205": answer("205 Reset Content", "Content-Length: 0"),
  "304": answer("304 Not Modified"),
  "304 with a length": answer("304 Not Modified", "Content-Length: 7"),
  "404": `${answer("404 Not Found", "Content-Length: 2")}no`,
  "500": `${answer("500 Oh", "Content-Length: 2")}no`,
  "503 with Retry-After": `${answer("503 Busy", "Retry-After: 1", "Content-Length: 2")}no`,
  "a status that has no name": `${answer("299 ", "Content-Length: 2")}ok`,
  "a status without a reason": "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
  "999": `${answer("999 Odd", "Content-Length: 2")}ok`,
  "a reason that is not latin": `${answer("200 caf\xe9", "Content-Length: 2")}ok`,
  "a date": ok("ok", "Date: Fri, 27 Nov 2026 02:00:00 GMT"),
  "a date in lower case": ok("ok", "date: Fri, 27 Nov 2026 02:00:00 GMT"),
  "an id of the model": ok("ok", "x-prediction-id: of-the-model"),
  "an id of the model that is none": ok("ok", "x-prediction-id: \xe9"),
  "two ids of the model": ok("ok", "x-prediction-id: a", "x-prediction-id: b"),
  "a version of the model": ok("ok", "x-model-version: 7"),
  "a version header": ok("ok", "X-Version: 8"),
  "an empty version header": ok("ok", "X-Version:"),
  Via: ok("ok", "Via: 1.0 fred"),
  "Connection: close": ok("ok", "Connection: close"),
  "Connection: keep-alive": ok("ok", "Connection: keep-alive"),
  "a line named by Connection": ok("ok", "Connection: X-Hop", "X-Hop: 1"),
  "a short Keep-Alive": ok("ok").replace("60", "1"),
  "HTTP/1.0": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "HTTP/1.0 kept": "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
  chunks: `${answer("200 OK", "Transfer-Encoding: chunked")}2\r\nok\r\n0\r\n\r\n`,
  "no chunks": `${answer("200 OK", "Transfer-Encoding: chunked")}0\r\n\r\n`,
  "chunks with trailers": `${answer("200 OK", "Trailer: X-Sum", "Transfer-Encoding: chunked")}2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n`,
  "chunks and a length": `${answer("200 OK", "Transfer-Encoding: chunked", "Content-Length: 2")}2\r\nok\r\n0\r\n\r\n`,
  "another coding": `${answer("200 OK", "Transfer-Encoding: gzip")}ok`,
  "no length": `${answer("200 OK")}ok`,
  events: `${answer("200 OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked")}9\r\ndata: 1\n\n\r\n`,
  "events with a length": ok("data: 1\n\ndata: [DONE]\n\n", "Content-Type: text/event-stream"),
  "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
  "the same length twice": ok("ok", "Content-Length: 2"),
  "a length that is none": "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
  "a length with zeros": "HTTP/1.1 200 OK\r\nContent-Length: 002\r\n\r\nok",
  "a bare line end": "HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok",
  "a fold": ok("ok", "X-A: a", " b"),
  "a NUL": ok("ok", "X-A: a\0b"),
  "a name that is none": ok("ok", "X-\xe9: 1"),
  "blanks around values": ok("ok", "X-A:   a  ", "X-B:\tb\t", "X-C:"),
  "hop-by-hop lines": ok(
    "ok",
    "Upgrade: x",
    "Proxy-Authenticate: Basic",
    "TE: trailers",
    "Proxy-Connection: a",
  ),
  cookies: ok("ok", "Set-Cookie: a=b", "Set-Cookie: c=d"),
  "many lines": ok("ok", ...Array.from({ length: 60 }, (_, i) => `X-${i}: ${i}`)),
  "a long line": ok("ok", `X: ${"long".repeat(5000)}`),
  "a head that is too long": ok("ok", `X: ${"long".repeat(40_000)}`),
  "a gRPC status": ok("ok", "grpc-status: 13"),
  "a gRPC status that is ok": ok("ok", "grpc-status: 0", "grpc-message: fine"),
  "an interim answer first": `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK_KEPT}`,
  "100 first": `HTTP/1.1 100 Continue\r\n\r\n${OK_KEPT}`,
  "102 twice first": `HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK_KEPT}`,
  "101": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
  "another answer behind it": OK_KEPT + OK.replace("ok", "no"),
  "a line end behind it": `${OK_KEPT}\r\n`,
  "more than its length": `${OK_KEPT}more`,
  "less than its length": ok("okay").slice(0, -2),
  "half a head": ok("ok").slice(0, 24),
  "an empty line before it": `\r\n${OK_KEPT}`,
  "no HTTP": "SSH-2.0-OpenSSH\r\n\r\n",
  "no HTTP, and short": "x",
  "16384 bytes": ok(numbered(16_384)),
  "16385 bytes": ok(numbered(16_385)),
  "a body that fills a read": ok(numbered(65_536 - 74)),
  "70000 bytes": ok(numbered(70_000)),
  "200000 bytes": ok(numbered(200_000)),
};

/** Answered, with an upstream connection idle afterwards for each of these clients. */
export function warm(...clients: number[]): Step[] {
  return [together(...clients.flatMap((at) => sends(at, get(`/warm/${at}`)))), answers(OK_KEPT)];
}

/** What is usual, after whatever was not: each client asks once more, on its connection or a new one, and all is answered. */
export function aftermath(...clients: number[]): Step[] {
  return [
    answers(OK_KEPT),
    ...clients.flatMap((at) => [...sends(at, post(`/after/${at}`, body)), answers(OK_KEPT)]),
    ...sends(90, get("/new") + post("/new", body)),
    answers(OK_KEPT),
    answers(OK_KEPT),
  ];
}

type Rules = Partial<Omit<RelaySnapshot, "capture">> & {
  readonly capture?: Partial<RelaySnapshot["capture"]>;
};

export function rules({ capture, ...rest }: Rules): RelaySnapshot {
  return { ...OPENING_SNAPSHOT, ...rest, capture: { ...OPENING_SNAPSHOT.capture, ...capture } };
}

export const RULES: Readonly<Record<string, RelaySnapshot>> = {
  "a version by default": rules({ defaultVersion: "1.4.2" }),
  "versions of routes": rules({
    routes: [
      { pattern: "/v2/**", version: "2", versionHeader: null },
      { pattern: "/none", version: null, versionHeader: null },
    ],
    defaultVersion: "0",
  }),
  "a version by header": rules({ routes: [{ pattern: "/**", version: null, versionHeader: "X-Version" }] }),
  "a version by header and a version": rules({
    routes: [{ pattern: "/**", version: "r", versionHeader: "x-version" }],
    versionFromPath: false,
  }),
  "no version from paths": rules({ versionFromPath: false }),
  "a version that cannot be said": rules({ defaultVersion: "caf\xe9" }),
  "bodies kept in part": rules({ capture: { bodyBytesMax: 1 } }),
  "few bytes kept": rules({ capture: { bodyBytesMax: 16 } }),
  "room for one body": rules({ capture: { totalBytesMax: 17 } }),
  "room for none": rules({ capture: { totalBytesMax: 1 } }),
  "nothing kept": rules({ capture: { sampleRatio: 0 } }),
  "all traces sampled": rules({ traceSampleRatio: 1 }),
};
