// Outrider and the proxies people know, each in front of the suite's origin.

import { Stage, type Ports } from "../../../bench/peers/stage.ts";
import { freePort } from "../../real/support/process.ts";
import type { Origin } from "./origin.ts";

export interface Running {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

const peer =
  (start: (stage: Stage, ports: Ports) => Promise<unknown>) =>
  async (origin: Origin): Promise<Running> => {
    const stage = new Stage();
    const listen = await freePort();
    try {
      await start(stage, { listen, upstream: origin.port });
    } catch (thrown) {
      await stage.end();
      throw thrown;
    }
    return { port: listen, stop: () => stage.end() };
  };

export const peers: [string, (origin: Origin) => Promise<Running>][] = [
  ["nginx", peer((stage, ports) => stage.nginx(ports, "full"))],
  ["haproxy", peer((stage, ports) => stage.haproxy(ports))],
  ["go", peer((stage, ports) => stage.go(ports))],
  ["http-proxy", peer((stage, ports) => stage.httpProxy(ports))],
  ["outrider", peer((stage, ports) => stage.outrider(ports))],
];
