// All cases of the suite.

import { answerCases } from "./answers.ts";
import type { Case } from "./case.ts";
import { flowCases } from "./flows.ts";
import { headCases } from "./heads.ts";
import { cutCases, methodBodyCases, smugglingCases } from "./smuggling.ts";

export const allCases: readonly Case[] = [
  ...smugglingCases,
  ...cutCases,
  ...methodBodyCases,
  ...headCases,
  ...answerCases,
  ...flowCases,
];
