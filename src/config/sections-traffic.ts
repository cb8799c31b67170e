// The schema of the listeners and of the model server behind them.

import * as z from "zod";
import { isLoopback } from "./addresses.ts";
import {
  DAY_MS,
  HOUR_MS,
  LIST_MAX,
  address,
  duration,
  file,
  flag,
  grpcOrigin,
  hostName,
  integer,
  name,
  oneOf,
  origin,
  secret,
  size,
  uniqueNames,
} from "./fields.ts";

const upstreamTls = z
  .strictObject({
    caFile: file()
      .nullable()
      .default(null)
      .describe("Certificate authority of the model server, PEM. Default: those of the system."),
    certFile: file().nullable().default(null).describe("Certificate we show to the model server, PEM."),
    keyFile: file().nullable().default(null).describe("Private key of `certFile`, PEM."),
    serverName: hostName()
      .nullable()
      .default(null)
      .describe("Name that the model server's certificate must be for. Default: the host of the address."),
  })
  .refine((tls) => (tls.certFile === null) === (tls.keyFile === null), {
    error: "certFile and keyFile belong together: give both or none",
  });

export const upstream = z
  .union(
    [
      origin().transform((http) => ({ http, grpc: null, tls: null })),
      z.strictObject({
        http: origin().describe(
          "Address of the model server: http://host:port, https://host:port, h2c://host:port (cleartext HTTP/2) or unix:/path.",
        ),
        grpc: grpcOrigin()
          .nullable()
          .default(null)
          .describe(
            "Address of its gRPC port, where requests of type application/grpc go: h2c://host:port, https://host:port or unix:/path. Default: the same as `http`.",
          ),
        tls: upstreamTls.nullable().default(null).describe("For addresses that begin with https."),
      }),
    ],
    { error: "must be the address of the model server, such as http://host:port, or { http: … }" },
  )
  .describe(
    "The model server. Every byte goes there. http://host:port, https://host:port, h2c://host:port or unix:/path; or an object.",
  );

const limits = z
  .strictObject({
    maxHeadSize: size({ min: 1024, max: 1024 * 1024 })
      .prefault("64KiB")
      .describe("Longest head of a request, request line and header lines together; beyond it 414 or 431."),
    maxHeaderLines: integer(16, 100_000)
      .default(8192)
      .describe("Header lines of one request; beyond it 431. None is ever cut off."),
    headTimeout: duration({ min: 1, max: HOUR_MS })
      .prefault("30s")
      .describe("Longest time from the first byte of a request's head to its last; then 408."),
    bodyTimeout: duration({ max: DAY_MS })
      .prefault("60s")
      .describe(
        "Longest time in which less than 64 bytes of a request's body arrive; then 408. 0s: no limit.",
      ),
    sendTimeout: duration({ max: DAY_MS })
      .prefault("60s")
      .describe(
        "Longest time a client may take for the next 64 KiB, or less, of an answer that waits for it. 0s: no limit.",
      ),
    uploadTimeout: duration({ max: DAY_MS })
      .prefault("5m")
      .describe(
        "Longest time in which the model may take nothing of a request's body that waits for it, also while it is being connected to, and also while its answer flows already; then 504, or a reset behind a head. What the system's buffers take counts as taken, and they report room in large steps: a model that reads all the time, but less than some 5 KB a second, may be cut at 5m. 0s: no limit.",
      ),
    idleTimeout: duration({ min: 1, max: DAY_MS })
      .prefault("75s")
      .describe("How long a client's connection is kept between requests; announced 5 s shorter."),
    requestTimeout: duration({ max: DAY_MS })
      .prefault("0s")
      .describe("Longest time from a request's head to the end of its answer. 0s: no limit."),
    tunnelIdleTimeout: duration({ max: DAY_MS })
      .prefault("1h")
      .describe(
        "How long a WebSocket, or another tunnel, may stand without a byte either way; then both its ends are closed. A ping counts. 0s: no limit.",
      ),
    maxStreams: integer(1, 10_000)
      .default(128)
      .describe(
        "Requests at one time on one HTTP/2 connection; the client is told, and further ones are refused.",
      ),
  })
  .transform((given) => ({
    headBytesMax: given.maxHeadSize,
    headLinesMax: given.maxHeaderLines,
    headMs: given.headTimeout,
    bodyMs: given.bodyTimeout,
    sendMs: given.sendTimeout,
    uploadMs: given.uploadTimeout,
    idleMs: given.idleTimeout,
    totalMs: given.requestTimeout,
    tunnelIdleMs: given.tunnelIdleTimeout,
    streamsMax: given.maxStreams,
  }))
  .prefault({})
  .describe(
    "What one client connection may take. Over HTTP/2 the times hold for each stream, idle is a connection without streams, and a head ends at 64 KiB at the latest.",
  );

