// The command line: words become calls. Each command loads only what it needs.

import { Command, CommanderError, Option } from "commander";
import { Problem, Problems } from "../kernel/problem.ts";
import { EXIT, type CliIo } from "./io.ts";
import { addVersions } from "./versions-commands.ts";

/** Flags of the sidecar and the configuration keys they set. */
const CONFIG_FLAGS: readonly (readonly [flag: string, key: string, help: string])[] = [
  ["--upstream <url>", "upstream", "The model server: http://host:port, https://..., or unix:/path."],
  ["--listen <address>", "proxy.listen", "Where clients connect (default 0.0.0.0:7070)."],
  [
    "--telemetry-listen <address>",
    "telemetry.listen",
    "Where /metrics, /livez, /readyz and /version are (default 0.0.0.0:7071).",
  ],
  [
    "--api-listen <address>",
    "api.listen",
    "Where labels arrive and quality is asked for (default 127.0.0.1:7072).",
  ],
  ["--store <folder>", "store.path", "Where predictions and labels are kept (default ./outrider-data)."],
  [
    "--otlp-endpoint <url>",
    "otlp.endpoint",
    "Send metrics by OTLP to this collector (default: nothing is sent).",
  ],
];

type Flags = Readonly<Record<string, unknown>>;

function withConfigFlags(command: Command): Command {
  command.option("-c, --config <file>", "Configuration file (default: ./outrider.yaml when present).");
  for (const [flag, , help] of CONFIG_FLAGS) command.option(flag, help);
  command.option("--set <key=value...>", "Set any configuration key, e.g. --set capture.maxBodySize=128KiB.");
  return command;
}

/** `--proxy-listen` style option names of commander back to configuration keys. */
function flagsToKeys(options: Flags): Record<string, unknown> {
  const keys: Record<string, unknown> = {};
  for (const [flag, key] of CONFIG_FLAGS) {
    const name = new Option(flag).attributeName();
    if (options[name] !== undefined) keys[key] = options[name];
  }
  for (const pair of Array.isArray(options["set"]) ? options["set"] : []) {
    const text = String(pair);
    const at = text.indexOf("=");
    if (at < 1) throw new Problem("usage", `--set takes key=value, not "${text}"`);
    keys[text.slice(0, at)] = text.slice(at + 1);
  }
  return keys;
}

function textOption(options: Flags, name: string): string | null {
  const value = options[name];
  return typeof value === "string" ? value : null;
}

/** What every command gets: its options as plain data, and the way to say how it ended. */
interface Run {
  readonly io: CliIo;
  end(code: number): void;
}

function addSidecar(program: Command, run: Run): void {
  withConfigFlags(program.command("run", { isDefault: true }))
    .description("Start the sidecar (also the default command).")
    .action(async (options: Flags) => {
      const { runSidecar } = await import("./run.ts");
      run.end(await runSidecar({ file: textOption(options, "config"), flags: flagsToKeys(options) }, run.io));
    });
  withConfigFlags(program.command("check"))
    .description("Check the configuration and exit.")
    .action(async (options: Flags) => {
      const { checkConfig } = await import("./config-commands.ts");
      run.end(checkConfig({ file: textOption(options, "config"), flags: flagsToKeys(options) }, run.io));
    });
  withConfigFlags(program.command("config"))
    .description("Print the effective configuration, secrets hidden.")
    .action(async (options: Flags) => {
      const { printConfig } = await import("./config-commands.ts");
      run.end(printConfig({ file: textOption(options, "config"), flags: flagsToKeys(options) }, run.io));
    });
}

function withApiFlags(command: Command, io: CliIo): Command {
  return command
    .option(
      "--api <urls>",
      "The sidecar's API; several separated by commas.",
      io.env["OUTRIDER_API"] ?? "http://127.0.0.1:7072",
    )
    .option("--token-file <file>", "File that holds the API token (or OUTRIDER_TOKEN).")
    .option("--json", "Print JSON instead of a table.");
}

