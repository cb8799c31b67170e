// What eleven real servers said, read without any configuration.

import assert from "node:assert/strict";
import { test } from "node:test";
import { binaryRecordings, recordings } from "../support/recordings.ts";
import { binary, rigOf, ruleOf, said } from "./kit.ts";

interface Expected {
  readonly model: string;
  readonly version?: string;
  readonly route: string;
  readonly aliases?: readonly string[];
  readonly rows: readonly unknown[];
}

const one = (value: unknown): unknown => [value, null, null];
/** Generated text of a model whose task is not configured: recorded, but not kept. */
const TEXT = one(null);
const CHAT = "/v1/chat/completions";
const LITELLM = "dd1a777ef15bb50b2c80f74def8f4e19224ff75daf780157794374e8c313b775";
/** LiteLLM's ids of responses carry what it needs to route the next one. */
const RESPONSE =
  "resp_Mm7MkGjM5V2ifrfMqRQEPAhQYVPmZdCancRpr3MSi7VKIzb-MgDXFX2Fz1xpT_APs53N5WDOUFwfZ1OJxvDtADm7vOc6LY55fJeqGSX1bE9S-jEAui_KlCL3DuAr08dGAqp0V0HF65jGTKeTznSAl1D006TkkL2roJC6OnsXUa-sVjOiC5T2wIMwUGZ5eBL6JrRKX7GLm9EAup_nY8AWrh1UOSFAzPGW-WH8CCyj5XIc682TpDdvLeVQdQlI2RloC_NAoxrypZ9_5A40RB2thh1XHwgsPatoiP-JEnHi1v9OfIPwkp6Jsov4C-0KuNBaPPN67XLlNPmQWqqt7wVRgx0hOHUy0EUH7VEki0KwwgGyJa7VQ78HAbWkfczhLf1807NCciwxvLsSYBSyN3m4_UDr8zD6MHO-wJ9Sr5lBjwNw0pYKFIo0cTuhJV8Dn9v-1VqIuwgjrpHiWIkPEjw=";
const V2 = "/v2/models/{model}/infer";
const V2_VERSION = "/v2/models/{model}/versions/{version}/infer";
const V1 = "/v1/models/{model}:predict";
const TS = "/predictions/{model}";

