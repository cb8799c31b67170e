// Service: rate, errors and duration of the model server as its clients see it.

import { type Board, MODEL, quantile, rate, SIDECAR, VARIABLES, VERSION } from "../spec.ts";

const DURATION = "http_server_request_duration_seconds";
const TTFB = "outrider_time_to_first_byte_seconds";
const REQUESTS = `outrider_requests_total{${VERSION}}`;
const QUANTILES = [0.5, 0.95, 0.99];

function burn(slo: "availability" | "latency"): Board["rows"][number]["panels"][number] {
  const what = slo === "availability" ? "failed" : "slow";
  const budget = `on (job) group_left () (1 - job:outrider_slo_${slo}:objective{job=~"$job"})`;
  return {
    title: slo === "availability" ? "Error budget burn" : "Latency budget burn",
    description: `Share of ${what} answers over what the objective allows: at 1 the budget of 30 days lasts 30 days. Alerts page at 14.4 (1h and 5m) and 6 (6h and 30m).`,
    kind: "timeseries",
    unit: "short",
    min: 0,
    w: 9,
    h: 7,
    targets: ["5m", "1h", "6h", "3d"].map((window) => ({
      expr: `job:outrider_slo_${slo}_errors:ratio_rate${window}{job=~"$job"} / ${budget}`,
      legend: `{{job}} ${window}`,
    })),
  };
}

const NO_TEXT = "the service generates no text";
const NO_SOCKETS = "no connection was upgraded to a WebSocket";

