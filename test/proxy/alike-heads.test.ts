// Heads that came before, over sockets: clients whose heads differ in a letter or in their length alone each stay themselves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { headerFilter } from "../../src/facts/header-filter.ts";
import { OPENING_SNAPSHOT } from "../../src/proxy/rules.ts";
import { eventually, post, rawClient, scriptedOrigin, startProxy, valuesOf } from "./support.ts";

const ROUNDS = 24;
/** Each client is one of these, on a connection of its own. */
const CLIENTS = ["a1", "a2", "b1", "b2"].map((name) => ({
  tenant: name.slice(0, 1),
  version: name.slice(1),
  target: `/v2/models/m/versions/${name.slice(1)}/infer`,
}));
/** Alike in how many digits their lengths have, and not. */
const LENGTHS = [120, 121, 997, 12];

/** Says back what it was sent, and whose it was, in a head that differs from another's as little. */
const echo = (request: string): string =>
  `HTTP/1.1 200 OK\r\nContent-Length: ${request.length}\r\nX-Tenant: ${valuesOf(request, "x-tenant").join()}\r\n\r\n${request}`;

test("clients with heads that are alike get their own answers, and are told apart to the observer", async (t) => {
  const origin = await scriptedOrigin(t, echo);
  const { proxy, port, delivered } = await startProxy(t, origin.url, {
    observed: headerFilter(["x-tenant"]),
  });
  proxy.setSnapshot({ ...OPENING_SNAPSHOT, versionFromPath: true });
  const connections = await Promise.all(CLIENTS.map(() => rawClient(t, port)));
  const bodies = new Map<string, (typeof CLIENTS)[number]>();
  const spans = new Set<string>();

  for (let round = 0; round < ROUNDS; round++)
    for (const [i, client] of CLIENTS.entries()) {
      const connection = connections[i];
      assert.ok(connection);
      const from = connection.text().length;
      // Two at once every third time; in two pieces every other time.
      const sent = Array.from({ length: round % 3 === 0 ? 2 : 1 }, (_, k) => {
        const body = `${round}/${i}/${k} `.padEnd(LENGTHS[(round + k) % LENGTHS.length] ?? 0, "\xe9\0");
        bodies.set(body, client);
        return { body, text: post(client.target, body, `X-Tenant: ${client.tenant}`, TRACE) };
      });
      const all = sent.map(({ text }) => text).join("");
      const cut = round % 2 === 0 ? 0 : (round * 37) % all.length;
      connection.send(all.slice(0, cut));
      connection.send(all.slice(cut));
      await eventually(() => sent.every(({ body }) => connection.text().includes(body, from)));
      for (const answer of connection
        .text()
        .slice(from)
        .split(/(?=HTTP\/1\.1 200 OK\r\n)/)) {
        const echoed = answer.slice(answer.indexOf("\r\n\r\n") + 4);
        assert.deepEqual(valuesOf(answer, "x-tenant"), [client.tenant]);
        assert.deepEqual(valuesOf(answer, "x-model-version"), [client.version]);
        assert.deepEqual(valuesOf(answer, "content-length"), [String(echoed.length)]);
        assert.ok(echoed.startsWith(`POST ${client.target} HTTP/1.1\r\n`));
        assert.deepEqual(valuesOf(echoed, "x-tenant"), [client.tenant]);
        const body = echoed.slice(echoed.indexOf("\r\n\r\n") + 4);
        assert.equal(bodies.get(body), client);
        assert.deepEqual(valuesOf(echoed, "content-length"), [String(body.length)]);
        spans.add(valuesOf(echoed, "traceparent").join());
      }
    }

  // A head that says the same trace again is another span of it.
  assert.equal(spans.size, bodies.size);
  const facts = await delivered(bodies.size);
  assert.equal(new Set(facts.map(({ id }) => id)).size, bodies.size);
  for (const { target, announcedVersion, requestHeaders, responseHeaders, request, trace } of facts) {
    const client = bodies.get(Buffer.from(request.bytes).toString("latin1"));
    assert.ok(client);
    assert.deepEqual([target, announcedVersion], [client.target, client.version]);
    assert.deepEqual(
      [requestHeaders, responseHeaders],
      [
        ["x-tenant", client.tenant],
        ["x-tenant", client.tenant],
      ],
    );
    assert.equal(trace.traceId, TRACE_ID);
  }
});

/** Fewer are read in full than come: how many is in known-heads.test.ts. */
test("a client that says a new trace and a new id with each request: the model and the observer get them, and no older ones", async (t) => {
  const echoId = (request: string): string =>
    `HTTP/1.1 200 OK\r\nContent-Length: ${request.length}\r\nX-Request-Id: ${valuesOf(request, "x-request-id").join()}\r\n\r\n${request}`;
  const origin = await scriptedOrigin(t, echoId);
  const { proxy, port, delivered } = await startProxy(t, origin.url, { observed: headerFilter([]) });
  const client = await rawClient(t, port);
  const hex = (i: number, digits: number): string => (i * 7919).toString(16).padStart(digits, "5");
  for (let i = 0; i < REQUESTS; i++) {
    const from = client.text().length;
    const lines = [`traceparent: 00-${hex(i, 32)}-${hex(i, 16)}-01`, `X-Request-Id: ${hex(i, 12)}`];
    client.send(post("/p", `body ${i}.`, "tracestate: a=b", ...lines));
    await eventually(() => client.text().includes(`body ${i}.`, from));
    const answer = client.text().slice(from);
    const echoed = answer.slice(answer.indexOf("\r\n\r\n") + 4);
    assert.deepEqual(valuesOf(answer.slice(0, -echoed.length), "x-request-id"), [hex(i, 12)]);
    assert.deepEqual(valuesOf(echoed, "x-request-id"), [hex(i, 12)]);
    const [traceparent = "", ...others] = valuesOf(echoed, "traceparent");
    assert.ok(traceparent.startsWith(`00-${hex(i, 32)}-`) && traceparent.endsWith("-01"), traceparent);
    assert.ok(!traceparent.includes(hex(i, 16), 36));
    assert.deepEqual([...others, ...valuesOf(echoed, "tracestate")], ["a=b"]);
  }
  const facts = await delivered(REQUESTS);
  for (const [i, { requestHeaders, responseHeaders, trace }] of facts.entries()) {
    const id = ["x-request-id", hex(i, 12)];
    assert.deepEqual([requestHeaders, responseHeaders], [id, id]);
    assert.deepEqual([trace.traceId, trace.parentSpanId, trace.sampled], [hex(i, 32), hex(i, 16), true]);
  }
  const { request_head, answer_head } = proxy.stats().cacheMisses;
  assert.ok(Math.max(request_head ?? 0, answer_head ?? 0) < REQUESTS / 2, `${request_head}, ${answer_head}`);
});

const REQUESTS = 120;
const TRACE_ID = "0af7651916cd43dd8448eb211c80319c";
const TRACE = `traceparent: 00-${TRACE_ID}-b7ad6b7169203331-01`;
