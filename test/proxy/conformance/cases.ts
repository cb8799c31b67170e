// All cases of the suite.

import { answerCases } from "./answers.ts";
import { cutCases, methodBodyCases } from "./bodies.ts";
import type { Case } from "./case.ts";
import { floodCases, keptCases, upgradeCases } from "./connections.ts";
import { abortCases, earlyCases, pressureCases, streamCases } from "./flows.ts";
import { fieldCases, targetCases } from "./heads.ts";
import { hopCases } from "./hops.ts";
import { expectationCases, hostCases } from "./hosts.ts";
import { addedCases, interimCases } from "./interim.ts";
import { smugglingCases } from "./smuggling.ts";

export const allCases: readonly Case[] = [
  ...smugglingCases,
  ...cutCases,
  ...methodBodyCases,
  ...hopCases,
  ...targetCases,
  ...hostCases,
  ...fieldCases,
  ...addedCases,
  ...interimCases,
  ...expectationCases,
  ...answerCases,
  ...earlyCases,
  ...streamCases,
  ...pressureCases,
  ...abortCases,
  ...keptCases,
  ...upgradeCases,
  ...floodCases,
];
