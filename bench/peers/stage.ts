// The proxies that Outrider is held against, each started in front of one upstream; for the benchmark and the conformance suite.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../test/real/support/process.ts";

const here = dirname(fileURLToPath(import.meta.url));
const repository = join(here, "..", "..");
const HTTP_PROXY = "http-proxy@1.18.1";

export interface Ports {
  readonly listen: number;
  readonly upstream: number;
}

async function listening(port: number): Promise<void> {
  for (let i = 0; i < 400; i++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

/** Builds a Go program of this folder; throws with the compiler's words. */
function goBuild(source: string, out: string): void {
  const env = { ...process.env, GO111MODULE: "off" };
  const built = spawnSync("go", ["build", "-o", out, join(here, source)], { encoding: "utf8", env });
  if (built.status !== 0) throw new Error(`Go: ${built.error?.message ?? built.stderr}`);
}

function needs(command: string, debianPackage: string): void {
  const there = (): boolean => spawnSync(command, ["-v"]).status === 0;
  if (there()) return;
  spawnSync("apt-get", ["install", "-y", "-q", debianPackage], { stdio: "ignore" });
  if (!there()) throw new Error(`${command} could not be installed`);
}

/** Bare proxying, as nginx's manual begins; `full`: streaming, upgrades and forwarding lines too. */
function nginxConfig(folder: string, { listen, upstream }: Ports, full: boolean): string {
  const bare = `proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";`;
  const whole = `proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_buffering off; proxy_request_buffering off;`;
  return `daemon off; master_process on; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
 keepalive_requests 1000000; map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
 upstream model { server 127.0.0.1:${upstream}; keepalive 64; }
 server { listen 127.0.0.1:${listen}; location / { ${full ? whole : bare} } } }`;
}

const haproxyConfig = ({ listen, upstream }: Ports): string => `global
  nbthread 1
  maxconn 4000
defaults
  mode http
  option forwardfor
  option http-keep-alive
  http-reuse safe
  timeout connect 5s
  timeout client 75s
  timeout server 75s
frontend f
  bind 127.0.0.1:${listen}
  default_backend b
backend b
  server s 127.0.0.1:${upstream}
`;

/** Children and a folder that end together. */
export class Stage {
  readonly #children: ChildProcess[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "outrider-bench-"));

  spawn(command: string, args: readonly string[]): ChildProcess {
    const child = spawn(command, args, { stdio: ["ignore", "ignore", "ignore"] });
    this.#children.push(child);
    return child;
  }

  async #listen(port: number, child: ChildProcess): Promise<ChildProcess> {
    await listening(port);
    return child;
  }

  /** The model that all stand in front of; gives its port. */
  async upstream(): Promise<number> {
    const port = await freePort();
    const program = join(this.folder, "upstream");
    goBuild("upstream.go", program);
    await this.#listen(port, this.spawn(program, [`127.0.0.1:${port}`]));
    return port;
  }

  nginx(ports: Ports, configuration: "bare" | "full"): Promise<ChildProcess> {
    needs("nginx", "nginx-light");
    const file = join(this.folder, "nginx.conf");
    writeFileSync(file, nginxConfig(this.folder, ports, configuration === "full"));
    return this.#listen(ports.listen, this.spawn("nginx", ["-c", file, "-p", this.folder]));
  }

  haproxy(ports: Ports): Promise<ChildProcess> {
    needs("haproxy", "haproxy");
    const file = join(this.folder, "haproxy.cfg");
    writeFileSync(file, haproxyConfig(ports));
    return this.#listen(ports.listen, this.spawn("haproxy", ["-f", file]));
  }

  go(ports: Ports): Promise<ChildProcess> {
    const program = join(this.folder, "reverseproxy");
    goBuild("reverseproxy.go", program);
    const args = [`127.0.0.1:${ports.listen}`, `http://127.0.0.1:${ports.upstream}`];
    return this.#listen(ports.listen, this.spawn(program, args));
  }

  httpProxy(ports: Ports): Promise<ChildProcess> {
    const folder = join(repository, ".real", "http-proxy");
    if (!existsSync(join(folder, "node_modules", "http-proxy"))) {
      mkdirSync(folder, { recursive: true });
      const args = ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", HTTP_PROXY];
      const { status, stderr } = spawnSync("npm", args, { encoding: "utf8" });
      if (status !== 0) throw new Error(`npm: ${stderr}`);
    }
    const args = [join(here, "http-proxy.cjs"), folder, ports.listen, ports.upstream].map(String);
    return this.#listen(ports.listen, this.spawn(process.execPath, args));
  }

  /** Several of one stage need a `store` each. `root`: the working copy that is run. */
  outrider(ports: Ports, { threads = 1, store = "store", root = repository } = {}): Promise<ChildProcess> {
    const args = [join(root, "src", "main.ts"), "run"];
    args.push("--upstream", `http://127.0.0.1:${ports.upstream}`, "--listen", `127.0.0.1:${ports.listen}`);
    args.push("--telemetry-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0");
    args.push("--store", join(this.folder, store), "--set", `proxy.threads=${threads}`);
    return this.#listen(ports.listen, this.spawn(process.execPath, args));
  }

  async end(): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      await gone;
      clearTimeout(timer);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
