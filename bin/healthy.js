#!/usr/bin/env node
// Container health check without curl: exits 0 when a GET of the address answers with 2xx within two seconds.
import { get } from "node:http";

const url = process.argv[2] ?? "http://127.0.0.1:7071/readyz";
const end = (code, why) => {
  process.stderr.write(`${url}: ${why}\n`);
  process.exit(code);
};
get(url, { timeout: 2000, agent: false }, ({ statusCode = 0 }) =>
  end(statusCode >= 200 && statusCode < 300 ? 0 : 1, `status ${statusCode}`),
)
  .on("timeout", () => end(1, "no answer within 2 s"))
  .on("error", (error) => end(1, error.message));
