// What the relay itself says in an answer's head: the prediction's id, and the version that answers.

import type { Draft } from "./draft.ts";
import { BEFORE_ID, type PlainAnswer } from "./plain-answer.ts";
import type { PlainLines, ResponseHead } from "./response-head.ts";
import { versionOf, type Route, type Rules } from "./rules.ts";

export interface AnswerClues {
  readonly rules: Rules;
  readonly route: Route | null;
  readonly target: string;
}

/** The lines of `head` with ours behind them; what they say is noted in `draft`. */
export function answerLines(head: ResponseHead, draft: Draft, clues: AnswerClues): string[] {
  const { lines, headerVersion } = head;
  if (head.modelId === null) lines.push("x-prediction-id", draft.id);
  else {
    draft.id = head.modelId;
    draft.idSource = "model";
  }
  if (head.modelSentVersion) return lines;
  const { rules, route, target } = clues;
  const version = versionOf(rules, { route, target, headerVersion });
  if (version === null) return lines;
  lines.push("x-model-version", version);
  draft.announcedVersion = version;
  return lines;
}

/** Behind the prediction's id: the end of its line, and that of the version where one is known. */
export function behindId(version: string | null): string {
  return version === null ? "\r\n" : `\r\nx-model-version: ${version}\r\n`;
}

/** The same for a plain head: in it the model says neither an id nor a version. */
export function plainAnswerLines(
  head: PlainAnswer,
  draft: Pick<Draft, "id" | "announcedVersion">,
  clues: AnswerClues,
): PlainLines {
  const { rules, route, target } = clues;
  const version = versionOf(rules, { route, target, headerVersion: null });
  draft.announcedVersion = version;
  return {
    text: head.kept + BEFORE_ID + draft.id + behindId(version),
    hasLength: head.length >= 0,
    hasDate: head.hasDate,
  };
}