export const proxy = z
  .strictObject({
    listen: address()
      .prefault("0.0.0.0:7070")
      .describe("Where clients connect. Port 0 asks the system for a free one."),
    threads: integer(1, 64)
      .default(1)
      .describe(
        "Processes that relay. Above 1 they share the listening socket, each with its own connections to the model server and its share of `maxConnections`; at most one per CPU core is of use.",
      ),
    host: oneOf(["preserve", "upstream"])
      .default("preserve")
      .describe("Host header sent to the model server: the client's own (preserve) or the upstream's."),
    connectTimeout: duration({ min: 1, max: HOUR_MS })
      .prefault("5s")
      .describe(
        "Longest wait for a connection to the model server, and over HTTP/2 for a free stream on one; then 504.",
      ),
    responseTimeout: duration({ max: DAY_MS })
      .prefault("0s")
      .describe("Longest wait for the head of an answer; 0s: no limit, the client's own decides."),
    drainTimeout: duration({ max: HOUR_MS })
      .prefault("25s")
      .describe("How long requests in flight may take to finish when the sidecar is told to stop."),
    maxConnections: integer(1, 1_000_000)
      .default(10_000)
      .describe("Client connections open at one time; further ones are closed at once and counted."),
    limits,
    tls: z
      .strictObject({
        certFile: file().describe(
          "Certificate chain shown to clients, PEM. Read again when the file changes.",
        ),
        keyFile: file().describe("Its private key, PEM. Read again when the file changes."),
      })
      .nullable()
      .default(null)
      .describe("Serve clients over TLS: HTTP/2 and HTTP/1.1, whichever they ask for."),
  })
  .transform(({ connectTimeout, responseTimeout, drainTimeout, ...rest }) => ({
    ...rest,
    connectTimeoutMs: connectTimeout,
    responseTimeoutMs: responseTimeout,
    drainTimeoutMs: drainTimeout,
  }))
  .prefault({})
  .describe("The traffic listener.");

export const telemetry = z
  .strictObject({
    listen: address()
      .prefault("0.0.0.0:7071")
      .describe("Where /metrics, /livez, /readyz and /version are read."),
    genai: flag()
      .default(false)
      .describe(
        "Also export gen_ai_server_* by OpenTelemetry's conventions for generative AI, whose names still change.",
      ),
  })
  .prefault({})
  .describe("The telemetry listener, read only, and what it tells.");

const SHA256 = "must be the SHA-256 of the token as 64 hex digits";

const token = z
  .strictObject({
    name: name().describe("Who uses it; shows in the audit trail."),
    sha256: z
      .string({ error: SHA256 })
      .regex(/^[0-9a-fA-F]{64}$/, { error: SHA256 })
      .transform((given) => given.toLowerCase())
      .nullable()
      .default(null)
      .meta({
        ...secret,
        description: 'SHA-256 of the token, 64 hex digits: `printf %s "$TOKEN" | sha256sum`.',
      }),
    sha256File: file().nullable().default(null).describe("File that holds the SHA-256 instead."),
    scopes: z
      .array(oneOf(["labels:write", "versions:write", "read"]))
      .min(1, { error: "must name at least one of labels:write, versions:write, read" })
      .describe("What it allows: labels:write, versions:write, read."),
  })
  .refine((given) => (given.sha256 === null) !== (given.sha256File === null), {
    error: "needs exactly one of sha256 and sha256File",
  });

const NO_TOKENS =
  "anybody who reaches this address could send labels: add `api.tokens`, or listen on 127.0.0.1. A token is made with " +
  '`openssl rand -hex 32`; its sha256 with `printf %s "$TOKEN" | sha256sum`; ' +
  "then api.tokens: [{ name: ci, sha256: <64 hex digits>, scopes: [labels:write, read] }]";

export const api = z
  .strictObject({
    listen: address()
      .prefault("127.0.0.1:7072")
      .describe("Where labels arrive and quality is asked for. Beyond this machine it needs `api.tokens`."),
    tokens: z
      .array(token)
      .max(LIST_MAX)
      .prefault([])
      .describe(
        "Bearer tokens: [{ name, sha256 or sha256File, scopes }]. Without any, this machine's programs may do everything.",
      ),
  })
  .superRefine((given, context) => {
    if (given.tokens.length === 0 && !isLoopback(given.listen.host)) {
      context.addIssue({ code: "custom", path: ["tokens"], message: NO_TOKENS });
    }
    uniqueNames(given.tokens, { context, path: ["tokens"] });
  })
  .prefault({})
  .describe("The API listener: labels, predictions, quality, versions.");
