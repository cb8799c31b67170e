// A real LiteLLM proxy whose one model answers with a fixed text, whole or streamed: an OpenAI-compatible server without a network.

import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { freePort, startProcess, temporaryFolder, type Owner } from "./process.ts";
import { ensureVenv } from "./python-venv.ts";

export interface Litellm {
  readonly url: string;
  /** The Python beside it, with the OpenAI client. */
  readonly python: string;
}

const CONFIG = `model_list:
  - model_name: mock-gpt
    litellm_params:
      model: openai/mock-gpt
      api_key: none
      mock_response: "This is a mock response streamed by the LiteLLM proxy."
`;

export async function startLitellm(owner: Owner): Promise<Litellm> {
  const python = await ensureVenv("wire");
  const folder = temporaryFolder(owner, "litellm");
  const config = join(folder, "litellm.yaml");
  writeFileSync(config, CONFIG);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  await startProcess(owner, {
    name: "LiteLLM",
    command: join(dirname(python), "python"),
    args: [
      "-m",
      "litellm.proxy.proxy_cli",
      "--config",
      config,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
    ],
    env: {
      // It asks nobody on the network, and needs no key on this machine.
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      LITELLM_TELEMETRY: "False",
      LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: "true",
    },
    cwd: folder,
    readyUrl: `${url}/health/liveliness`,
    readyWithinMs: 600_000,
  });
  return { url, python };
}
