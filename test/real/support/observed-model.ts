// The model server of observed.ts, a process of its own so that its CPU and memory can be watched: `node observed-model.ts PORT`.

import { createServer, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const CLASSES = ["cat", "dog", "owl"];
interface Asked {
  readonly x?: number;
  readonly version?: string;
}

/** What the models say to `x`. */
function answerOf(path: string, { x = 0, version = "3" }: Asked): unknown {
  if (path === "/house") return { model_version: "7", predictions: [x * 1.2 + ((x * 7) % 5) / 10 - 0.2] };
  if (path === "/kind") return { model_version: "1", predictions: [CLASSES[x % 3]] };
  const score = ((x * 37) % 97) / 100 + 0.01;
  const outputs = [
    { name: "predict", datatype: "INT64", shape: [1], data: [score > 0.5 ? 1 : 0] },
    { name: "predict_proba", datatype: "FP64", shape: [1, 2], data: [1 - score, score] },
  ];
  return { model_name: "spam", model_version: version, outputs };
}

async function stream(response: ServerResponse): Promise<void> {
  response.setHeader("content-type", "text/event-stream");
  for (let part = 0; part < 3; part++) {
    response.write(`data: {"part":${part}}\n\n`);
    await sleep(15);
  }
  response.end();
}

const server = createServer((incoming, response) => {
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  incoming.on("end", () => {
    const path = incoming.url ?? "/";
    if (path === "/chat") return void stream(response);
    response.statusCode = path === "/broken" ? 500 : 200;
    response.setHeader("content-type", "application/json");
    const asked = chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString()) as Asked);
    response.end(path === "/broken" ? '{"error":"broken"}' : JSON.stringify(answerOf(path, asked)));
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1");
