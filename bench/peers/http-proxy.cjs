// The peer: http-proxy, with a keep-alive agent. Arguments: folder it is installed in, listen port, upstream port.
const { Agent } = require("node:http");
const [, , folder, listen, upstream] = process.argv;
const httpProxy = require(`${folder}/node_modules/http-proxy`);
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${upstream}`,
  agent: new Agent({ keepAlive: true, maxSockets: 1024 }),
  xfwd: true,
  ws: true,
});
// What it throws out of its own callbacks (a header it cannot write again, say) costs that request, not the rest of the measurement.
process.on("uncaughtException", (error) => console.error(error));
proxy.on("error", (error, request, response) => {
  if (typeof response?.writeHead !== "function" || response.headersSent) response?.destroy();
  else response.writeHead(502).end();
});
proxy.listen(Number(listen), "127.0.0.1");