function addClients(program: Command, run: Run): void {
  const labels = program.command("labels").description("Ground truth.");
  withApiFlags(labels.command("import <files...>"), run.io)
    .description("Send labels from .ndjson, .json or .csv files; - reads NDJSON from standard input.")
    .action(async (files: string[], options: Flags) => {
      const { labelsImport } = await import("./labels-command.ts");
      run.end(await labelsImport({ files, ...clientOptions(options) }, run.io));
    });
  withApiFlags(program.command("quality"), run.io)
    .description("Rolling quality per model version.")
    .option("--model <name>", "Only this model.")
    .option("--model-version <version>", "Only this version.")
    .option("--window <window>", "Only this window, e.g. 24h.")
    .option("--slice <name=value>", "Only this slice.")
    .option("--basis <basis>", "all, or matured: windows that end where nearly all labels are in.")
    .action(async (options: Flags) => {
      const { quality } = await import("./quality.ts");
      const [window, slice, basis] = [
        textOption(options, "window"),
        textOption(options, "slice"),
        textOption(options, "basis"),
      ];
      const filter = { ...versionOptions(options), window, slice, basis };
      run.end(await quality({ ...clientOptions(options), filter }, run.io));
    });
  withApiFlags(program.command("drift"), run.io)
    .description(
      "How far predictions, scores and inputs have moved from their reference; changes of the errors.",
    )
    .option("--model <name>", "Only this model.")
    .option("--model-version <version>", "Only this version.")
    .action(async (options: Flags) => {
      const { drift } = await import("./drift.ts");
      run.end(await drift({ ...clientOptions(options), ...versionOptions(options) }, run.io));
    });
  withApiFlags(program.command("compare"), run.io)
    .description("Is one version better than another? Holds however often it is asked.")
    .option("--model <name>", "The model (default: the only one).")
    .option(
      "--baseline <version>",
      "Compared against (default: production, else the version before the candidate).",
    )
    .option("--candidate <version>", "The version in question (default: the newest).")
    .action(async (options: Flags) => {
      const { compare } = await import("./compare.ts");
      const pair = {
        baseline: textOption(options, "baseline"),
        candidate: textOption(options, "candidate"),
      };
      run.end(
        await compare({ ...clientOptions(options), model: textOption(options, "model"), ...pair }, run.io),
      );
    });
}

function versionOptions(options: Flags): { model: string | null; version: string | null } {
  return { model: textOption(options, "model"), version: textOption(options, "modelVersion") };
}

function clientOptions(options: Flags): { apis: string[]; tokenFile: string | null; json: boolean } {
  return {
    apis: (textOption(options, "api") ?? "").split(",").filter((url) => url !== ""),
    tokenFile: textOption(options, "tokenFile"),
    json: options["json"] === true,
  };
}

function addFiles(program: Command, run: Run): void {
  withConfigFlags(program.command("verify"))
    .description("Build every window of a stopped store again from its rows and compare, bit for bit.")
    .option("--json", "Print JSON instead of text.")
    .action(async (options: Flags) => {
      const { verify } = await import("./verify.ts");
      const flags = { upstream: "http://127.0.0.1", ...flagsToKeys(options) };
      const json = options["json"] === true;
      run.end(await verify({ file: textOption(options, "config"), flags, json }, run.io));
    });
  program
    .command("replay <events>")
    .description("Run recorded events through the ledger and the measuring code, with the events' own clock.")
    .option("--case <file>", "Configuration of a golden case.")
    .option("-c, --config <file>", "The product's configuration, instead of --case.")
    .option("--out <file>", "Write the result here instead of standard output.")
    .action(async (events: string, options: Flags) => {
      const { replayCommand } = await import("./replay-command.ts");
      const files = { caseFile: textOption(options, "case"), configFile: textOption(options, "config") };
      run.end(
        await replayCommand({ eventsFile: events, ...files, outFile: textOption(options, "out") }, run.io),
      );
    });
  program
    .command("openapi")
    .description("Print the OpenAPI description of the API.")
    .action(async () => {
      const { openapi } = await import("./openapi.ts");
      run.end(openapi(run.io));
    });
  program
    .command("demo")
    .description("Sidecar, model server, traffic and late labels on the default ports.")
    .option("--seconds <n>", "End by itself after so many seconds, with a summary.")
    .action(async (options: Flags) => {
      const { demo } = await import("./demo.ts");
      const seconds = textOption(options, "seconds");
      run.end(await demo({ seconds: seconds === null ? null : Number(seconds) }, run.io));
    });
  addDemoParts(program, run);
  program
    .command("generate", { hidden: true })
    .option("--check", "Fail when a generated file differs instead of writing it.")
    .action(async (options: Flags) => {
      const { generate } = await import("./generate.ts");
      run.end(generate({ check: options["check"] === true, program }, run.io));
    });
}

