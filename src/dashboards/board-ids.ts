// The boards and their fixed addresses: `/d/<uid>` in every Grafana.

export const BOARDS = {
  overview: { uid: "outrider-overview", title: "Outrider / Overview" },
  service: { uid: "outrider-service", title: "Outrider / Service" },
  quality: { uid: "outrider-quality", title: "Outrider / Model quality" },
  versions: { uid: "outrider-versions", title: "Outrider / Versions" },
  sidecar: { uid: "outrider-sidecar", title: "Outrider / Sidecar and target" },
} as const;

export type BoardId = keyof typeof BOARDS;