/** Titles that are not listed are no predictions. */
const SERVERS: Readonly<Record<string, Readonly<Record<string, Expected>>>> = {
  mlserver: {
    "infer, latest version": {
      model: "churn",
      version: "v2",
      route: V2,
      aliases: ["req-42"],
      rows: [
        [1, 0.6202986556608997, null],
        [0, 0.2698150262857521, null],
      ],
    },
    "infer, version in path": {
      model: "churn",
      version: "v1",
      route: V2_VERSION,
      aliases: ["xr-1", "ee4812e4-4ae0-471c-bacb-5693d43a3a9b"],
      rows: [one(1), one(0)],
    },
  },
  kserve: {
    "v1 predict, batch 2": { model: "churn", route: V1, aliases: ["k-1"], rows: [one(1), one(0)] },
    "v2 infer": { model: "churn", route: V2, aliases: ["k-2"], rows: [one(1), one(0)] },
    "v2 infer, no id": {
      model: "churn",
      route: V2,
      aliases: ["b5a5cb8f-fcf2-48d2-9567-b2d4bc5822df"],
      rows: [one(1)],
    },
    "v1 predict, model built with return_response_headers=True and setting x-model-version": {
      model: "churn2",
      version: "v2",
      route: V1,
      rows: [one(1), one(0)],
    },
  },
  triton: {
    "infer (latest)": {
      model: "churn",
      version: "2",
      route: V2,
      aliases: ["x1", "t-42"],
      rows: [
        [1, 0.7858350276947021, null],
        [0, 0.21416503190994263, null],
      ],
    },
    "infer no id, version 1": {
      model: "churn",
      version: "1",
      route: V2_VERSION,
      rows: [
        [1, 0.7109494805335999, null],
        [0, 0.19781610369682312, null],
      ],
    },
    "classification extension": { model: "churn", version: "2", route: V2, rows: [[null, 0.785835, null]] },
    generate: {
      model: "tok",
      version: "1",
      route: "/v2/models/{model}/generate",
      rows: [TEXT],
    },
    "generate_stream (SSE)": {
      model: "tok",
      version: "1",
      route: "/v2/models/{model}/generate_stream",
      rows: [TEXT],
    },
  },
  "mlflow-scoring": {
    "scoring: dataframe_split": {
      model: "default",
      route: "/invocations",
      aliases: ["abc"],
      rows: [one(1), one(0)],
    },
    "scoring: dataframe_records": { model: "default", route: "/invocations", rows: [one(1)] },
    "scoring: inputs (split by column)": { model: "default", route: "/invocations", rows: [one(1), one(1)] },
    "scoring: instances (TF style)": { model: "default", route: "/invocations", rows: [one(1)] },
    "scoring: CSV": { model: "default", route: "/invocations", rows: [one(1), one(0)] },
  },
  bentoml: {
    "ndarray predict, 2 rows": {
      model: "default",
      route: "/predict",
      aliases: ["b-1", "361cdd7ad722fd5a"],
      rows: [one(1), one(0)],
    },
    predict_proba: {
      model: "default",
      route: "/predict_proba",
      aliases: ["c174e52a2602c3a5"],
      rows: [
        [null, 0.951517603133447, null],
        [null, 0.0032351323594131164, null],
      ],
    },
    "pydantic list (custom route)": {
      model: "default",
      route: "/v1/score",
      aliases: ["985e3de58adb5a54"],
      rows: [
        [1, 0.951517603133447, null],
        [0, 0.0032351323594131164, null],
      ],
    },
    "adaptive batching": {
      model: "default",
      route: "/predict_batched",
      aliases: ["a8c26956ba75e720"],
      rows: [one(1), one(0)],
    },
    "traceparent in": { model: "default", route: "/predict", aliases: ["a6dad42979051ec6"], rows: [one(1)] },
  },
  litserve: {
    predict: {
      model: "default",
      route: "/predict",
      aliases: ["l-1"],
      rows: [one(0.951517603133447), one(0.0032351323594131164)],
    },
    chat: { model: "lit", route: CHAT, aliases: ["chatcmpl-dddeb5"], rows: [TEXT] },
    "chat stream": { model: "lit", route: CHAT, aliases: ["chatcmpl-d615b8"], rows: [TEXT] },
  },
  "ray-serve": {
    predict: {
      model: "default",
      route: "/churn",
      aliases: ["e87f9557-bf38-4dc7-aa3e-6bfa5be01175"],
      rows: [one(0.951517603133447), one(0.0032351323594131164)],
    },
    "predict with X-Request-ID": {
      model: "default",
      route: "/churn",
      aliases: ["ray-1"],
      rows: [one(0.951517603133447), one(0.0032351323594131164)],
    },
  },
  torchserve: {
    "predict default version": {
      model: "churn",
      version: "1.0",
      route: TS,
      aliases: ["ts-1", "c817cf26-0e9b-4570-a613-fa00daec2816"],
      rows: [one(1), one(0.4)],
    },
    "version in path": {
      model: "churn",
      version: "2.0",
      route: `${TS}/{version}`,
      aliases: ["eb7e58a8-7532-4b38-9366-21904518e0e4"],
      rows: [one(1), one(0.4)],
    },
    "KServe v1 style": {
      model: "churn",
      version: "1.0",
      route: V1,
      aliases: ["0d745466-11b7-4be3-9feb-0eacc98ee3da"],
      rows: [one(1), one(0.4)],
    },
  },
  fastapi: {
    predict: {
      model: "default",
      version: "v1",
      route: "/predict",
      aliases: ["f-1"],
      rows: [[1, 0.951517603133447, null]],
    },
    batch: {
      model: "churn",
      version: "v1",
      route: "/predict/batch",
      aliases: ["a51166d5-f52d-4527-b0a8-6d1d547678c5"],
      rows: [
        ["churn", 0.951517603133447, null],
        ["stay", 0.0032351323594131164, null],
      ],
    },
    "GET predict": {
      model: "default",
      version: "v1",
      route: "/predict",
      aliases: ["2ff73355-0eed-4868-b687-8ae66dd70002"],
      rows: [[null, 0.951517603133447, null]],
    },
  },
  "llama-cpp": {
    chat: {
      model: "tiny-random",
      version: "b0-unknown",
      route: CHAT,
      aliases: ["ll-1", "chatcmpl-VEvlGdSYjvSwXVXhs8ie11U1qZRnrOfo"],
      rows: [TEXT],
    },
    "chat stream + usage": {
      model: "tiny-random",
      version: "b0-unknown",
      route: CHAT,
      aliases: ["chatcmpl-NHwhCApYxxhIyvL0delwlDIfgVYA7v74"],
      rows: [TEXT],
    },
    "completions w/ logprobs": {
      model: "tiny-random",
      version: "b0-unknown",
      route: "/v1/completions",
      aliases: ["chatcmpl-sTVM0x0QCTUrMMfS6fhuy8j6mZRYlZiO"],
      rows: [TEXT],
    },
  },
  litellm: {
    chat: {
      model: "mock-gpt",
      version: LITELLM,
      route: CHAT,
      aliases: ["chatcmpl-b48c4bbb-a5e5-423a-a12b-d048b131bcd0", "5e44573c-e529-494e-ac77-328b97a5b440"],
      rows: [TEXT],
    },
    "chat stream": {
      model: "mock-gpt",
      version: LITELLM,
      route: CHAT,
      aliases: ["chatcmpl-e8eddf85-6e67-4fc6-9d09-f954f6aedb71", "62fc0d9b-3382-4334-8c8d-7c1a67fcca1b"],
      rows: [TEXT],
    },
    "forwarded to llama.cpp": {
      model: "tiny-random",
      version: "b0-unknown",
      route: CHAT,
      aliases: ["chatcmpl-RKtZQLy5i1O76lpdBSMsrF5VqvMGdoR6", "96dd5566-21c7-47e6-acc6-a5a41b304e4a"],
      rows: [TEXT],
    },
    "responses API": {
      model: "mock-gpt",
      version: LITELLM,
      route: "/v1/responses",
      aliases: [RESPONSE, "f1ab8045-9d74-4744-8f11-d9590623c94f"],
      rows: [TEXT],
    },
  },
};

