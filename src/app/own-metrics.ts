// The few series the traffic process can tell by itself, served while the observer is away. Names as in the catalogue.

import type { TrafficStats } from "../facts/road.ts";

interface OwnFamily {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly (readonly [labels: string, value: number])[];
}

function families(stats: TrafficStats): readonly OwnFamily[] {
  const dropped = Object.entries(stats.dropped).map(([key, value]): readonly [string, number] => {
    const [queue = "", what = ""] = key.split("/");
    return [`{queue="${queue}",what="${what}"}`, value];
  });
  return [
    {
      name: "outrider_observer_up",
      type: "gauge",
      help: "1 while the observer process answers.",
      samples: [["", 0]],
    },
    {
      name: "outrider_observer_restarts_total",
      type: "counter",
      help: "Times the observer process was started again.",
      samples: [["", stats.observerRestarts]],
    },
    {
      name: "outrider_exchanges_seen_total",
      type: "counter",
      help: "Requests seen by the traffic process.",
      samples: [["", stats.seen]],
    },
    {
      name: "outrider_exchanges_recorded_total",
      type: "counter",
      help: "Requests of which the observer recorded the facts.",
      samples: [["", stats.recorded]],
    },
    {
      name: "outrider_queue_dropped_total",
      type: "counter",
      help: "What a full queue could not take, could not be encoded, or a dead observer took with it.",
      samples: dropped,
    },
    {
      name: "outrider_queue_length",
      type: "gauge",
      help: "Facts waiting in a queue.",
      samples: [[`{queue="observer"}`, stats.queuedFacts]],
    },
  ];
}

function relayFamilies(stats: TrafficStats): readonly OwnFamily[] {
  return [
    {
      name: "outrider_proxy_workers",
      type: "gauge",
      help: "Processes that accept client connections.",
      samples: [["", stats.workers]],
    },
    {
      name: "outrider_proxy_worker_restarts_total",
      type: "counter",
      help: "Times a traffic worker was started again.",
      samples: [["", stats.workerRestarts]],
    },
    {
      name: "outrider_proxy_connections",
      type: "gauge",
      help: "Client connections open.",
      samples: [["", stats.openConnections]],
    },
    {
      name: "outrider_proxy_held_bytes",
      type: "gauge",
      help: "Bytes of bodies that were read and not handed on yet.",
      samples: [["", stats.heldBytes]],
    },
  ];
}

/** Prometheus text format 0.0.4. */
export function renderOwnMetrics(stats: TrafficStats): string {
  let text = "";
  for (const family of [...families(stats), ...relayFamilies(stats)]) {
    if (family.samples.length === 0) continue;
    text += `# HELP ${family.name} ${family.help}\n# TYPE ${family.name} ${family.type}\n`;
    for (const [labels, value] of family.samples) text += `${family.name}${labels} ${value}\n`;
  }
  return text;
}
