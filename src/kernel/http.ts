// node:http without what an import of it brings: to bind all its names, the module loader reads each of them, and for three
// (WebSocket among them) Node then loads a whole HTTP client, which costs each process 70 ms of CPU at its start.

const http = process.getBuiltinModule("node:http");

export const { Agent, STATUS_CODES, createServer, get, request } = http;
