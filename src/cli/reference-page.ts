// The reference page of the commands, from their definitions.

import type { Command } from "commander";
import { cell, code } from "../kernel/markdown.ts";

function usageOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name());
  const operands = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return [...names, ...operands].join(" ");
}

function commandSection(command: Command): string[] {
  const help = command.createHelp();
  const options = help.visibleOptions(command).filter(({ long }) => long !== "--help");
  const rows = options.map((option) => {
    const standard: unknown = option.defaultValue;
    const shown = typeof standard === "string" ? ` Default: ${standard}.` : "";
    const needed = option.mandatory ? " Required." : "";
    return `| ${code(option.flags)} | ${cell(option.description)}${cell(shown)}${needed} |`;
  });
  const table = rows.length === 0 ? [] : ["", "| option | meaning |", "|---|---|", ...rows];
  return [`## ${usageOf(command)}`, "", command.description(), ...table, ""];
}

function leavesOf(command: Command): Command[] {
  const children = command
    .createHelp()
    .visibleCommands(command)
    .filter((child) => child.name() !== "help");
  return children.length === 0 ? [command] : children.flatMap(leavesOf);
}

export function commandsPage(program: Command): string {
  return [
    "# Commands",
    "",
    "Generated from their definitions by `npm run generate`. Exit codes: 0 ok, 1 refused or failed, 2 usage. From a clone, `outrider` is `npx node src/main.ts`, but for what goes on running: `npm start -- …` is `outrider run`, `npm run demo` is `outrider demo` (npx keeps signals to itself).",
    "",
    ...leavesOf(program).flatMap(commandSection),
  ].join("\n");
}