export const service: Board = {
  id: "service",
  description: "Rate, errors and duration of the requests that pass the sidecar.",
  variables: VARIABLES.versions,
  rows: [
    {
      title: "Objectives",
      panels: [
        {
          title: "Availability, 3d",
          description:
            "Share of the requests of three days that were answered without a fault of the service, and the objective.",
          kind: "stat",
          unit: "percentunit",
          decimals: 3,
          w: 3,
          h: 7,
          targets: [
            { expr: '1 - job:outrider_slo_availability_errors:ratio_rate3d{job=~"$job"}', legend: "{{job}}" },
            { expr: 'job:outrider_slo_availability:objective{job=~"$job"}', legend: "objective" },
          ],
        },
        burn("availability"),
        burn("latency"),
        {
          title: "Fast answers, 3d",
          description:
            "Share of the answers of three days within the threshold of the latency objective, and the objective.",
          kind: "stat",
          unit: "percentunit",
          decimals: 3,
          w: 3,
          h: 7,
          targets: [
            { expr: '1 - job:outrider_slo_latency_errors:ratio_rate3d{job=~"$job"}', legend: "{{job}}" },
            { expr: 'job:outrider_slo_latency:objective{job=~"$job"}', legend: "objective" },
          ],
        },
      ],
    },
    {
      title: "Rate",
      panels: [
        {
          title: "Requests by outcome",
          description: "ok and client_error are good answers; the others did not get one.",
          kind: "timeseries",
          unit: "reqps",
          stack: "normal",
          min: 0,
          w: 8,
          h: 8,
          targets: [{ expr: rate(REQUESTS, "outcome"), legend: "{{outcome}}" }],
        },
        {
          title: "Requests by version",
          description: "Where the traffic goes.",
          kind: "timeseries",
          unit: "reqps",
          stack: "normal",
          min: 0,
          w: 8,
          h: 8,
          targets: [{ expr: rate(REQUESTS, "model, version"), legend: "{{model}} {{version}}" }],
        },
        {
          title: "In flight",
          description: "Requests under way and client connections that are open.",
          kind: "timeseries",
          unit: "short",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            { expr: `sum(http_server_active_requests{${SIDECAR}})`, legend: "requests" },
            { expr: `sum(outrider_proxy_connections{${SIDECAR}})`, legend: "connections" },
          ],
        },
      ],
    },
    {
      title: "Errors",
      panels: [
        {
          title: "Error ratio",
          description:
            "Share of the requests that failed by a fault of the service; client aborts are left out.",
          kind: "timeseries",
          unit: "percentunit",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            {
              expr:
                `${rate(`outrider_requests_total{${VERSION},outcome=~"server_error|timeout|connect_error|reset"}`, "model, version")}\n` +
                `/ (${rate(`outrider_requests_total{${VERSION},outcome!~"client_abort|rejected"}`, "model, version")} > 0)`,
              legend: "{{model}} {{version}}",
            },
          ],
        },
        {
          title: "Answers by status",
          description: "HTTP status sent to the client.",
          kind: "timeseries",
          unit: "reqps",
          stack: "normal",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            {
              expr: rate(`${DURATION}_count{${VERSION}}`, "http_response_status_code"),
              legend: "{{http_response_status_code}}",
            },
          ],
        },
        {
          title: "Errors by cause",
          description:
            "What went wrong: a status from 500 on, the sidecar's own word (connection_refused, response_timeout), or who broke off.",
          kind: "timeseries",
          unit: "reqps",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            {
              expr: rate(`${DURATION}_count{${VERSION},error_type!=""}`, "error_type"),
              legend: "{{error_type}}",
              mayBeEmpty: "no request has failed",
            },
            { expr: rate(`outrider_aborts_total{${SIDECAR}}`, "side"), legend: "broken off by the {{side}}" },
          ],
        },
      ],
    },
    {
      title: "Duration",
      panels: [
        {
          title: "Response time",
          description:
            "Request headers to last response byte. Points are sampled requests: a click leads to the trace. The dashed line is the objective's threshold.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 8,
          dashed: "/threshold/",
          targets: [
            ...QUANTILES.map((q) => ({
              expr: quantile(q, `${DURATION}_bucket{${VERSION}}`),
              legend: `p${q * 100}`,
              exemplar: q === 0.99,
            })),
            { expr: 'max(job:outrider_slo_latency:threshold_seconds{job=~"$job"})', legend: "threshold" },
          ],
        },
        {
          title: "Time to first byte",
          description:
            "Request headers to first byte of the response body: what a user of a stream waits for. Points are sampled requests.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 8,
          targets: QUANTILES.map((q) => ({
            expr: quantile(q, `${TTFB}_bucket{${VERSION}}`),
            legend: `p${q * 100}`,
            exemplar: q === 0.99,
          })),
        },
        {
          title: "Response time, distribution",
          description:
            "Requests by response time. A point in a slow bucket leads to a trace of such a request.",
          kind: "heatmap",
          unit: "s",
          w: 8,
          h: 8,
          targets: [{ expr: rate(`${DURATION}_bucket{${VERSION}}`, "le"), legend: "{{le}}", exemplar: true }],
        },
        {
          title: "p95 by route",
          description: "95 of 100 requests of a route were answered within this time.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            {
              expr: quantile(0.95, `${DURATION}_bucket{${VERSION}}`, "http_route"),
              legend: "{{http_route}}",
            },
          ],
        },
        {
          title: "p95 by version",
          description: "Is the new version slower?",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            {
              expr: quantile(0.95, `${DURATION}_bucket{${VERSION}}`, "model, version"),
              legend: "{{model}} {{version}}",
            },
          ],
        },
        {
          title: "Where the time goes, p95",
          description: "The upstream leg, the wait for response headers, and what the sidecar added itself.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 8,
          targets: [
            {
              expr: quantile(0.95, `http_client_request_duration_seconds_bucket{${SIDECAR}}`),
              legend: "upstream",
            },
            {
              expr: quantile(0.95, `outrider_response_head_seconds_bucket{${VERSION}}`),
              legend: "response headers",
            },
            { expr: quantile(0.95, `outrider_proxy_overhead_seconds_bucket{${SIDECAR}}`), legend: "sidecar" },
          ],
        },
      ],
    },
    {
      title: "Streams",
      panels: [
        {
          title: "Time to first byte of streams",
          description: "Streamed responses alone.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 12,
          h: 7,
          targets: QUANTILES.map((q) => ({
            expr: quantile(q, `${TTFB}_bucket{${VERSION},streaming="true"}`),
            legend: `p${q * 100}`,
            mayBeEmpty: "the service does not stream",
          })),
        },
        {
          title: "Longest silence in streams",
          description: "Longest pause between two chunks of one streamed response.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 12,
          h: 7,
          targets: QUANTILES.map((q) => ({
            expr: quantile(q, `outrider_stream_longest_gap_seconds_bucket{${VERSION}}`),
            legend: `p${q * 100}`,
            mayBeEmpty: "the service does not stream",
          })),
        },
      ],
    },
    {
      title: "Tokens",
      collapsed: true,
      panels: [
        {
          title: "Time to first token",
          description: "Request headers to the first generated token of a streamed answer.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 7,
          targets: QUANTILES.map((q) => ({
            expr: quantile(q, `outrider_time_to_first_token_seconds_bucket{${VERSION}}`),
            legend: `p${q * 100}`,
            mayBeEmpty: NO_TEXT,
          })),
        },
        {
          title: "Time per output token",
          description: "Mean time between two generated tokens of one answer.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 7,
          targets: QUANTILES.map((q) => ({
            expr: quantile(q, `outrider_time_per_output_token_seconds_bucket{${VERSION}}`),
            legend: `p${q * 100}`,
            mayBeEmpty: NO_TEXT,
          })),
        },
        {
          title: "Tokens and events",
          description: "Tokens read and generated as the service counts them, and events of its streams.",
          kind: "timeseries",
          unit: "cps",
          min: 0,
          w: 8,
          h: 7,
          targets: [
            {
              expr: rate(`outrider_tokens_total{${VERSION}}`, "model, version, direction"),
              legend: "{{model}} {{version}} {{direction}} tokens",
              mayBeEmpty: NO_TEXT,
            },
            {
              expr: rate(`outrider_stream_events_total{${VERSION}}`, "model, version"),
              legend: "{{model}} {{version}} events",
              mayBeEmpty: NO_TEXT,
            },
          ],
        },
      ],
    },
    {
      title: "WebSockets",
      collapsed: true,
      panels: [
        {
          title: "Messages",
          description: "Whole messages: request from the client, response from the service.",
          kind: "timeseries",
          unit: "cps",
          min: 0,
          w: 8,
          h: 7,
          targets: [
            {
              expr: rate(`outrider_websocket_messages_total{${MODEL}}`, "model, direction"),
              legend: "{{model}} {{direction}}",
              mayBeEmpty: NO_SOCKETS,
            },
          ],
        },
        {
          title: "Time to first message",
          description: "From the client's first message to the service's first.",
          kind: "timeseries",
          unit: "s",
          min: 0,
          w: 8,
          h: 7,
          targets: QUANTILES.map((q) => ({
            expr: quantile(q, `outrider_websocket_time_to_first_message_seconds_bucket{${MODEL}}`),
            legend: `p${q * 100}`,
            mayBeEmpty: NO_SOCKETS,
          })),
        },
        {
          title: "Closed connections",
          description:
            "By the side that closed first and its code: 1000 is well, 1006 came without a closing frame. Unmeasured: something other than WebSocket frames passed.",
          kind: "timeseries",
          unit: "cps",
          min: 0,
          w: 8,
          h: 7,
          targets: [
            {
              expr: rate(`outrider_websocket_closes_total{${MODEL}}`, "side, code"),
              legend: "{{side}} {{code}}",
              mayBeEmpty: NO_SOCKETS,
            },
            {
              expr: rate(`outrider_websocket_unmeasured_total{${MODEL}}`, "model"),
              legend: "{{model}} unmeasured",
              mayBeEmpty: NO_SOCKETS,
            },
          ],
        },
      ],
    },
    {
      title: "Clients and sizes",
      collapsed: true,
      panels: [
        {
          title: "Connections refused and broken requests",
          description:
            "Client connections closed because the listener was full, and connections on which something came that is not HTTP, and those ended by a limit of proxy.limits.",
          kind: "timeseries",
          unit: "cps",
          min: 0,
          w: 12,
          h: 7,
          targets: [
            { expr: rate(`outrider_proxy_connections_refused_total{${SIDECAR}}`), legend: "refused" },
            { expr: rate(`outrider_proxy_client_errors_total{${SIDECAR}}`), legend: "not HTTP" },
            {
              expr: rate(`outrider_proxy_limited_total{${SIDECAR}}`, "limit"),
              legend: "limited: {{limit}}",
              mayBeEmpty: "no limit was reached",
            },
          ],
        },
        {
          title: "Body sizes, p95",
          description: "Bodies as transferred. Recorded only where body sizes are turned on.",
          kind: "timeseries",
          unit: "bytes",
          min: 0,
          w: 12,
          h: 7,
          none: "not recorded",
          targets: (["request", "response"] as const).map((side) => ({
            expr: quantile(0.95, `http_server_${side}_body_size_bytes_bucket{${SIDECAR},model=~"$model"}`),
            legend: side,
            mayBeEmpty: "body sizes are off by default",
          })),
        },
      ],
    },
  ],
};
