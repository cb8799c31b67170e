// A registry as seen over HTTP: answers what a test tells it, and keeps every request.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** null: no body, or not JSON. */
  readonly body: unknown;
}

export interface Said {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  /** Instead of JSON. */
  readonly text?: string;
  /** Never answers. */
  readonly silent?: boolean;
}

export interface RegistryServer {
  readonly url: string;
  readonly asked: Asked[];
  /** How to answer from now on. */
  answer: (asked: Asked) => Said;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export async function registryServer(
  t: TestContext,
  answer: (asked: Asked) => Said,
): Promise<RegistryServer> {
  const made: { -readonly [K in keyof RegistryServer]: RegistryServer[K] } = { url: "", asked: [], answer };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const url = new URL(request.url ?? "/", "http://registry");
      const text = Buffer.concat(chunks).toString();
      const query = Object.fromEntries(url.searchParams);
      const { method = "", headers } = request;
      const asked = { method, path: url.pathname, query, headers, text, body: parsed(text) };
      made.asked.push(asked);
      const said = made.answer(asked);
      if (said.silent === true) return;
      const body = said.text ?? JSON.stringify(said.json ?? {});
      response.writeHead(said.status ?? 200, { "content-type": "application/json", ...said.headers });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  made.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return made;
}