/** Recorded with bytes lost on the way to the file. */
const BROKEN: Readonly<Record<string, string>> = {
  "binary output (bytes lost below; whole in `triton-binary.md`)": "row_count",
  "gzip response": "encoding",
};

for (const [server, expected] of Object.entries(SERVERS)) {
  test(`${server}: predictions are read, and nothing else is taken for one`, () => {
    const { read } = rigOf();
    const exchanges = recordings(server);
    assert.ok(exchanges.size >= 4, "the recording could be parsed");
    for (const title of Object.keys(expected)) assert.ok(exchanges.has(title), title);
    for (const [title, exchange] of exchanges) {
      const reading = read(exchange);
      const want = expected[title];
      if (want === undefined) {
        const reason = BROKEN[title] ?? null;
        assert.equal(reading.kind, reason === null ? "none" : "unreadable", title);
        assert.equal(reading.failure?.reason ?? null, reason, title);
        continue;
      }
      const { kind, model, version, route, aliases, predictions, failure } = reading;
      const { version: wanted = "unknown", aliases: names = [], rows } = want;
      assert.deepEqual(
        { kind, model, version, route, aliases, rows: said(reading), failure },
        {
          kind: "predictions",
          model: want.model,
          version: wanted,
          route: want.route,
          aliases: names,
          rows,
          failure: null,
        },
        title,
      );
      const ids = rows.length === 1 ? [exchange.id] : rows.map((_, row) => `${exchange.id}:${row}`);
      assert.deepEqual(
        predictions.map((prediction) => prediction.id),
        ids,
        title,
      );
      assert.ok(predictions.every((p) => p.ts === exchange.startedAtMs && p.slice === null));
    }
  });
}

test("triton: tensors behind the JSON head are read", () => {
  const { read } = rigOf();
  const [single, batch] = binaryRecordings().map(read);
  assert.ok(single && batch);
  assert.deepEqual(said(single), [[1, 0.7858350276947021, null]]);
  assert.deepEqual(said(batch), [
    [1, 0.7858350276947021, null],
    [1, 0.9836974740028381, null],
    [0, 0.21416503190994263, null],
  ]);
  assert.deepEqual([batch.version, batch.aliases], ["2", ["req-7"]]);
});

test("lone numbers of a configured binary model are scores (LitServe, Ray Serve, TorchServe)", () => {
  for (const server of ["litserve", "ray-serve"]) {
    const exchange = [...recordings(server).values()][0];
    assert.ok(exchange);
    const { read } = rigOf([binary("churn")], [ruleOf("churn")]);
    const reading = read(exchange);
    assert.equal(reading.model, "churn");
    assert.deepEqual(said(reading), [
      [null, 0.951517603133447, null],
      [null, 0.0032351323594131164, null],
    ]);
  }
  const torchserve = recordings("torchserve").get("predict default version");
  assert.ok(torchserve);
  // 1.0 reads like a class, but its neighbour shows that this answer gives scores.
  assert.deepEqual(said(rigOf([binary("churn")]).read(torchserve)), [
    [null, 1, null],
    [null, 0.4, null],
  ]);
});

test("one configured model takes answers that name none, with its version from outside", () => {
  const scoring = recordings("mlflow-scoring").get("scoring: dataframe_split");
  assert.ok(scoring);
  const rule = ruleOf("credit", { version: { kind: "external" } });
  const reading = rigOf([binary("credit")], [rule], { external: "7" }).read(scoring);
  assert.deepEqual([reading.model, reading.version, reading.predictions.length], ["credit", "7", 2]);
});