/** The demo's parts one by one, for docker-compose.yml, the chart's example and `npm run stack`. */
function addDemoParts(program: Command, run: Run): void {
  program
    .command("demo-server", { hidden: true })
    .option(
      "--listen <address>",
      "Serve here until a signal (default: a free port, until standard input ends).",
    )
    .action(async (options: Flags) => {
      const { serveDemoModels } = await import("./demo-server.ts");
      run.end(await serveDemoModels(textOption(options, "listen"), run.io));
    });
  program
    .command("demo-traffic", { hidden: true })
    .option("--proxy <url>", "Where requests go.", "http://127.0.0.1:7070")
    .option("--api <url>", "Where labels go.", "http://127.0.0.1:7072")
    .option("--token-file <file>", "File that holds the API token (or OUTRIDER_TOKEN).")
    .option("--rate <n>", "Requests per second.", "40")
    .action(async (options: Flags) => {
      const { sendDemoTraffic } = await import("./demo-traffic.ts");
      const [proxyUrl, apiUrl] = [textOption(options, "proxy") ?? "", textOption(options, "api") ?? ""];
      const rest = {
        tokenFile: textOption(options, "tokenFile"),
        requestsPerSecond: Number(textOption(options, "rate")),
      };
      run.end(await sendDemoTraffic({ proxyUrl, apiUrl, ...rest }, run.io));
    });
}

function addDashboards(program: Command, run: Run): void {
  const dashboards = program.command("dashboards").description("Boards, rules and alerts.");
  withConfigFlags(dashboards.command("export"))
    .description("Write Grafana boards, Prometheus rules and alerts, Alertmanager routes and runbooks.")
    .requiredOption(
      "--out <folder>",
      "Where to write them; made when missing, files of the same name replaced.",
    )
    .action(async (options: Flags) => {
      const { exportDashboards } = await import("./dashboards.ts");
      const flags = { upstream: "http://127.0.0.1", ...flagsToKeys(options) };
      const out = textOption(options, "out") ?? ".";
      run.end(exportDashboards({ file: textOption(options, "config"), flags, out }, run.io));
    });
}

function tell(thrown: unknown, io: CliIo): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (thrown instanceof Problems) {
    io.stderr.write(`${thrown.problems.length} problem(s):\n`);
    for (const { path, message } of thrown.problems)
      io.stderr.write(`  ${path === null ? "" : `${path}: `}${message}\n`);
    return EXIT.usage;
  }
  if (thrown instanceof Problem) {
    io.stderr.write(`${thrown.path === null ? "" : `${thrown.path}: `}${thrown.message}\n`);
    return thrown.code === "usage" || thrown.code.startsWith("config") ? EXIT.usage : EXIT.failed;
  }
  throw thrown;
}

/** Runs one command line; resolves to the exit code: 0 ok, 1 refused or failed, 2 usage. */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  let code: number = EXIT.ok;
  const { version } = await import("../kernel/version.ts");
  const program = new Command("outrider")
    .description("Stands in front of a model server and measures how good each model version really is.")
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
    });
  const run: Run = {
    io,
    end: (ended) => {
      code = ended;
    },
  };
  addSidecar(program, run);
  addClients(program, run);
  addVersions(program, {
    io,
    end: (ended) => run.end(ended),
    withApi: (command) => withApiFlags(command, io),
    client: clientOptions,
  });
  addFiles(program, run);
  addDashboards(program, run);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (thrown) {
    return tell(thrown, io);
  }
}
