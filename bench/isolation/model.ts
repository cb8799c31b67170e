// The model server of the isolation run: raw keep-alive HTTP, answers by path; prints its port. Runs as a process of its own.
// /deep answers JSON nested 100,000 deep, /big 64 MB, /odd an answer full of hostile ids, everything else two rows.

import { createServer, type Socket } from "node:net";

const DEEP = 100_000;
const BIG_BYTES = 64 * 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024, "x");

const answer = (body: string): Buffer =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
const PLAIN = answer(
  `{"model_name":"bench","model_version":"1","outputs":[{"name":"predict","shape":[2],"datatype":"FP64","data":[1.25,2.5]}],"pad":"${"y".repeat(150)}"}`,
);
const DEEP_ANSWER = answer(`{"predictions":${"[".repeat(DEEP)}1${"]".repeat(DEEP)}}`);
const ODD = answer(
  JSON.stringify({
    id: "../../etc/passwd\u0000'; DROP TABLE prediction; --",
    model_name: "__proto__",
    model_version: '"} evil_metric 1\n',
    predictions: [1],
  }).replace('"predictions"', '"__proto__":{"id":"evil"},"constructor":"x","predictions"'),
);
const BIG_HEAD = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BIG_BYTES}\r\n\r\n`;

function sendBig(socket: Socket): void {
  let left = BIG_BYTES;
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      left -= CHUNK.length;
      if (!socket.write(CHUNK)) return void socket.once("drain", more);
    }
  };
  socket.write(BIG_HEAD);
  more();
}

/** Requests carry a Content-Length or nothing; bodies are counted and thrown away. */
function serve(socket: Socket): void {
  let head: Buffer = Buffer.alloc(0);
  let left = 0;
  let path = "";
  const reply = (): void => {
    if (path.startsWith("/big")) sendBig(socket);
    else socket.write(path.startsWith("/deep") ? DEEP_ANSWER : path.startsWith("/odd") ? ODD : PLAIN);
  };
  socket.setNoDelay(true);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    let rest = chunk;
    while (rest.length > 0) {
      if (left > 0) {
        const bytes = Math.min(left, rest.length);
        left -= bytes;
        rest = rest.subarray(bytes);
        if (left === 0) reply();
        continue;
      }
      head = head.length === 0 ? rest : Buffer.concat([head, rest]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      const text = head.toString("latin1", 0, end);
      rest = head.subarray(end + 4);
      head = Buffer.alloc(0);
      path = text.split(" ", 2)[1] ?? "/";
      left = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
      if (left === 0) reply();
    }
  });
}

const server = createServer(serve).listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`${typeof address === "object" && address !== null ? address.port : 0}\n`);
});
