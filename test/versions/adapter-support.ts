// What the tests of the adapters share: a caller without credentials, recorded answers, one note and one label.

import { recordings } from "../support/recordings.ts";
import { createRegistryHttp, type RegistryHttp } from "../../src/versions/registry-http.ts";
import type { LabelNote, QualityNote } from "../../src/versions/registry.ts";
import type { Said } from "./registry-server.ts";

export const NOTE: QualityNote = {
  version: "1",
  at: Date.UTC(2026, 0, 14, 12),
  figures: [
    { window: "24h", metric: "rmse", value: 51.5, samples: 100 },
    { window: "7d", metric: "rmse", value: 52.5, samples: 700 },
  ],
};
export const LABEL: LabelNote = {
  predictionId: "p-1:0",
  traceId: "c".repeat(32),
  value: 1,
  at: NOTE.at,
};

export function http(url: string): RegistryHttp {
  return createRegistryHttp(url, () => Promise.resolve({ kind: "ok", value: {} }));
}

/** What the real server answered, as it stands in test/recordings. */
export function recorded(file: string, title: string): Said {
  const exchange = recordings(file).get(title);
  if (exchange === undefined) throw new Error(`${file}.md has no "${title}"`);
  const text = Buffer.from(exchange.response.bytes).toString();
  const status = exchange.status ?? 0;
  try {
    return { status, json: JSON.parse(text) };
  } catch {
    return { status, text };
  }
}
