// The Unity Catalog adapter: every request and every answer fits the published description.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UnityCatalog, withBlock } from "../../src/versions/registries/unity-catalog.ts";
import { http, NOTE, recorded } from "./adapter-support.ts";
import { contract } from "./contract.ts";
import { registryServer, type Asked, type Said } from "./registry-server.ts";

const BASE = "/api/2.1/unity-catalog";
const check = contract("unity-catalog.json", BASE);

function checked(answer: (asked: Asked) => Said): (asked: Asked) => Said {
  return (asked) => {
    const said = answer(asked);
    // What a server answers to an unknown path is in no description.
    if ((said.status ?? 200) < 300) check(asked, said);
    return said;
  };
}

function catalog(url: string): UnityCatalog {
  return new UnityCatalog(http(`${url}/`), { registeredName: () => "unity.default.churn" });
}

test("versions and their status are read, over pages in no order that may be empty", async (t) => {
  const [first] = (recorded("unity-catalog", "list versions").json as { model_versions: object[] })
    .model_versions;
  const pages: Record<string, Said> = {
    "": recorded("unity-catalog", "list versions"),
    "1": { json: { model_versions: [], next_page_token: "2" } },
    "2": {
      json: {
        model_versions: [
          { ...first, version: 12 },
          { ...first, version: 3, status: "PENDING_REGISTRATION" },
        ],
      },
    },
  };
  const server = await registryServer(
    t,
    checked(({ query }) => pages[query["page_token"] ?? ""] ?? {}),
  );
  const reply = await catalog(server.url).versions("m");
  assert.ok(reply.kind === "ok");
  assert.deepEqual(
    reply.value.map(({ version, status }) => `${version} ${status}`),
    ["1 READY", "3 PENDING_REGISTRATION", "12 READY"],
  );
  server.answer = checked(() => recorded("unity-catalog", "get version"));
  const version = await catalog(server.url).version("m", "1");
  assert.deepEqual(version.kind === "ok" && [version.value.status, version.value.artifactUri], [
    "READY",
    "file:///models/m1",
  ]);
});

test("what is missing is none; a path that the server does not have is trouble", async (t) => {
  const server = await registryServer(t, () => recorded("unity-catalog", "missing version"));
  assert.equal((await catalog(server.url).version("m", "9")).kind, "none");
  server.answer = () => recorded("unity-catalog", "missing model");
  assert.equal((await catalog(server.url).versions("m")).kind, "none");
  server.answer = () => recorded("unity-catalog", "alias (not in OSS)");
  const wrong = await catalog(server.url).version("m", "9");
  assert.match(wrong.kind === "failed" ? wrong.message : "", /404 Status: 404 Description: Not Found/);
});

test("our block alone changes in the comment, and the same note is written once", async (t) => {
  let comment = "owned by risk\n<!-- outrider:{} --> keep";
  const server = await registryServer(
    t,
    checked(({ method, body }) => {
      if (method === "PATCH") ({ comment } = body as { comment: string });
      return { json: { version: 1, status: "READY", source: "file:///models/m1", comment } };
    }),
  );
  const registry = catalog(server.url);
  for (let i = 0; i < 2; i++) assert.equal((await registry.writeQuality("m", NOTE)).kind, "ok");
  assert.match(comment, /^owned by risk\n<!-- outrider:\{"at".* --> keep$/);
  assert.equal(server.asked.filter(({ method }) => method === "PATCH").length, 1);
  const [figure] = NOTE.figures;
  assert.ok(figure);
  await registry.writeQuality("m", { ...NOTE, figures: Array.from({ length: 500 }, () => figure) });
  const block = /<!-- outrider:(.*) -->/.exec(comment)?.[1] ?? "";
  assert.ok(block.length <= 2000);
  assert.ok((JSON.parse(block) as { figures: unknown[] }).figures.length > 10, "cut between figures");
  assert.equal(withBlock("", "x"), "<!-- outrider:x -->");
  assert.equal(withBlock("<!-- outrider: broken", "x"), "<!-- outrider: broken\n<!-- outrider:x -->");
  const asked = server.asked.length;
  assert.equal((await registry.writeQuality("m", { ...NOTE, version: "1.4.2" })).kind, "none");
  assert.equal(server.asked.length, asked, "a version that cannot be there is not asked for");
});

test("what it cannot do is said", async () => {
  const registry = catalog("http://127.0.0.1:1");
  assert.deepEqual(await registry.promote("m", "1"), {
    kind: "unsupported",
    message: "promotion and rollback: unsupported by unity-catalog",
  });
  assert.equal((await registry.current("m")).kind, "unsupported");
  assert.equal(
    (await registry.register("m", { version: "1", artifactUri: "x", description: null, tags: {} })).kind,
    "unsupported",
  );
});
