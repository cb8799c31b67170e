// A model server for flow tests: `{"x": n}` is answered with what the test says, as MLflow would.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export interface ModelServer {
  readonly url: string;
  readonly requests: () => number;
  close(): Promise<void>;
}

export type Answer = (
  body: Record<string, unknown>,
  request: IncomingMessage,
  response: ServerResponse,
) => unknown;

export async function startModelServer(answer: Answer): Promise<ModelServer> {
  let count = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      count += 1;
      const text = Buffer.concat(chunks).toString();
      const said = answer(
        text === "" ? {} : (JSON.parse(text) as Record<string, unknown>),
        request,
        response,
      );
      if (response.writableEnded) return;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(said));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    requests: () => count,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
