// The `versions` words of the command line.

import type { Command } from "commander";
import type { CliIo } from "./io.ts";
import type { VersionsClient } from "./versions.ts";

type Flags = Readonly<Record<string, unknown>>;

export interface VersionsWords {
  readonly io: CliIo;
  readonly end: (code: number) => void;
  /** Adds --api, --token-file and --json. */
  readonly withApi: (command: Command) => Command;
  readonly client: (options: Flags) => VersionsClient;
}

function text(options: Flags, name: string): string | null {
  const value = options[name];
  return typeof value === "string" ? value : null;
}

function deciding(options: Flags): {
  readonly actor: string | null;
  readonly reason: string | null;
  readonly ifCurrent: string | null;
} {
  return {
    actor: text(options, "actor"),
    reason: text(options, "reason"),
    ifCurrent: text(options, "ifCurrent"),
  };
}

function withDecision(command: Command): Command {
  return command
    .option("--actor <name>", "Who decides (default: the user of this shell).")
    .option("--reason <text>", "Why.")
    .option("--if-current <version>", "Only while this version is in production; none: while none is.");
}

function addReading(versions: Command, { io, end, withApi, client }: VersionsWords): void {
  withApi(versions.command("list <model>"))
    .description("Versions with stage, first and last seen, and registered evaluation.")
    .action(async (model: string, options: Flags) => {
      const { versionsList } = await import("./versions.ts");
      end(await versionsList({ ...client(options), model }, io));
    });
  withApi(versions.command("show <model> <version>"))
    .description("One version: metadata, stage, live quality.")
    .action(async (model: string, version: string, options: Flags) => {
      const { versionsShow } = await import("./versions.ts");
      end(await versionsShow({ ...client(options), model, version }, io));
    });
  withApi(versions.command("registries <model>"))
    .description("What each registry declares, and the live quality that it holds by version.")
    .action(async (model: string, options: Flags) => {
      const { versionsRegistries } = await import("./versions.ts");
      end(await versionsRegistries({ ...client(options), model }, io));
    });
  withApi(versions.command("export <model>"))
    .description("Print all registrations as JSON.")
    .action(async (model: string, options: Flags) => {
      const { versionsExport } = await import("./versions.ts");
      end(await versionsExport({ ...client(options), model }, io));
    });
}

function addWriting(versions: Command, { io, end, withApi, client }: VersionsWords): void {
  withApi(versions.command("register <model> <file>"))
    .description("Register a version from a JSON file (- reads standard input).")
    .option("--version-name <version>", "The version, when the file does not say it.")
    .option("--actor <name>", "Who registers (default: the user of this shell).")
    .action(async (model: string, file: string, options: Flags) => {
      const { versionsRegister } = await import("./versions.ts");
      const asked = { model, file, version: text(options, "versionName"), actor: text(options, "actor") };
      end(await versionsRegister({ ...client(options), ...asked }, io));
    });
  withApi(versions.command("import <model> <file>"))
    .description("Register every version of a JSON file made by export.")
    .option("--actor <name>", "Who registers (default: the user of this shell).")
    .action(async (model: string, file: string, options: Flags) => {
      const { versionsImport } = await import("./versions.ts");
      end(await versionsImport({ ...client(options), model, file, actor: text(options, "actor") }, io));
    });
  withDecision(withApi(versions.command("promote <model> <version>")))
    .description("Move a version to a stage.")
    .option("--stage <stage>", "staging, production or archived.", "production")
    .action(async (model: string, version: string, options: Flags) => {
      const { versionsPromote } = await import("./versions.ts");
      const asked = { model, version, stage: text(options, "stage") ?? "production", ...deciding(options) };
      end(await versionsPromote({ ...client(options), ...asked }, io));
    });
  withDecision(withApi(versions.command("rollback <model>")))
    .description("Production goes back to the version before.")
    .option("--to <which>", "previous, or good: the last one whose quality was good.", "previous")
    .action(async (model: string, options: Flags) => {
      const { versionsRollback } = await import("./versions.ts");
      const asked = { model, to: text(options, "to") ?? "previous", ...deciding(options) };
      end(await versionsRollback({ ...client(options), ...asked }, io));
    });
}

export function addVersions(program: Command, words: VersionsWords): void {
  const versions = program.command("versions").description("The ledger of model versions.");
  addReading(versions, words);
  addWriting(versions, words);
}
